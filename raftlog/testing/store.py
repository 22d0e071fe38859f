"""A data directory as a value: what is visible, what is durable, and what a crash leaves.

`Image` is one group's log, snapshot and hard state, written the dumb way (one list). A
`ModelStore` keeps two of them: `visible` is what the process reads back (the page cache),
`durable` what a power loss cannot take. Rounds move from one to the other in order when their
sync completes; a crash additionally lets through some prefix of the rounds in flight, because
a write that was never synced may still have reached the disk.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from random import Random
from typing import NamedTuple, Protocol

from raftlog.core.membership import decode_configuration
from raftlog.errors import Compacted
from raftlog.storage import LogReader
from raftlog.types import (
    NO_HARD_STATE,
    Configuration,
    Entry,
    EntryKind,
    HardState,
    LogPosition,
    SnapshotMeta,
)

_new_tuple = tuple.__new__


class Round(NamedTuple):
    """One storage round: everything of one Ready that must become durable together."""

    number: int
    """The Ready's number, or 0 when the round is the host's own (a local snapshot)."""
    install: tuple[SnapshotMeta, bytes] | None = None
    """The leader's snapshot: it replaces the log."""
    truncate_from: int = 0
    entries: Sequence[Entry] = ()
    hard_state: HardState | None = None
    compact: tuple[SnapshotMeta, bytes] | None = None
    """This replica's own snapshot: the log up to it goes."""


class Image:
    """One group's durable facts; implements `raftlog.storage.LogReader`."""

    __slots__ = ("data", "entries", "hard_state", "meta")

    def __init__(self, meta: SnapshotMeta) -> None:
        self.meta = meta
        self.data = b""
        """The snapshot's bytes; empty for the group's birth."""
        self.entries: list[Entry] = []
        self.hard_state = NO_HARD_STATE

    def copy(self) -> Image:
        """An independent image of the same facts."""
        image = Image(self.meta)
        image.data = self.data
        image.entries = self.entries[:]
        image.hard_state = self.hard_state
        return image

    def apply(self, change: Round) -> None:
        """Carry out one round, in the order that Ready prescribes."""
        if change.install is not None:
            self.meta, self.data = change.install
            self.entries = []
        if change.truncate_from:
            self.truncate(change.truncate_from)
        if change.entries:
            self.append(change.entries)
        if change.hard_state is not None:
            self.hard_state = change.hard_state
        if change.compact is not None:
            self._compact(*change.compact)

    def append(self, entries: Sequence[Entry]) -> None:
        """Add entries that follow the last one; AssertionError when they do not."""
        mine, first = self.entries, entries[0]
        if mine:
            index, _, _, base, span, _ = mine[-1]
            fits = first.index == index + 1 and first.base == base + span
        else:
            position = self.meta.position
            fits = first.index == position.index + 1 and first.base == position.offset
        if not fits:
            raise AssertionError(f"append of {first[:5]} after {self.last()}")
        mine.extend(entries)

    def truncate(self, first: int) -> None:
        """Delete `first` and all after it; AssertionError at or below the snapshot."""
        if first <= self.meta.position.index:
            raise AssertionError(f"truncation from {first}, snapshot at {self.meta.position}")
        del self.entries[first - self.meta.position.index - 1 :]

    def _compact(self, meta: SnapshotMeta, data: bytes) -> None:
        if meta.position.index <= self.meta.position.index:
            return
        del self.entries[: meta.position.index - self.meta.position.index]
        self.meta, self.data = meta, data

    def term_at(self, index: int) -> int | None:
        """Term of `index`; None below the snapshot and above the end."""
        position, entries = self.meta.position, self.entries
        place = index - position.index
        if 0 < place <= len(entries):
            return entries[place - 1].term
        return position.term if place == 0 else None

    @property
    def last_index(self) -> int:
        """Index of the last entry, or of the snapshot."""
        return self.meta.position.index + len(self.entries)

    # ------------------------------------------------------------------------------ LogReader

    def snapshot(self) -> SnapshotMeta:
        """What lies below the log."""
        return self.meta

    def last(self) -> LogPosition:
        """Position of the last entry."""
        if self.entries:
            index, term, _, base, span, _ = self.entries[-1]
            return _new_tuple(LogPosition, (index, term, base + span))
        return self.meta.position

    def term(self, index: int) -> int:
        """Term of `index`; Compacted or IndexError outside the log."""
        term = self.term_at(index)
        if term is None:
            self._refuse(index)
            raise IndexError(f"term of {index}, last is {self.last_index}")
        return term

    def end_offset(self, index: int) -> int:
        """Offset after `index`; Compacted or IndexError outside the log."""
        if index == self.meta.position.index:
            return self.meta.position.offset
        self._refuse(index)
        return self.entries[index - self.meta.position.index - 1].end

    def read(self, low: int, high: int, max_bytes: int) -> list[Entry]:
        """Entries low..high-1, cut after `max_bytes` of payload but at least one."""
        start = low - self.meta.position.index - 1
        if start < 0:
            self._refuse(low - 1)
        found = self.entries[start : max(start, start + high - low)]
        if len(found) < 2:
            return found
        size = 0
        for count, entry in enumerate(found):
            size += len(entry.payload)
            if size > max_bytes and count:
                return found[:count]
        return found

    def configurations(self) -> list[tuple[int, Configuration]]:
        """The CONFIG entries in the log."""
        return [
            (entry.index, decode_configuration(entry.payload))
            for entry in self.entries
            if entry.kind == EntryKind.CONFIG
        ]

    def configuration_at(self, index: int) -> Configuration:
        """The one in force at `index`, which is not below the snapshot."""
        found = self.meta.configuration
        for at, later in self.configurations():
            if at <= index:
                found = later
        return found

    def _refuse(self, index: int) -> None:
        if index < self.meta.position.index:
            raise Compacted(f"{index} lies below the snapshot at {self.meta.position.index}")


