"""The newest entries of a SegmentLog in memory."""

from __future__ import annotations

from typing import Final

from raftlog.types import Entry

TAIL_BYTES: Final = 1024 * 1024
"""Size kept at least, where there is that much; at most twice as much (or one entry)."""

_ENTRY_BYTES: Final = 160
"""What an entry costs beside its payload, so that empty ones are bounded too."""


class Tail:
    """A run of entries without gaps that ends at the log's last one."""

    __slots__ = ("_bytes", "_entries")

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._bytes = 0

    def append(self, entry: Entry) -> None:
        """The log's new last entry."""
        self._entries.append(entry)
        self._bytes += _ENTRY_BYTES + len(entry.payload)
        if self._bytes > 2 * TAIL_BYTES:
            self._trim()

    def _trim(self) -> None:
        drop = 0
        while self._bytes > TAIL_BYTES and drop < len(self._entries) - 1:
            self._bytes -= _ENTRY_BYTES + len(self._entries[drop].payload)
            drop += 1
        del self._entries[:drop]

    def reaches(self, index: int) -> bool:
        """True when everything from `index` on is here."""
        return bool(self._entries) and self._entries[0].index <= index

    def read(self, low: int, high: int) -> list[Entry]:
        """Entries low..high-1, which `reaches(low)`."""
        first = self._entries[0].index
        return self._entries[low - first : high - first]

    def cut_from(self, first: int) -> None:
        """Entry `first` and everything after it is gone."""
        while self._entries and self._entries[-1].index >= first:
            self._bytes -= _ENTRY_BYTES + len(self._entries.pop().payload)

    def drop_up_to(self, index: int) -> None:
        """The log begins after `index` now."""
        if self.reaches(index):
            drop = index - self._entries[0].index + 1
            for entry in self._entries[:drop]:
                self._bytes -= _ENTRY_BYTES + len(entry.payload)
            del self._entries[:drop]

    def clear(self) -> None:
        """The log is empty."""
        self._entries.clear()
        self._bytes = 0
