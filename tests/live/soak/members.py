"""Members that speak the protocol themselves, so that every answer is known, and readers."""

from __future__ import annotations

import threading
import time
from typing import Any

from partitions import wire
from partitions.errors import ErrorCode
from partitions.wire import ApiKey
from tests.live.soak.asking import Cast, Peer, Unanswered, assigned, assignment, subscription
from tests.live.soak.history import NO_GENERATION, History, Read, Sync, Write

SESSION_MS = 6_000
REBALANCE_MS = 8_000
JOIN_S = 15.0
COMMIT_S = 3.0
PAUSE_S = 0.05
_REFUSED = (
    ErrorCode.UNKNOWN_MEMBER_ID,
    ErrorCode.ILLEGAL_GENERATION,
    ErrorCode.REBALANCE_IN_PROGRESS,
    ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
    ErrorCode.FENCED_INSTANCE_ID,
)
"""Certainly not written."""
_JOIN = wire.messages(ApiKey.JOIN_GROUP)
_SYNC = wire.messages(ApiKey.SYNC_GROUP)
_BEAT = wire.messages(ApiKey.HEARTBEAT)
_LEAVE = wire.messages(ApiKey.LEAVE_GROUP)
_COMMIT = wire.messages(ApiKey.OFFSET_COMMIT)
_FETCH = wire.messages(ApiKey.OFFSET_FETCH)


class Rejoin(Exception):
    """The group wants this member again."""


class NotHere(Exception):
    """Somebody else coordinates, or nobody yet."""


def _check(error: int) -> None:
    if error in (
        ErrorCode.NOT_COORDINATOR,
        ErrorCode.COORDINATOR_NOT_AVAILABLE,
        ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
    ):
        raise NotHere
    if error:
        raise Rejoin(error)


def commit(peer: Peer, write: Write) -> int:
    """Send it and note what is known of it afterwards."""
    group, topic, partition = write.place
    part = _COMMIT.OffsetCommitRequestPartition(
        partition_index=partition, committed_offset=write.value
    )
    answer = peer.ask(
        ApiKey.OFFSET_COMMIT,
        _COMMIT.OffsetCommitRequest(
            group_id=group,
            generation_id_or_member_epoch=write.generation,
            member_id=write.member,
            group_instance_id=write.instance,
            topics=[_COMMIT.OffsetCommitRequestTopic(name=topic, partitions=[part])],
        ),
    )
    ((found,),) = [each.partitions for each in answer.topics]
    if not found.error_code:
        write.acknowledged, write.end = True, time.monotonic()
    write.refused = found.error_code in _REFUSED
    return int(found.error_code)


class Member:
    """Joins, commits ever higher offsets in what it was given, and says what it saw."""

    def __init__(
        self,
        cast: Cast,
        history: History,
        group: str,
        topic: str,
        count: int,
        instance: str | None = None,
    ) -> None:
        """`count`: the partitions that are shared out. `instance`: of a static member."""
        self.cast, self.history = cast, history
        self.group, self.topic, self.count = group, topic, count
        self.instance = instance
        self.member = ""
        self.generation = -1
        self.restarts = False
        """Forget who you are, once; your last life commits once more when the next has begun."""
        self._last_life: tuple[int, str] | None = None
        self.held: list[tuple[str, int]] = []
        self.last_commit = 0.0
        self.sleepy = 0.0
        """Seconds that it does not react, once."""
        self.pause_s = PAUSE_S
        self.leaving = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def join_thread(self) -> None:
        self._thread.join(60)
        assert not self._thread.is_alive(), f"member of {self.group} hangs"

    def end(self) -> None:
        """Leave the group."""
        self.leaving.set()
        self.join_thread()

    def _over(self) -> bool:
        return self.cast.ended.is_set() or self.leaving.is_set()

    def _run(self) -> None:
        while not self._over():
            peer = None
            try:
                broker = self.cast.coordinator(self.group)
                if broker is not None:
                    peer = self.cast.peer(broker, COMMIT_S)
                    self._live(peer)
            except (NotHere, *Unanswered):
                self.cast.told["member looks for a coordinator"] += 1
            finally:
                if peer is not None:
                    peer.close()
            self.cast.sleep(PAUSE_S)

    def _live(self, peer: Peer) -> None:
        while not self._over():
            try:
                if not self.held:
                    self._join(peer)
                self._work(peer)
            except Rejoin as why:
                self.cast.told[f"member told {ErrorCode(why.args[0]).name}"] += 1
                self.held = []
                if why.args[0] in (ErrorCode.UNKNOWN_MEMBER_ID, ErrorCode.FENCED_INSTANCE_ID):
                    self.member, self.generation = "", -1
        self._leave(peer)

    def _join(self, peer: Peer) -> None:
        body = _JOIN.JoinGroupRequest(
            group_id=self.group,
            session_timeout=SESSION_MS,
            rebalance_timeout=REBALANCE_MS,
            member_id=self.member,
            group_instance_id=self.instance,
            protocol_type="consumer",
            protocols=[
                _JOIN.JoinGroupRequestProtocol(name="range", metadata=subscription(self.topic))
            ],
        )
        joined = peer.ask(ApiKey.JOIN_GROUP, body, JOIN_S)
        if joined.error_code == ErrorCode.MEMBER_ID_REQUIRED:
            self.member = joined.member_id
            self._join(peer)
            return
        _check(joined.error_code)
        self.member, self.generation = joined.member_id, joined.generation_id
        self._sync(peer, joined)

    def _sync(self, peer: Peer, joined: Any) -> None:
        shares: list[Any] = []
        if joined.leader == self.member:
            ids = sorted(each.member_id for each in joined.members)
            for number, each in enumerate(ids):
                mine = list(range(number, self.count, len(ids)))
                share = assignment(self.topic, mine)
                shares.append(_SYNC.SyncGroupRequestAssignment(member_id=each, assignment=share))
        start, generation = time.monotonic(), self.generation
        body = _SYNC.SyncGroupRequest(
            group_id=self.group,
            generation_id=generation,
            member_id=self.member,
            group_instance_id=self.instance,
            protocol_type="consumer",
            protocol_name="range",
            assignments=shares,
        )
        answer = peer.ask(ApiKey.SYNC_GROUP, body, JOIN_S)
        _check(answer.error_code)
        held = assigned(bytes(answer.assignment))
        self.history.syncs.append(
            Sync(
                self.group,
                generation,
                self.member,
                frozenset(held),
                start,
                time.monotonic(),
                self.instance,
            )
        )
        self._haunt(peer, held)
        self.held = held or [("", -1)]

    def _haunt(self, peer: Peer, held: list[tuple[str, int]]) -> None:
        if self._last_life and held:
            generation, member = self._last_life
            self._last_life = None
            place = (self.group, *held[0])
            error = commit(peer, self.history.writing(place, generation, member, self.instance))
            self.cast.told[f"commit of a last life told {ErrorCode(error).name}"] += 1

    def _work(self, peer: Peer) -> None:
        beat = 0.0
        while not self._over():
            if self.sleepy:
                self.cast.sleep(self.sleepy)
                self.sleepy = 0.0
            if self.restarts:
                self.restarts = False
                self._last_life = (self.generation, self.member)
                self.member, self.held = "", []
                return
            for topic, partition in self.held:
                if not topic:
                    continue
                place = (self.group, topic, partition)
                write = self.history.writing(place, self.generation, self.member, self.instance)
                error = commit(peer, write)
                if not error:
                    self.last_commit = time.monotonic()
                    self.cast.told["commit acknowledged"] += 1
                elif error == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION:
                    self.cast.told["commit to a topic that is gone"] += 1
                else:
                    self.cast.told[f"commit told {ErrorCode(error).name}"] += 1
                    _check(error)
            if time.monotonic() > beat:
                self._beat(peer)
                beat = time.monotonic() + 0.5
            self.cast.sleep(self.pause_s)

    def _beat(self, peer: Peer) -> None:
        body = _BEAT.HeartbeatRequest(
            group_id=self.group,
            generation_id=self.generation,
            member_id=self.member,
            group_instance_id=self.instance,
        )
        _check(peer.ask(ApiKey.HEARTBEAT, body).error_code)

    def _leave(self, peer: Peer) -> None:
        if self.member:
            identity = _LEAVE.MemberIdentity(member_id=self.member, group_instance_id=self.instance)
            body = _LEAVE.LeaveGroupRequest(group_id=self.group, members=[identity])
            peer.ask(ApiKey.LEAVE_GROUP, body)
            self.member, self.generation, self.held = "", -1, []


