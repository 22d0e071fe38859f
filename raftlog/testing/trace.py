"""What happened, in order: cheap to record, written out only when somebody reads it.

Times and values only, no addresses of objects and no hashes, so that two runs of a seed give
the same bytes under any PYTHONHASHSEED.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from hashlib import sha256
from itertools import islice

from raftlog.messages import AppendRequest, Message, SnapshotChunk
from raftlog.ready import Ready
from raftlog.types import HardState, ReplicaId

Event = tuple[object, ...]
KEPT = 400
"""Events kept when only a failure's last lines will be wanted."""


class Trace:
    """A log of (time in us, node, word, details...)."""

    __slots__ = ("_events", "add")

    def __init__(self, *, whole: bool) -> None:
        self._events: deque[Event] = deque(maxlen=None if whole else KEPT)
        self.add = self._events.append
        """Record one event: a tuple of time, node (-1: the simulation), word and details."""

    def lines(self, last: int | None = None) -> Iterator[str]:
        """The events as text, all kept ones or the `last` few."""
        start = 0 if last is None else max(0, len(self._events) - last)
        return (line(event) for event in islice(self._events, start, None))

    def digest(self) -> str:
        """SHA-256 over every kept line."""
        digest = sha256()
        for text in self.lines():
            digest.update(text.encode())
            digest.update(b"\n")
        return digest.hexdigest()


def line(event: Event) -> str:
    """One event as text."""
    time, node, word, *details = event
    who = "-" if node == -1 else f"n{node}"
    return f"{time:>10} {who:<3} {word} " + " ".join(map(describe, details))


def describe(value: object) -> str:
    """A short, unambiguous text for what occurs in traces."""
    if isinstance(value, ReplicaId):
        return f"n{value.node}"
    if isinstance(value, AppendRequest):
        entries = ",".join(f"{e.index}/{e.term}" for e in value.entries)
        return (
            f"Append t{value.term} prev={value.prev_index}/{value.prev_term}"
            f" commit={value.commit} [{entries}]"
        )
    if isinstance(value, SnapshotChunk):
        position = value.meta.position
        return (
            f"SnapshotChunk t{value.term} at={position.index}/{position.term}"
            f" cursor={value.cursor}+{len(value.data)} done={value.done}"
        )
    if isinstance(value, Ready):
        return " ".join(_parts(value))
    if isinstance(value, HardState):
        return f"term={value.term} vote={'-' if value.vote is None else describe(value.vote)}"
    if isinstance(value, Message):
        fields = " ".join(f"{n}={v}" for n, v in zip(value._fields, value, strict=True))
        return f"{type(value).__name__} {fields}"
    return str(value)


def _parts(ready: Ready) -> Iterator[str]:
    """What a Ready holds; of messages the type only: their arrivals have lines of their own."""
    yield f"#{ready.number} commit={ready.commit}"
    if ready.soft_state is not None:
        yield f"{ready.soft_state.role.name}@{ready.soft_state.term}"
    if ready.hard_state is not None:
        yield describe(ready.hard_state)
    if ready.snapshot is not None:
        at = ready.snapshot.meta.position
        yield f"install={at.index}/{at.term}+{ready.snapshot.cursor} done={ready.snapshot.done}"
    if ready.truncate_from:
        yield f"cut={ready.truncate_from}"
    if ready.entries:
        yield "entries=" + ",".join(f"{e.index}/{e.term}" for e in ready.entries)
    for target, message in ready.messages:
        yield f"{type(message).__name__}>n{target.node}"
    for read in ready.reads:
        yield f"read={read.context}@{read.index}"
