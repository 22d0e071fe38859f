"""The simulation's state machine: a list that only grows, and a digest of how it grew.

An append-only list is the strictest register there is: the length of what a read saw orders it
against every write and every other read, so linearizability is checked by comparing integers.
"""

from __future__ import annotations

from array import array
from struct import Struct
from zlib import crc32

from raftlog.types import Entry, EntryKind

OPERATION = Struct(">Q")
"""Every DATA payload starts with the id of the operation that wrote it."""
_HEADER = Struct(">QQI")


class Machine:
    """State after `applied` entries; offset n of the list is operation `operations[n]`."""

    __slots__ = ("applied", "digest", "operations", "term")

    def __init__(self) -> None:
        self.applied = 0
        """Index of the last entry applied."""
        self.term = 0
        """Its term."""
        self.digest = 0
        """CRC-32 chained over every applied entry's position, kind and payload."""
        self.operations = array("Q")

    @property
    def next_offset(self) -> int:
        """Length of the list: offsets are dense from 0."""
        return len(self.operations)

    def apply(self, entry: Entry) -> None:
        """Apply the next entry; AssertionError for a gap in the log or in the offsets."""
        index, term, kind, base, span, payload = entry
        if index != self.applied + 1 or base != len(self.operations):
            raise AssertionError(
                f"applying {index} with base {base} after {self.applied},"
                f" offset {len(self.operations)}"
            )
        self.applied = index
        self.term = term
        self.digest = crc32(payload, self.digest ^ (term << 3 | kind) & 0xFFFFFFFF)
        if kind == EntryKind.DATA:
            (operation,) = OPERATION.unpack_from(payload)
            self.operations.extend([operation] * span)

    def encode(self) -> bytes:
        """The snapshot."""
        return _HEADER.pack(self.applied, self.term, self.digest) + self.operations.tobytes()

    @classmethod
    def decode(cls, data: bytes) -> Machine:
        """The inverse of `encode`; no bytes at all are the state at birth."""
        machine = cls()
        if data:
            machine.applied, machine.term, machine.digest = _HEADER.unpack_from(data)
            machine.operations.frombytes(data[_HEADER.size :])
        return machine
