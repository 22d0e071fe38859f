"""The vocabulary every part of raftlog shares: replicas, configurations, entries, hard state.

All of these are immutable values. None of them knows what an entry's payload means.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

MAX_TERM = 2**31 - 1
"""Terms are handed to Kafka clients as leader epochs, which are int32: a larger term is refused."""

METADATA_GROUP = 0
"""The group id of the metadata quorum, which allots every other group's id; none is reused."""

Buffer = bytes | bytearray | memoryview


class ReplicaId(NamedTuple):
    """One copy of a group: the node it runs on and the data directory that holds it.

    A wiped or replaced directory is another replica, even on the same node: it cannot vote
    in the name of the one whose promises were lost with the old directory.
    """

    node: int
    """Node id, >= 0, given by the operator."""
    directory: bytes
    """16 random bytes, written once by `quorate storage format`."""

    def __str__(self) -> str:
        """For people, in errors and logs."""
        return f"node {self.node} (directory {self.directory.hex()})"


class Configuration(NamedTuple):
    """Who votes. It is joint while `outgoing` is not empty (Raft paper, section 6)."""

    voters: tuple[ReplicaId, ...]
    outgoing: tuple[ReplicaId, ...] = ()
    learners: tuple[ReplicaId, ...] = ()


class EntryKind(IntEnum):
    """What an entry is for. Only DATA entries span offsets."""

    DATA = 0
    """The application's entry: for a partition one Kafka record batch."""
    NOOP = 1
    """A new leader's first entry."""
    CONFIG = 2
    """A configuration, active as soon as it is appended."""
    CONTROL = 3
    """The application's entry that spans no offsets (a partition's trim)."""


class Entry(NamedTuple):
    """One position of a group's log.

    Index and offset are two spaces: every entry takes one index, and `span` offsets from
    `base` on. Offsets are dense: `base` equals the previous entry's `base + span`.
    """

    index: int  # type: ignore[assignment]  # takes the name of tuple.index
    term: int
    kind: EntryKind
    base: int
    """First offset of the entry; for a zero-span entry, the next offset to be given."""
    span: int
    payload: bytes

    @property
    def end(self) -> int:
        """The offset that follows this entry."""
        return self.base + self.span


class HardState(NamedTuple):
    """What a replica must remember about its promises; made durable in one write."""

    term: int
    vote: ReplicaId | None


class LogPosition(NamedTuple):
    """A point between two entries: everything up to and including `index` lies before it."""

    index: int  # type: ignore[assignment]  # takes the name of tuple.index
    term: int
    offset: int
    """The next offset after `index`."""


ZERO_POSITION = LogPosition(0, 0, 0)
NO_HARD_STATE = HardState(0, None)


class SnapshotMeta(NamedTuple):
    """What a snapshot stands for: the log up to `position`, and the configuration there."""

    position: LogPosition
    configuration: Configuration


class Role(IntEnum):
    """The parts a replica can play (Raft paper, figure 4, plus pre-vote)."""

    FOLLOWER = 0
    PRE_CANDIDATE = 1
    CANDIDATE = 2
    LEADER = 3
