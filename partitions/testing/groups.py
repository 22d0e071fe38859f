"""Consumer groups on virtual time: clients that join and commit, and what they were told.

Nothing that was acknowledged may be lost: an offset that is fetched is never below the last one
whose commit was acknowledged before the fetch was sent. A commit of unknown fate is the
exception, as in real life: its request may still be on its way to a broker, and arrive late.
"""

from __future__ import annotations

from typing import Any

from partitions import wire
from partitions.errors import ErrorCode
from partitions.testing.client import REQUEST_TIMEOUT_US, SimClient
from partitions.testing.world import node_of

_COMMIT, _FETCH, _FIND, _JOIN, _SYNC, _BEAT, _LEAVE = (
    wire.ApiKey.OFFSET_COMMIT,
    wire.ApiKey.OFFSET_FETCH,
    wire.ApiKey.FIND_COORDINATOR,
    wire.ApiKey.JOIN_GROUP,
    wire.ApiKey.SYNC_GROUP,
    wire.ApiKey.HEARTBEAT,
    wire.ApiKey.LEAVE_GROUP,
)
SESSION_MS = 2_000
REBALANCE_MS = 2_000
JOIN_TIMEOUT_US = 6_000_000
NO_OFFSET = -1


class OffsetWentBack(AssertionError):
    """A group was shown less than had been acknowledged."""


class TwoOwners(AssertionError):
    """A partition was given to two members in one generation."""


class GroupHistory:
    """What one group was told, over all its clients."""

    def __init__(self, group: str) -> None:
        self.group = group
        self.acknowledged: dict[int, int] = {}
        """By partition: the last offset whose commit was acknowledged."""
        self.commits = 0
        self.generations: set[int] = set()
        self._unknown: dict[int, set[int]] = {}
        self._owners: dict[tuple[int, int], str] = {}

    def committed(self, partition: int, offset: int) -> None:
        """A commit was acknowledged."""
        self.commits += 1
        self.acknowledged[partition] = max(offset, self.acknowledged.get(partition, NO_OFFSET))

    def unknown(self, partition: int, offset: int) -> None:
        """A commit may happen, or have happened."""
        self._unknown.setdefault(partition, set()).add(offset)

    def check(self, partition: int, floor: int, fetched: int) -> None:
        """`floor` had been acknowledged when the fetch was sent. Raises OffsetWentBack."""
        if fetched < floor and fetched not in self._unknown.get(partition, ()):
            raise OffsetWentBack(
                f"group {self.group}, partition {partition}: {floor} was acknowledged, "
                f"{fetched} is fetched"
            )

    def assigned(self, generation: int, member: str, partitions: list[int]) -> None:
        """A member was told its share. Raises TwoOwners."""
        self.generations.add(generation)
        for partition in partitions:
            owner = self._owners.setdefault((generation, partition), member)
            if owner != member:
                raise TwoOwners(
                    f"group {self.group}, generation {generation}: partition {partition} is "
                    f"{owner}'s and {member}'s"
                )


