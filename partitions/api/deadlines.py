"""Time-outs that almost never fire, kept cheap.

Every acks=all produce has a time-out of many seconds and is done within milliseconds. One
reactor timer each would leave hundreds of thousands of cancelled timers in its heap; here
time-outs share a timer per slice of time, and a cancelled one is gone at once.
"""

from __future__ import annotations

from collections.abc import Callable

from raftlog.seams import Reactor

SLICE_US = 50_000
"""A callback runs up to this much late, never early."""


class Deadline:
    """One callback that is due; cancel it when what it waits for has come."""

    __slots__ = ("_callback", "_slice")

    def __init__(self, members: dict[Deadline, None], callback: Callable[[], None]) -> None:
        self._slice = members
        self._callback = callback
        members[self] = None

    def cancel(self) -> None:
        """Forget the callback; harmless when it already ran."""
        self._slice.pop(self, None)

    def expire(self) -> None:
        """Run the callback."""
        self._callback()


class Deadlines:
    """All of a broker's coarse time-outs."""

    __slots__ = ("_reactor", "_slices")

    def __init__(self, reactor: Reactor) -> None:
        self._reactor = reactor
        self._slices: dict[int, dict[Deadline, None]] = {}

    def __len__(self) -> int:
        return sum(len(members) for members in self._slices.values())

    def add(self, when_us: int, callback: Callable[[], None]) -> Deadline:
        """Run `callback` at `when_us` or up to SLICE_US later, unless cancelled."""
        number = -(-when_us // SLICE_US)
        members = self._slices.get(number)
        if members is None:
            members = self._slices[number] = {}
            self._reactor.call_at(number * SLICE_US, lambda: self._expire(number))
        return Deadline(members, callback)

    def _expire(self, number: int) -> None:
        members = self._slices.pop(number)
        while members:
            deadline = next(iter(members))
            del members[deadline]
            deadline.expire()
