"""One partition's copy on this broker: the application of its Raft group.

The group decides what is committed; this class says it in Kafka's words. Nothing is served
before the leader's own no-op is committed, so a batch's leader epoch equals its entry's term
and the high watermark a new leader shows is never below one that was shown before.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

from metadata.configs import TopicConfig
from partitions.errors import ErrorCode, KafkaError
from partitions.records import BatchHeader, set_append_time, stamp
from partitions.replicas.diskguard import DiskGuard
from partitions.replicas.insync import InsyncGate, above_majority
from partitions.replicas.interface import (
    NO_EPOCH,
    NO_OFFSET,
    NO_SEQUENCE,
    NO_TIMESTAMP,
    ActiveProducer,
    AppendOutcome,
    EpochEnd,
    TimestampedOffset,
    TrimOutcome,
)
from partitions.replicas.offline import storage_error
from partitions.replicas.traffic import Traffic
from partitions.replicas.trim import decode_trim, encode_trim
from partitions.replicas.watchers import Watchers
from partitions.storage import Duplicate, PartitionLog
from raftlog.engine import Group, Outcome
from raftlog.engine.group import SnapshotSink
from raftlog.errors import CorruptLog, GroupOffline, NotLeader, Overloaded
from raftlog.ready import SoftState
from raftlog.seams import Reactor
from raftlog.types import Buffer, Entry, EntryKind, Role, SnapshotMeta

OnAppend = Callable[[AppendOutcome], None]


class PartitionReplica:
    """Implements `interface.Replica` for handlers and `engine.Application` for the group."""

    def __init__(
        self,
        topic: str,
        topic_id: bytes,
        partition: int,
        log: PartitionLog,
        config: TopicConfig,
        reactor: Reactor,
        insync: InsyncGate,
        guard: DiskGuard,
        led: Callable[[PartitionReplica], None],
        failed: Callable[[PartitionReplica, str], None],
    ) -> None:
        """`led` is called when this replica has become the confirmed leader, or is not any more
        (`is_leader` says which), `failed` when it is out of service, with the reason."""
        self.topic = topic
        self.topic_id = topic_id
        self.partition = partition
        self.config = config
        self.log = log
        self.is_leader = False
        self.leader_epoch = -1
        self.high_watermark = log.log_start_offset
        self.traffic = Traffic()
        self.group_handle: Group
        self._reactor = reactor
        self._insync = insync
        self._guard = guard
        self._led = led
        self._failed = failed
        self._watchers = Watchers()
        self.watch = self._watchers.add
        """See `interface.Replica.watch`."""
        self._controls = deque([(e.index, decode_trim(e.payload)) for e in log.controls()])
        """(index, new log start) of trims in the log that are not known to be committed."""

    # --- what handlers read

    @property
    def group(self) -> int:
        """The Raft group."""
        return self.group_handle.id

    @property
    def leader_node(self) -> int | None:
        """The leader as this replica's group knows it."""
        leader = self.group_handle.node.leader
        return None if leader is None else leader.node

    @property
    def max_message_bytes(self) -> int:
        """The topic's `max.message.bytes`."""
        return self.config.max_message_bytes

    @property
    def last_stable_offset(self) -> int:
        """The high watermark: there are no transactions yet."""
        return self.high_watermark

    @property
    def log_start_offset(self) -> int:
        """First offset that was not deleted."""
        return self.log.log_start_offset

    @property
    def end_offset(self) -> int:
        """The next offset to be given."""
        return self.group_handle.node.next_offset

    # --- writing

    def append(
        self, batch: memoryview, header: BatchHeader, *, acks: int, on_done: OnAppend
    ) -> AppendOutcome | None:
        """See `interface.Replica.append`."""
        self._check_leader()
        wanted = self.config.min_insync_replicas if acks == -1 else 1
        if wanted > 1:
            self._insync.check(self.group_handle, wanted)
        if header.producer_id >= 0:
            duplicate = self._check_sequence(header)
            if duplicate is not None:
                return self._answer_duplicate(duplicate, acks, on_done)
        self._guard.take(len(batch))
        append_time = NO_TIMESTAMP
        if self.config.message_timestamp_type == "LogAppendTime":
            append_time = self._reactor.wall_ms()
            set_append_time(batch, append_time)
        group = self.group_handle
        base = group.node.next_offset
        stamp(batch, base, self.leader_epoch)
        outcome = AppendOutcome(ErrorCode.NONE, base, append_time, self.log.log_start_offset)
        done = partial(self._appended, outcome, on_done) if acks == -1 else None
        if done is not None and wanted > 1 and above_majority(group, wanted):
            index = group.node.last_index + 1
            done = partial(self._committed_not_insync, index, wanted, outcome, on_done)
        self._propose(EntryKind.DATA, header.last_offset_delta + 1, bytes(batch), done)
        if header.producer_id >= 0:
            self.log.producers.append(header, base)
        self.traffic.came(header.last_offset_delta + 1, len(batch))
        return None if acks == -1 else outcome

    def _check_leader(self) -> None:
        if not self.is_leader:
            text = f"node does not lead {self.topic}-{self.partition}"
            raise KafkaError(ErrorCode.NOT_LEADER_OR_FOLLOWER, text)

    def _propose(
        self,
        kind: EntryKind,
        span: int,
        payload: bytes,
        done: Callable[[Outcome], None] | None,
    ) -> None:
        try:
            self.group_handle.propose(kind, span, payload, done)
        except NotLeader as error:
            raise KafkaError(ErrorCode.NOT_LEADER_OR_FOLLOWER, str(error)) from error
        except Overloaded as error:
            raise KafkaError(ErrorCode.REQUEST_TIMED_OUT, str(error)) from error

    def knows_producer(self, producer_id: int) -> bool:
        """See `interface.Replica.knows_producer`."""
        return self.log.producers.state(producer_id) is not None

    def active_producers(self) -> list[ActiveProducer]:
        """See `interface.Replica.active_producers`."""
        return [
            ActiveProducer(
                producer_id,
                state.epoch,
                state.batches[-1].last_sequence if state.batches else NO_SEQUENCE,
                state.timestamp,
            )
            for producer_id, state in self.log.producers.states()
        ]

    def _check_sequence(self, header: BatchHeader) -> Duplicate | None:
        verdict = self.log.producers.check(header)
        return verdict if isinstance(verdict, Duplicate) else None

    def _answer_duplicate(
        self, duplicate: Duplicate, acks: int, on_done: OnAppend
    ) -> AppendOutcome | None:
        """A batch sent again: answer as the first time, once the first is committed."""
        stamped = self.config.message_timestamp_type == "LogAppendTime"
        outcome = AppendOutcome(
            ErrorCode.NONE,
            duplicate.base_offset,
            duplicate.timestamp if stamped else NO_TIMESTAMP,
            self.log.log_start_offset,
        )
        if acks != -1:
            return outcome
        done = partial(self._appended, outcome, on_done)
        if duplicate.end_offset <= self.high_watermark:
            self._reactor.call_soon(partial(done, Outcome.DONE))
        else:
            # behind everything appended so far, the original included
            self.group_handle.waiters.append((self.group_handle.node.last_index, done))
        return None

    def _committed_not_insync(
        self,
        index: int,
        wanted: int,
        outcome: AppendOutcome,
        on_done: OnAppend,
        result: Outcome,
    ) -> None:
        """Committed, but `min.insync.replicas` asks for more replicas than that."""
        if result is not Outcome.DONE:
            self._appended(outcome, on_done, result)
            return

        def settled(error: ErrorCode) -> None:
            text = "the batch is committed, on fewer replicas than min.insync.replicas"
            failed = AppendOutcome(error, NO_OFFSET, NO_TIMESTAMP, NO_OFFSET, text)
            on_done(failed if error else outcome)

        self._insync.wait(self.group_handle, index, wanted, settled)

    def _appended(self, outcome: AppendOutcome, on_done: OnAppend, result: Outcome) -> None:
        if result is Outcome.DONE:
            on_done(outcome)
            return
        on_done(
            AppendOutcome(
                ErrorCode.NOT_LEADER_OR_FOLLOWER,
                NO_OFFSET,
                NO_TIMESTAMP,
                NO_OFFSET,
                "leadership moved before the batch was committed; it may still become visible",
            )
        )

    def delete_records(self, offset: int, on_done: Callable[[TrimOutcome], None]) -> None:
        """See `interface.Replica.delete_records`; -1 stands for the high watermark."""
        self._check_leader()
        if offset == -1:
            offset = self.high_watermark
        if not 0 <= offset <= self.high_watermark:
            text = f"offset {offset} is above the high watermark {self.high_watermark}"
            raise KafkaError(ErrorCode.OFFSET_OUT_OF_RANGE, text)
        if offset <= self.log.log_start_offset:
            outcome = TrimOutcome(ErrorCode.NONE, self.log.log_start_offset)
            self._reactor.call_soon(partial(on_done, outcome))
            return
        done = partial(self._trimmed, on_done)
        self._propose(EntryKind.CONTROL, 0, encode_trim(offset), done)

    def trim_to(self, offset: int) -> None:
        """Retention: propose a new log start; nothing happens if this replica cannot."""
        if self.is_leader and not self._controls:
            with suppress(NotLeader, Overloaded):
                self.group_handle.propose(EntryKind.CONTROL, 0, encode_trim(offset))

    def retire(self) -> None:
        """The topic was deleted: stop serving and wake whoever waits."""
        self._resign()
        self._watchers.wake()

    def _resign(self) -> None:
        if self.is_leader:
            self.is_leader = False
            self._led(self)

    def _trimmed(self, on_done: Callable[[TrimOutcome], None], result: Outcome) -> None:
        if result is Outcome.DONE:
            on_done(TrimOutcome(ErrorCode.NONE, self.log.log_start_offset))
        else:
            on_done(TrimOutcome(ErrorCode.NOT_LEADER_OR_FOLLOWER, NO_OFFSET))

    # --- reading

    def confirm(self, on_done: Callable[[bool], None]) -> None:
        """See `interface.Replica.confirm`."""
        try:
            self.group_handle.read(lambda outcome: on_done(outcome is Outcome.DONE))
        except GroupOffline:
            self._reactor.call_soon(partial(on_done, False))

    def read(self, offset: int, max_bytes: int, *, at_least_one: bool) -> Buffer:
        """See `interface.Replica.read`."""
        if not self.log.log_start_offset <= offset <= self.high_watermark:
            raise KafkaError(
                ErrorCode.OFFSET_OUT_OF_RANGE,
                f"offset {offset} is outside {self.log.log_start_offset}..{self.high_watermark}",
            )
        try:
            records = self.log.read_batches(
                offset, max_bytes, self.high_watermark, at_least_one=at_least_one
            )
        except CorruptLog as error:
            raise self._distrusted(error) from error
        self.traffic.went(len(records))
        return records

    def _distrusted(self, error: CorruptLog) -> KafkaError:
        """What was read is not what was written: stop, and have the client ask another."""
        self.group_handle.take_offline(str(error))
        return storage_error(self.topic, self.partition)

    def offset_for_timestamp(self, timestamp_ms: int) -> TimestampedOffset | None:
        """See `interface.Replica.offset_for_timestamp`."""
        try:
            found = self.log.offset_for_timestamp(timestamp_ms)
        except CorruptLog as error:
            raise self._distrusted(error) from error
        if found is None or found[1] >= self.high_watermark:
            return None
        return TimestampedOffset(*found)

    def max_timestamp(self) -> TimestampedOffset | None:
        """See `interface.Replica.max_timestamp`."""
        try:
            found = self.log.max_timestamp(self.high_watermark)
        except CorruptLog as error:
            raise self._distrusted(error) from error
        return None if found is None else TimestampedOffset(*found)

    def epoch_at(self, offset: int) -> int:
        """See `interface.Replica.epoch_at`."""
        epochs = self.log.epoch_cache
        at = bisect_right(epochs, offset, key=lambda epoch: epoch[1]) - 1
        return epochs[at][0] if at >= 0 else NO_EPOCH

    def end_of_epoch(self, epoch: int) -> EpochEnd | None:
        """See `interface.Replica.end_of_epoch`."""
        found = self.log.end_of_epoch(epoch)
        if found is None:
            return None
        return EpochEnd(found[0], min(found[1], self.high_watermark))

    # --- engine.Application

    def appended(self, entries: Sequence[Entry]) -> None:
        """Remember trims until their commit."""
        for entry in entries:
            if entry.kind is EntryKind.CONTROL:
                self._controls.append((entry.index, decode_trim(entry.payload)))

    def truncated(self, first: int) -> None:
        """Forget trims that were cut off."""
        while self._controls and self._controls[-1][0] >= first:
            self._controls.pop()

    def committed(self, index: int, offset: int) -> None:
        """Move the high watermark and carry out committed trims."""
        if offset > self.high_watermark:
            self.high_watermark = offset
            self.log.producers.settled(offset)
        while self._controls and self._controls[0][0] <= index:
            at, start = self._controls.popleft()
            self._trim(start, at)
        self._watchers.wake()

    def _trim(self, log_start_offset: int, index: int) -> None:
        """Carry out a committed trim; the core must know what it can no longer read."""
        before = self.log.snapshot()
        self.log.apply_trim(log_start_offset, index)
        after = self.log.snapshot()
        if after != before:
            self.group_handle.node.snapshot_taken(after)

    def leadership(self, state: SoftState) -> None:
        """Serve from the confirmation on, stop with the role."""
        leads = state.role is Role.LEADER and state.confirmed
        if leads and not (self.is_leader and self.leader_epoch == state.term):
            self.is_leader, self.leader_epoch = True, state.term
            self._led(self)
        elif not leads:
            self._resign()
        self._watchers.wake()

    def offline(self, reason: str) -> None:
        """Out of service: whoever waits is woken, and told where to turn, later in the pass."""
        self._resign()
        self._failed(self, reason)
        self._reactor.call_soon(self._watchers.wake)

    def read_snapshot(self, cursor: int, max_bytes: int) -> tuple[SnapshotMeta, bytes, bool]:
        """Part of the manifest and the segment files."""
        return self.log.read_snapshot(cursor, max_bytes)

    def receive_snapshot(self, meta: SnapshotMeta) -> SnapshotSink:
        """Receive a leader's segments in place of this log."""
        return self.log.receive_snapshot(meta)