class GroupClient(SimClient):
    """A client of one group. Every method is one attempt, or two with the look-up before it."""

    def __init__(self, *place: Any, history: GroupHistory, topic: str) -> None:
        """`place`: see SimClient."""
        super().__init__(*place)
        self.history = history
        self._topic = topic
        self._coordinator: int | None = None

    async def _ask_coordinator(
        self, key: wire.ApiKey, body: Any, timeout_us: int = REQUEST_TIMEOUT_US
    ) -> Any:
        """The answer; None when there is none, and then the coordinator is looked for anew."""
        if self._coordinator is None:
            await self._find()
        if self._coordinator is None:
            return None
        answer = await self._ask(self._coordinator, key, body, timeout_us)
        if answer is None:
            self._coordinator = None
        return answer

    async def _find(self) -> None:
        m = wire.messages(_FIND)
        body = m.FindCoordinatorRequest(coordinator_keys=[self.history.group])
        answer = await self._ask(self._anybody(), _FIND, body)
        if answer is not None and not answer.coordinators[0].error_code:
            self._coordinator = node_of(answer.coordinators[0].host)

    def heed(self, code: int) -> ErrorCode:
        """Look for the coordinator anew when that is what the error says."""
        error = ErrorCode(code)
        if error in (ErrorCode.NOT_COORDINATOR, ErrorCode.COORDINATOR_NOT_AVAILABLE):
            self._coordinator = None
        return error

    async def commit(
        self, offsets: dict[int, int], generation: int = -1, member: str = ""
    ) -> ErrorCode | None:
        """Commit, and note what became of it; None when that is unknown."""
        m = wire.messages(_COMMIT)
        parts = [
            m.OffsetCommitRequestPartition(
                partition_index=partition, committed_offset=offset, committed_metadata=""
            )
            for partition, offset in offsets.items()
        ]
        answer = await self._ask_coordinator(
            _COMMIT,
            m.OffsetCommitRequest(
                group_id=self.history.group,
                generation_id_or_member_epoch=generation,
                member_id=member,
                topics=[m.OffsetCommitRequestTopic(name=self._topic, partitions=parts)],
            ),
        )
        if answer is None:
            for partition, offset in offsets.items():
                self.history.unknown(partition, offset)
            return None
        error = ErrorCode.NONE
        for part in answer.topics[0].partitions:
            code = self.heed(part.error_code)
            error = error or code
            if code is ErrorCode.NONE:
                self.history.committed(part.partition_index, offsets[part.partition_index])
            else:  # NOT_COORDINATOR may hide a record that the next leader commits
                self.history.unknown(part.partition_index, offsets[part.partition_index])
        return error

    async def fetch_offsets(self, partitions: list[int]) -> dict[int, int] | None:
        """Committed offsets, checked; None when there is no answer, or an error."""
        m = wire.messages(_FETCH)
        known = self.history.acknowledged
        floors = {partition: known.get(partition, NO_OFFSET) for partition in partitions}
        wanted = m.OffsetFetchRequestTopic(name=self._topic, partition_indexes=partitions)
        body = m.OffsetFetchRequest(group_id=self.history.group, topics=[wanted])
        answer = await self._ask_coordinator(_FETCH, body)
        if answer is None or self.heed(answer.error_code) is not ErrorCode.NONE:
            return None
        found = {}
        for part in answer.topics[0].partitions:
            partition, offset = part.partition_index, part.committed_offset
            self.history.check(partition, floors[partition], offset)
            found[partition] = offset
        return found

    async def join(self, member: str) -> Any:
        """The answer, or None."""
        m = wire.messages(_JOIN)
        body = m.JoinGroupRequest(
            group_id=self.history.group,
            session_timeout=SESSION_MS,
            rebalance_timeout=REBALANCE_MS,
            member_id=member,
            protocol_type="consumer",
            protocols=[m.JoinGroupRequestProtocol(name="range", metadata=b"")],
        )
        return await self._ask_coordinator(_JOIN, body, JOIN_TIMEOUT_US)

    async def sync(self, member: str, generation: int, shares: dict[str, bytes]) -> Any:
        """The answer, or None."""
        m = wire.messages(_SYNC)
        body = m.SyncGroupRequest(
            group_id=self.history.group,
            generation_id=generation,
            member_id=member,
            protocol_type="consumer",
            protocol_name="range",
            assignments=[
                m.SyncGroupRequestAssignment(member_id=other, assignment=share)
                for other, share in shares.items()
            ],
        )
        return await self._ask_coordinator(_SYNC, body, JOIN_TIMEOUT_US)

    async def heartbeat(self, member: str, generation: int) -> ErrorCode | None:
        """The answer's code, or None."""
        body = wire.messages(_BEAT).HeartbeatRequest(
            group_id=self.history.group, generation_id=generation, member_id=member
        )
        answer = await self._ask_coordinator(_BEAT, body)
        return None if answer is None else self.heed(answer.error_code)

    async def leave(self, member: str) -> None:
        """Whether it is heard or not."""
        m = wire.messages(_LEAVE)
        body = m.LeaveGroupRequest(
            group_id=self.history.group, members=[m.MemberIdentity(member_id=member)]
        )
        await self._ask_coordinator(_LEAVE, body)
