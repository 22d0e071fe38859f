"""Changes on their way into the log: one batch per pass, applied and answered at its commit.

Changes of one pass go out together, in the order they were asked for, and batches are settled
in the order of the log: whoever asked is answered when everything before it has been applied.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator

from partitions.coordinators.groups.answers import to_client
from partitions.coordinators.groups.offsets import size_of
from partitions.coordinators.groups.schemas import Change, Key, encode_key, encode_value
from partitions.errors import ErrorCode, KafkaError
from partitions.records import HEADER_BYTES, Record, build_batch, parse_header
from partitions.replicas.interface import AppendOutcome, Replica
from raftlog.seams import Reactor

WAITING_BYTES_MAX = 16 * 1024 * 1024
"""Changes that are not committed yet; more are refused until some are."""

Done = Callable[[ErrorCode], None]


class _Asked:
    """Changes that were asked for together; they may be spread over several batches."""

    __slots__ = ("batches", "changes", "done", "error", "size")

    def __init__(self, changes: list[Change], size: int, done: Done) -> None:
        self.changes = changes
        self.size = size
        self.done = done
        self.batches = 0
        """Those of its batches that are not settled."""
        self.error = ErrorCode.NONE


class _Batch:
    __slots__ = ("asked", "changes", "end", "outcome", "records", "size")

    def __init__(self) -> None:
        self.changes: list[Change] = []
        self.records: list[Record] = []
        self.asked: list[_Asked] = []
        self.size = HEADER_BYTES
        self.end = 0
        self.outcome: ErrorCode | None = None


class Appender:
    """Writes one partition for one leader epoch."""

    def __init__(
        self,
        replica: Replica,
        reactor: Reactor,
        apply: Callable[[Change], None],
        lost: Callable[[], None],
    ) -> None:
        """`apply` is called for every committed change. `lost` is called when it is not known
        what became of a batch: the state here may not be the log's any more."""
        self._replica = replica
        self._reactor = reactor
        self._apply = apply
        self._lost = lost
        self._waiting: list[_Asked] = []
        self._open: deque[_Batch] = deque()
        self._closed = False
        self._on_their_way: dict[str, Counter[Key]] = {}
        """By group, how many changes of each key are waiting or not settled."""
        self.waiting_bytes = 0
        self.written_bytes = 0
        """Of batches that were appended, since the log's part that is kept began."""
        self.settled_offset = replica.end_offset
        """Everything below it is applied."""

    def submit(self, changes: list[Change], done: Done) -> None:
        """Have `changes` committed; `done` is called once, never from within, when these are
        and everything before them. So it is when there are none."""
        size = sum(map(size_of, changes))
        if self._closed or self.waiting_bytes + size > WAITING_BYTES_MAX:
            busy = ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
            error = ErrorCode.NOT_COORDINATOR if self._closed else busy
            self._reactor.call_soon(lambda: done(error))
            return
        self.waiting_bytes += size
        self._waiting.append(_Asked(changes, size, done))
        for change in changes:
            self._on_their_way.setdefault(change.key.group, Counter())[change.key] += 1
        if len(self._waiting) == 1:
            self._reactor.call_soon(self._flush)

    def keys_of(self, group: str) -> set[Key]:
        """Keys of a group's changes that are not settled, appended or not."""
        return set(self._on_their_way.get(group, ()))

    def is_on_its_way(self, key: Key) -> bool:
        """Is some change of it not settled, appended or not?"""
        return key in self._on_their_way.get(key.group, ())

    def unsettled(self) -> Iterator[Change]:
        """The last change of each key that has one on its way."""
        batches = [change for batch in self._open for change in batch.changes]
        waiting = [change for asked in self._waiting for change in asked.changes]
        for key, value in dict(batches + waiting).items():
            yield Change(key, value)

    def waiting_keys(self) -> set[Key]:
        """Keys of changes that are not appended yet, and may still be refused."""
        return {change.key for asked in self._waiting for change in asked.changes}

    def appended_keys(self) -> set[Key]:
        """Keys of changes that are in the log and not known to be committed."""
        return {change.key for batch in self._open for change in batch.changes}

    def close(self) -> None:
        """This epoch is over: answer everything that waits."""
        if self._closed:
            return
        self._closed = True
        waiting, self._waiting = self._waiting, []
        batches, self._open = self._open, deque()
        self._on_their_way.clear()
        asked = dict.fromkeys([one for batch in batches for one in batch.asked])
        for one in [*asked, *waiting]:
            one.done(ErrorCode.NOT_COORDINATOR)

    # --- appending

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        for batch in self._batches(waiting):
            self._append(batch)
        self._settle()

    def _batches(self, waiting: list[_Asked]) -> Iterator[_Batch]:
        limit = self._replica.max_message_bytes
        batch = _Batch()
        for asked in waiting:
            if not asked.changes:
                self._join(batch, asked)
            for change in asked.changes:
                size = size_of(change)
                if batch.records and batch.size + size > limit:
                    yield batch
                    batch = _Batch()
                self._add(batch, asked, change, size)
        if batch.asked:
            yield batch

    def _join(self, batch: _Batch, asked: _Asked) -> None:
        if not batch.asked or batch.asked[-1] is not asked:
            batch.asked.append(asked)
            asked.batches += 1

    def _add(self, batch: _Batch, asked: _Asked, change: Change, size: int) -> None:
        self._join(batch, asked)
        batch.changes.append(change)
        batch.records.append(Record(key=encode_key(change.key), value=encode_value(change.value)))
        batch.size += size

    def _append(self, batch: _Batch) -> None:
        """Nothing acknowledges before `on_done`: acks=-1 is a commit."""
        self._open.append(batch)
        if not batch.records:
            batch.outcome = ErrorCode.NONE
            return
        data = build_batch(batch.records, base_timestamp=self._reactor.wall_ms())
        batch.records = []

        def done(outcome: AppendOutcome) -> None:
            batch.outcome = outcome.error
            self._settle()

        try:
            self._replica.append(memoryview(data), parse_header(data), acks=-1, on_done=done)
        except KafkaError as error:
            batch.changes = []  # nothing of it is in the log
            batch.outcome = to_client(error.code)
            return
        batch.end = self._replica.end_offset
        self.written_bytes += len(data)

    def _settle(self) -> None:
        """Apply and answer the batches whose fate is known, in the order of the log."""
        batches = self._open
        while batches and batches[0].outcome is not None and not self._closed:
            batch = batches[0]
            assert batch.outcome is not None
            if batch.changes and batch.outcome not in _COMMITTED:
                self._lost()
                return
            batches.popleft()
            for change in batch.changes:
                self._apply(change)
            self.settled_offset = max(self.settled_offset, batch.end)
            for asked in batch.asked:
                self._answer(asked, to_client(batch.outcome))

    def _answer(self, asked: _Asked, error: ErrorCode) -> None:
        asked.error = asked.error or error
        asked.batches -= 1
        if not asked.batches:
            self.waiting_bytes -= asked.size
            self._arrived(asked.changes)
            asked.done(asked.error)

    def _arrived(self, changes: list[Change]) -> None:
        for key, _ in changes:
            keys = self._on_their_way[key.group]
            keys[key] -= 1
            if not keys[key]:
                del keys[key]
                if not keys:
                    del self._on_their_way[key.group]


_COMMITTED = (ErrorCode.NONE, ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND)
"""The second says that fewer replicas hold the batch than min.insync.replicas asks for."""
