"""Actors of the simulated groups: members that share partitions, and one who commits alone."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from partitions.errors import ErrorCode
from partitions.internal import CONSUMER_OFFSETS
from partitions.testing.broker import SimBroker
from partitions.testing.cluster import SimCluster
from partitions.testing.groups import GroupClient, GroupHistory
from partitions.testing.tasks import Promise

MEMBERS = 3
PAUSE_US = 80_000
ROUNDS_MAX = 30
"""Commits of a member before it leaves, at most."""
FINISH_US = 30_000_000


class Stopped(AssertionError):
    """With everything up, a group did not get on."""


class Groups:
    """A group with members, and one without, for as long as faults last."""

    def __init__(self, cluster: SimCluster, topic: str, partitions: int) -> None:
        self.shared, self.alone = GroupHistory("shared"), GroupHistory("alone")
        self._cluster = cluster
        self._topic = topic
        self._partitions = partitions
        self._working = True
        self._tasks: list[Promise[None]] = []

    def start(self) -> None:
        """Run all actors."""
        for number in range(MEMBERS):
            member = Member(self._client(self.shared), self._cluster, self._partitions, number)
            self._tasks.append(self._cluster.spawn(member.run(self._is_working)))
        self._tasks.append(self._cluster.spawn(self._commit_alone()))
        for history in (self.shared, self.alone):
            self._tasks.append(self._cluster.spawn(self._watch(history)))

    def _is_working(self) -> bool:
        return self._working

    def _client(self, history: GroupHistory) -> GroupClient:
        cluster = self._cluster
        return GroupClient(
            cluster.world,
            cluster.new_address(),
            list(cluster.brokers),
            history=history,
            topic=self._topic,
        )

    async def _commit_alone(self) -> None:
        client, offset = self._client(self.alone), 0
        while self._working:
            offset += 1
            await client.commit(dict.fromkeys(range(self._partitions), offset))
            await client.fetch_offsets(list(range(self._partitions)))
            await self._cluster.sleep(PAUSE_US)

    async def _watch(self, history: GroupHistory) -> None:
        """Look at what is committed from outside: a client that may know another coordinator
        than those who commit do."""
        client = self._client(history)
        while self._working:
            await client.fetch_offsets(list(range(self._partitions)))
            await self._cluster.sleep(PAUSE_US)

    def coordinator(self, history: GroupHistory) -> SimBroker | None:
        """The broker that coordinates the group, if any does."""
        for broker in self._cluster.running():
            partition = broker.broker.services.groups.partition_of(history.group)
            if partition is not None:
                return self._cluster.leader(CONSUMER_OFFSETS, partition)
        return None

    def log_starts(self) -> list[int]:
        """Where the log of each partition of groups begins, by partition."""
        topic = self._cluster.running()[0].broker.metadata.image.topic(CONSUMER_OFFSETS)
        assert topic is not None
        return [
            max(r.log_start_offset for r in self._cluster.replicas(CONSUMER_OFFSETS, n).values())
            for n in range(len(topic.partitions))
        ]

    async def finish(self) -> None:
        """Everything is up: both groups commit to every partition again, and then end."""
        cluster = self._cluster
        before = {history: dict(history.acknowledged) for history in (self.shared, self.alone)}
        give_up = cluster.reactor.now_us() + FINISH_US
        while not all(self._got_on(history, was) for history, was in before.items()):
            if cluster.reactor.now_us() > give_up:
                raise Stopped("a group commits no more: " + repr([h.group for h in before]))
            await cluster.sleep(PAUSE_US)
        self._working = False
        for task in self._tasks:
            await task

    def _got_on(self, history: GroupHistory, before: dict[int, int]) -> bool:
        return all(
            history.acknowledged.get(partition, -1) > before.get(partition, -1)
            for partition in range(self._partitions)
        )


class Member:
    """Joins, commits for what it is given, leaves or falls silent, and comes back."""

    def __init__(
        self, client: GroupClient, cluster: SimCluster, partitions: int, number: int
    ) -> None:
        self._client = client
        self._cluster = cluster
        self._partitions = partitions
        self._random = Random(f"member/{cluster.seed}/{number}")
        self._id = ""

    async def run(self, working: Callable[[], bool]) -> None:
        """Until `working` says no."""
        while working():
            joined = await self._client.join(self._id)
            if joined is None:
                await self._pause()
                continue
            error = self._client.heed(joined.error_code)
            if error in (ErrorCode.NONE, ErrorCode.MEMBER_ID_REQUIRED):
                self._id = joined.member_id
            elif error is ErrorCode.UNKNOWN_MEMBER_ID:
                self._id = ""
            if error is ErrorCode.NONE:
                await self._synced(joined, working)
            elif error is not ErrorCode.MEMBER_ID_REQUIRED:
                await self._pause()

    async def _pause(self) -> None:
        await self._cluster.sleep(self._random.randrange(PAUSE_US))

    def _shares(self, joined: Any) -> dict[str, bytes]:
        """The leader's plan: partitions in turn."""
        members = [member.member_id for member in joined.members]
        if joined.leader != self._id:
            return {}
        every = range(self._partitions)
        return {
            member: bytes([n for n in every if n % len(members) == place])
            for place, member in enumerate(members)
        }

    async def _synced(self, joined: Any, working: Callable[[], bool]) -> None:
        synced = await self._client.sync(self._id, joined.generation_id, self._shares(joined))
        if synced is None:
            return
        error = self._client.heed(synced.error_code)
        if error is ErrorCode.UNKNOWN_MEMBER_ID:
            self._id = ""
        if error is not ErrorCode.NONE:
            await self._pause()
            return
        mine = list(synced.assignment)
        self._client.history.assigned(joined.generation_id, self._id, mine)
        found = await self._client.fetch_offsets(mine)
        if found is not None:
            await self._work(found, joined.generation_id, working)

    async def _work(
        self, offsets: dict[int, int], generation: int, working: Callable[[], bool]
    ) -> None:
        for _ in range(self._random.randrange(ROUNDS_MAX)):
            await self._pause()
            error = await self._client.heartbeat(self._id, generation)
            if error is ErrorCode.NONE and offsets:
                offsets = {partition: offset + 1 for partition, offset in offsets.items()}
                error = await self._client.commit(offsets, generation, self._id)
            if error is ErrorCode.REBALANCE_IN_PROGRESS:
                return
            if error in (ErrorCode.UNKNOWN_MEMBER_ID, ErrorCode.ILLEGAL_GENERATION):
                self._id = ""
                return
            if error is None or not working():
                return
        if self._random.random() < 0.7:
            await self._client.leave(self._id)
        self._id = ""  # or it falls silent, and its session ends
