"""Files and directories of a VirtualDisk: what they show now, and what is durable of it."""

from __future__ import annotations

from random import Random

from raftlog.types import Buffer

SECTOR_BYTES = 512
"""A sector is written whole or not at all; pages and rounds are not."""


class Inode:
    """A file's content, and the durable content of each page that is at risk.

    `at_risk` maps a page to its durable bytes (shorter than a page, or empty, where the
    durable file ended). `forgotten` holds the same for pages whose sync failed: no longer
    dirty to the kernel, so that a later sync does not write them.
    """

    __slots__ = (
        "at_risk",
        "content",
        "durable_size",
        "forgotten",
        "forgotten_size",
        "page_bytes",
        "unreadable",
    )

    def __init__(self, page_bytes: int) -> None:
        self.page_bytes = page_bytes
        self.content = bytearray()
        self.durable_size = 0
        self.at_risk: dict[int, bytes] = {}
        self.forgotten: dict[int, bytes] = {}
        self.forgotten_size: int | None = None
        """The size whose sync failed: a later sync makes it durable only if it was changed since,
        be it back to the same."""
        self.unreadable = False

    def write(self, data: Buffer, offset: int) -> None:
        """Change content; what was durable of the touched pages is put aside first."""
        end = offset + len(data)
        if end == offset:
            return
        content = self.content
        size = len(content)
        if offset > size:
            self._touch(size, offset)
            content.extend(bytes(offset - size))
        page = offset // self.page_bytes
        if page != (end - 1) // self.page_bytes:
            self._touch(offset, end)
        elif page not in self.at_risk:
            self._put_aside(page)
        content[offset:end] = data
        if end > size:
            self.forgotten_size = None

    def _touch(self, start: int, end: int) -> None:
        page_bytes = self.page_bytes
        page, last = start // page_bytes, (end - 1) // page_bytes
        while page <= last:
            if page not in self.at_risk:
                self._put_aside(page)
            page += 1

    def _put_aside(self, page: int) -> None:
        if page in self.forgotten:
            self.at_risk[page] = self.forgotten.pop(page)
            return
        first, last = page * self.page_bytes, self.durable_size
        if first >= last:
            self.at_risk[page] = b""
            return
        if last > first + self.page_bytes:
            last = first + self.page_bytes
        with memoryview(self.content) as content:
            self.at_risk[page] = content[first:last].tobytes()

    def truncate(self, size: int) -> None:
        """Cut, or extend with zeros."""
        present = len(self.content)
        if size < present:
            self._touch(size, present)
            del self.content[size:]
            self.forgotten_size = None
        elif size > present:
            self.write(bytes(size - present), present)

    def synced(self) -> None:
        """fdatasync succeeded: all is durable but what an earlier failure made forgotten."""
        self.at_risk.clear()
        size = len(self.content)
        if size != self.forgotten_size:
            self.durable_size = size
            self.forgotten_size = None

    def sync_failed(self) -> None:
        """fdatasync failed: nothing is durable, and the kernel no longer knows it is dirty."""
        for page, old in self.at_risk.items():
            self.forgotten.setdefault(page, old)
        self.at_risk.clear()
        if len(self.content) != self.durable_size:
            self.forgotten_size = len(self.content)

    def crash(self, random: Random) -> None:
        """Keep, drop or tear each page at risk; keep, undo or half-do a change of size."""
        size = self._size_after_crash(random)
        for page, old in sorted({**self.forgotten, **self.at_risk}.items()):
            self._crash_page(page, old, random)
        content = self.content
        if len(content) > size:
            del content[size:]
        else:
            content.extend(bytes(size - len(content)))
        self.at_risk = {}
        self.forgotten = {}
        self.forgotten_size = None
        self.durable_size = size

    def _size_after_crash(self, random: Random) -> int:
        present, durable = len(self.content), self.durable_size
        if present == durable:
            return present
        fate = random.random()
        if fate < 0.4:
            return present
        if fate < 0.8:
            return durable
        return random.randint(min(present, durable), max(present, durable))

    def _crash_page(self, page: int, old: bytes, random: Random) -> None:
        fate = random.random()
        if fate < 0.4:
            return
        first = page * self.page_bytes
        kept = 0
        if fate >= 0.8:
            kept = random.randrange(self.page_bytes // SECTOR_BYTES) * SECTOR_BYTES
        whole = old + bytes(self.page_bytes - len(old))
        if len(self.content) < first + self.page_bytes:
            # A cut that is undone brings the old bytes back: make room, `crash` sets the size.
            self.content.extend(bytes(first + self.page_bytes - len(self.content)))
        self.content[first + kept : first + self.page_bytes] = whole[kept:]


class Change:
    """One atomic change of a directory: names set to a node, or to None (removed)."""

    __slots__ = ("kept", "names", "twin")

    def __init__(
        self, names: dict[str, Inode | Directory | None], twin: Change | None = None
    ) -> None:
        self.names = names
        self.kept: bool | None = None
        """The fate of both halves of a rename between directories, once one is decided."""
        self.twin = twin
        if twin is not None:
            twin.twin = self

    def decide(self, kept: bool) -> bool:
        """Set the fate, unless the twin was decided before."""
        if self.kept is None:
            self.kept = kept
            if self.twin is not None:
                self.twin.kept = kept
        return self.kept


class Directory:
    """Names now (`entries`), durable names, and the changes between the two in order."""

    __slots__ = ("changes", "durable", "entries")

    def __init__(self) -> None:
        self.entries: dict[str, Inode | Directory] = {}
        self.durable: dict[str, Inode | Directory] = {}
        self.changes: list[Change] = []

    def change(self, change: Change) -> None:
        """Do it now; it stays at risk until `synced`."""
        _apply(self.entries, change)
        self.changes.append(change)

    def synced(self) -> None:
        """All names are durable; of a rename the other directory's half too."""
        for change in self.changes:
            change.decide(True)
        self.changes.clear()
        self.durable = dict(self.entries)

    def crash(self, random: Random) -> None:
        """Keep a prefix of the unsynced changes, then crash what is left below."""
        kept = random.randint(0, len(self.changes)) if self.changes else 0
        for number, change in enumerate(self.changes):
            if change.decide(number < kept):
                _apply(self.durable, change)
        self.changes.clear()
        self.entries = dict(self.durable)
        for _, node in sorted(self.entries.items(), key=_name):
            node.crash(random)

    def used_bytes(self) -> int:
        """Sum of the lengths of all files below."""
        return sum(
            len(node.content) if isinstance(node, Inode) else node.used_bytes()
            for node in self.entries.values()
        )


def _apply(entries: dict[str, Inode | Directory], change: Change) -> None:
    for name, node in change.names.items():
        if node is None:
            entries.pop(name, None)
        else:
            entries[name] = node


def _name(item: tuple[str, Inode | Directory]) -> str:
    return item[0]
