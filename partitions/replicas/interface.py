"""What request handlers may ask of one partition's replica on this broker.

Everything is synchronous and runs on the loop thread. What has to wait for a commit takes a
callback; a callback never runs inside the call it was given to. Failures that are known at
once are raised as KafkaError; later ones are the outcome's `error`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from metadata.configs import TopicConfig
from partitions.errors import ErrorCode
from partitions.records import BatchHeader
from raftlog.types import Buffer

NO_OFFSET = -1
NO_TIMESTAMP = -1
NO_EPOCH = -1
NO_SEQUENCE = -1


class AppendOutcome(NamedTuple):
    """What became of one appended batch."""

    error: ErrorCode
    """NONE, or why the batch's fate is unknown (NOT_LEADER_OR_FOLLOWER after a step-down,
    NOT_ENOUGH_REPLICAS_AFTER_APPEND)."""
    base_offset: int
    """Offset of the first record; NO_OFFSET unless `error` is NONE."""
    log_append_time: int
    """Wall-clock ms when the topic stamps append time, else NO_TIMESTAMP."""
    log_start_offset: int
    message: str | None = None
    """One sentence for the client, when there is an error."""


class TrimOutcome(NamedTuple):
    """What became of a DeleteRecords on one partition."""

    error: ErrorCode
    low_watermark: int
    """The log start offset now; NO_OFFSET when `error` is set."""


class TimestampedOffset(NamedTuple):
    """A record found by its timestamp (ms)."""

    timestamp: int
    offset: int


class EpochEnd(NamedTuple):
    """A leader epoch and the offset after its last record."""

    epoch: int
    end_offset: int


class ActiveProducer(NamedTuple):
    """An idempotent producer that a partition remembers."""

    producer_id: int
    epoch: int
    last_sequence: int
    """Of its last batch; NO_SEQUENCE before the first one of this epoch."""
    last_timestamp: int
    """Of its last batch, ms."""


class ReplicaOnDisk(NamedTuple):
    """What one partition's copy takes on this broker's disk."""

    topic: str
    partition: int
    size_bytes: int
    """Of the segment files that hold its records."""
    offset_lag: int
    """Offsets from its end to the high watermark it knows of; NO_OFFSET when it is offline."""


class DiskUsage(NamedTuple):
    """This broker's data directory."""

    total_bytes: int
    """Of the file system it is on."""
    usable_bytes: int
    """Of these, what this process may still take."""
    replicas: tuple[ReplicaOnDisk, ...]


class Replica(Protocol):
    """One partition's copy on this broker. Offsets are Kafka's, in records."""

    @property
    def topic(self) -> str:
        """The topic's name."""

    @property
    def topic_id(self) -> bytes:
        """16 bytes."""

    @property
    def partition(self) -> int:
        """Number of the partition in its topic."""

    @property
    def group(self) -> int:
        """The partition's Raft group."""

    @property
    def is_leader(self) -> bool:
        """Leads, its no-op is committed and its state is loaded: it may serve clients."""

    @property
    def leader_epoch(self) -> int:
        """The confirmed term; meaningful while `is_leader`."""

    @property
    def leader_node(self) -> int | None:
        """The confirmed leader's node as far as this replica knows."""

    @property
    def config(self) -> TopicConfig:
        """The topic's settings in force."""

    @property
    def max_message_bytes(self) -> int:
        """Largest batch accepted: the topic's effective `max.message.bytes`."""

    @property
    def high_watermark(self) -> int:
        """End offset of the committed prefix: what clients may see."""

    @property
    def last_stable_offset(self) -> int:
        """First offset of the oldest open transaction, at most the high watermark."""

    @property
    def log_start_offset(self) -> int:
        """First offset that has not been deleted."""

    @property
    def end_offset(self) -> int:
        """The next offset to be given, committed or not."""

    def append(
        self,
        batch: memoryview,
        header: BatchHeader,
        *,
        acks: int,
        on_done: Callable[[AppendOutcome], None],
    ) -> AppendOutcome | None:
        """Stamp and append one validated batch.

        `batch` is writable, is stamped in place and is valid only during this call. acks=-1:
        None, and `on_done` runs once, later, when the batch is committed or its fate became
        unknown. acks=0 and 1: the outcome at once; `on_done` never runs. Raises KafkaError
        when nothing was appended: NOT_LEADER_OR_FOLLOWER, NOT_ENOUGH_REPLICAS,
        OUT_OF_ORDER_SEQUENCE_NUMBER, INVALID_PRODUCER_EPOCH, KAFKA_STORAGE_ERROR, ...
        """

    def confirm(self, on_done: Callable[[bool], None]) -> None:
        """Ask a majority whether this replica still leads (ReadIndex); `on_done` runs once, later.

        True: no other leader had committed anything when this was asked, so whatever was
        acknowledged until then is below the high watermark. False: it is not known.
        """

    def knows_producer(self, producer_id: int) -> bool:
        """Is a batch of this idempotent producer in the log, as far as that is remembered?"""

    def active_producers(self) -> list[ActiveProducer]:
        """The idempotent producers that are remembered, in no order."""

    def read(self, offset: int, max_bytes: int, *, at_least_one: bool) -> Buffer:
        """Whole committed batches from the one that holds `offset` on; empty when there is none.

        At most `max_bytes`, but with `at_least_one` the first batch whatever its size. Raises
        KafkaError OFFSET_OUT_OF_RANGE outside log_start_offset..high_watermark.
        """

    def watch(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Run `callback` once when the high watermark moves or leadership changes.

        Returns a function that forgets the callback; harmless after it ran.
        """

    def offset_for_timestamp(self, timestamp_ms: int) -> TimestampedOffset | None:
        """The first visible record at or after `timestamp_ms`."""

    def max_timestamp(self) -> TimestampedOffset | None:
        """The visible record with the largest timestamp (KIP-734)."""

    def end_of_epoch(self, epoch: int) -> EpochEnd | None:
        """The largest epoch <= `epoch` and where it ends (KIP-101); None before the first.

        The end of the current epoch is the high watermark, so that no client is led to an
        offset that may yet be truncated.
        """

    def epoch_at(self, offset: int) -> int:
        """The leader epoch of the record at `offset`; the latest epoch's for the log's end, and
        NO_EPOCH when nothing is known of it."""

    def delete_records(self, offset: int, on_done: Callable[[TrimOutcome], None]) -> None:
        """Move the log start up to `offset`; `on_done` runs once, later, at the trim's commit.

        Raises KafkaError OFFSET_OUT_OF_RANGE above the high watermark, NOT_LEADER_OR_FOLLOWER.
        """