def read(cast: Cast, history: History, peer: Peer, broker: int, group: str) -> int:
    """All offsets of `group`, noted when there is no error; the error."""
    places = sorted({write.place for write in list(history.writes) if write.place[0] == group})
    topics: dict[str, list[int]] = {}
    for _, topic, partition in places:
        topics.setdefault(topic, []).append(partition)
    body = _FETCH.OffsetFetchRequest(
        group_id=group,
        topics=[
            _FETCH.OffsetFetchRequestTopic(name=name, partition_indexes=indexes)
            for name, indexes in topics.items()
        ],
    )
    start = time.monotonic()
    answer = peer.ask(ApiKey.OFFSET_FETCH, body)
    end = time.monotonic()
    for topic in answer.topics:
        for part in topic.partitions:
            if not answer.error_code and not part.error_code:
                place = (group, topic.name, part.partition_index)
                history.reads.append(Read(place, part.committed_offset, broker, start, end))
    return int(answer.error_code)


class Lone:
    """Commits without being a member, now here, now there."""

    def __init__(self, cast: Cast, history: History, group: str) -> None:
        self._cast, self._history, self._group = cast, history, group
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def join_thread(self) -> None:
        self._thread.join(60)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        while not self._cast.ended.is_set():
            broker = self._cast.coordinator(self._group)
            if broker is not None:
                self._commit(broker)
            self._cast.sleep(self._cast.random.uniform(0.2, 1))

    def _commit(self, broker: int) -> None:
        place = (self._group, "raw", self._cast.random.randrange(4))
        write = self._history.writing(place, NO_GENERATION, "")
        try:
            peer = self._cast.peer(broker)
        except OSError:
            write.refused = True
            return
        try:
            error = commit(peer, write)
            self._cast.told[f"lone commit told {ErrorCode(error).name}"] += 1
        except Unanswered:
            self._cast.told["lone commit without answer"] += 1
        finally:
            peer.close()


class Reader:
    """Asks one broker for the offsets of all groups, whether it coordinates them or not."""

    def __init__(self, cast: Cast, history: History, broker: int, groups: list[str]) -> None:
        self._cast, self._history = cast, history
        self._broker, self._groups = broker, groups
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def join_thread(self) -> None:
        self._thread.join(60)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        while not self._cast.ended.is_set():
            peer = None
            try:
                peer = self._cast.peer(self._broker, 20.0)
                while not self._cast.ended.is_set():
                    for group in self._groups:
                        error = read(self._cast, self._history, peer, self._broker, group)
                        name = ErrorCode(error).name if error else "offsets"
                        self._cast.told[f"fetch told {name}"] += 1
                    self._cast.sleep(0.1)
            except Unanswered:
                self._cast.told["fetch without answer"] += 1
            finally:
                if peer is not None:
                    peer.close()
            self._cast.sleep(0.2)