class Store(Protocol):
    """Where a replica writes; `durable` is what the checker holds promises against."""

    visible: Image
    durable: Image

    @property
    def reader(self) -> LogReader:
        """What the core reads; the same log as `visible`."""

    def write(self, change: Round) -> None:
        """Write one round; it is visible at once, except that a local snapshot cuts no log."""

    def sync(self) -> int:
        """Make durable what was written when `begin_sync` ran; the last Ready number in it."""

    def begin_sync(self) -> None:
        """Note what the sync that is about to run covers."""

    def crash(self, random: Random) -> None:
        """Lose what chance takes of the rounds in flight."""

    def recover(self) -> Image:
        """What the directory holds after a start; also the new `visible`."""

    def cut_power_in(self, calls: int) -> None:
        """Have the power fail in the disk call that many from now."""

    def fail_disk(self, random: Random) -> None:
        """Have the disk return an error soon."""

    def fill_disk(self, random: Random) -> None:
        """Leave next to no space on the disk, until `empty_disk`."""

    def empty_disk(self) -> None:
        """There is space again."""

    @property
    def full(self) -> bool:
        """So little space is left that the host should take no more entries."""

    def rot(self) -> None:
        """Have a bit of some file changed while the process is down, at the next start."""

    @property
    def rotten(self) -> bool:
        """A bit was changed: recovery may refuse the directory, and never takes it for good."""

    def repair(self) -> None:
        """Take back every failure that has not happened yet, and make space."""


class ModelStore:
    """The store as the design means it to be: rounds are atomic, ordered and lost from the end."""

    def __init__(self, meta: SnapshotMeta) -> None:
        self.visible = Image(meta)
        self.durable = Image(meta)
        self.in_flight: deque[Round] = deque()
        self._covered = 0

    def write(self, change: Round) -> None:
        """Write one round; it is visible at once, except that a local snapshot cuts no log."""
        if change.compact is None:
            self.visible.apply(change)
        self.in_flight.append(change)

    @property
    def reader(self) -> LogReader:
        """What the core reads."""
        return self.visible

    def begin_sync(self) -> None:
        """Note what the sync that is about to run covers."""
        self._covered = len(self.in_flight)

    def sync(self) -> int:
        """Make the noted rounds durable; the largest Ready number among them."""
        number = 0
        for _ in range(self._covered):
            change = self.in_flight.popleft()
            self.durable.apply(change)
            number = max(number, change.number)
        self._covered = 0
        return number

    def crash(self, random: Random) -> None:
        """A random prefix of the rounds in flight survives, the rest is gone."""
        for _ in range(random.randint(0, len(self.in_flight))):
            self.durable.apply(self.in_flight.popleft())
        self.in_flight.clear()
        self._covered = 0

    def cut_power_in(self, calls: int) -> None:
        """Nothing to cut: a model makes no disk calls."""

    def fail_disk(self, random: Random) -> None:
        """Nothing to fail."""

    def fill_disk(self, random: Random) -> None:
        """Nothing to fill."""

    def empty_disk(self) -> None:
        """Nothing to make space on."""

    @property
    def full(self) -> bool:
        """A model has all the space there is."""
        return False

    def rot(self) -> None:
        """Nothing to change."""

    @property
    def rotten(self) -> bool:
        """A model has no bits."""
        return False

    def repair(self) -> None:
        """Nothing to take back."""

    def recover(self) -> Image:
        """Start again from what is durable."""
        self.visible = self.durable.copy()
        return self.visible
