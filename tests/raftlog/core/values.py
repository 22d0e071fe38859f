"""Short ways to write replicas and entries."""

from __future__ import annotations

from collections.abc import Iterable

from raftlog.types import Entry, EntryKind, ReplicaId


def rid(name: str) -> ReplicaId:
    """The replica called `name`, a capital letter."""
    return ReplicaId(ord(name) - ord("A"), name.encode() * 16)


def name_of(replica: ReplicaId) -> str:
    """The letter of a replica."""
    return chr(ord("A") + replica.node)


def entry(index: int, term: int, payload: bytes = b"", base: int = 0) -> Entry:
    """A data entry of one offset, or a no-op when it has no payload."""
    if not payload:
        return Entry(index, term, EntryKind.NOOP, base, 0, b"")
    return Entry(index, term, EntryKind.DATA, base, 1, payload)


def chain(terms: Iterable[int], tag: str = "") -> list[Entry]:
    """Entries 1.. with the given terms; the first of a term is its no-op, the rest data."""
    result: list[Entry] = []
    term = base = 0
    for index, this in enumerate(terms, 1):
        payload = b"" if this != term else f"{tag}{index}/{this}".encode()
        result.append(entry(index, this, payload, base))
        term, base = this, result[-1].end
    return result
