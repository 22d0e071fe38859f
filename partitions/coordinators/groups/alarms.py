"""The deadlines of a coordinator's groups: one lazy heap, one timer."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heapify, heappop, heappush

from partitions.coordinators.groups.group import ClassicGroup
from raftlog.seams import Reactor, Timer

LATE_US = 500_000
"""A timer that is this late tells of a stall."""
GRACE_US = 500_000
"""Time to read what clients have sent before a stall is held against them."""


STALE_MAX = 1_000
"""Entries in the heap that mean nothing any more."""


class Alarms:
    """Calls `tick(group)` when a group's deadline has passed.

    A heartbeat moves a deadline later without touching the heap: the entry is looked at when it
    comes up, and put back.
    """

    def __init__(self, reactor: Reactor, tick: Callable[[ClassicGroup], None]) -> None:
        self._reactor = reactor
        self._tick = tick
        self._heap: list[tuple[int, int, ClassicGroup]] = []
        self._due: dict[ClassicGroup, int] = {}
        """When each group's entry in the heap comes up; other entries are stale."""
        self._sequence = 0
        self._timer: Timer | None = None
        self._timer_us = 0

    def update(self, group: ClassicGroup) -> None:
        """Take note of the group's deadline after something happened to it."""
        deadline, due = group.deadline, self._due.get(group)
        if deadline is None or (due is not None and due <= deadline):
            return
        self._due[group] = deadline
        self._sequence += 1
        heappush(self._heap, (deadline, self._sequence, group))
        self._arm()

    def forget(self, group: ClassicGroup) -> None:
        """The group is gone."""
        self._due.pop(group, None)
        if len(self._heap) > STALE_MAX + 2 * len(self._due):
            # Sessions may be long: groups that come and go must not be remembered for all of them.
            self._heap = [entry for entry in self._heap if self._due.get(entry[2]) == entry[0]]
            heapify(self._heap)

    def __len__(self) -> int:
        return len(self._heap)

    def close(self) -> None:
        """Nothing is due any more."""
        self._heap.clear()
        self._due.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        due = self._heap[0][0]
        if self._timer is not None:
            if self._timer_us <= due:
                return
            self._timer.cancel()
        self._timer_us = due
        self._timer = self._reactor.call_at(due, self._fire)

    def _fire(self) -> None:
        self._timer = None
        now = self._reactor.now_us()
        if now > self._timer_us + LATE_US:
            # This process stood still. Signs of life have come meanwhile: they are read first.
            self._timer_us = now + GRACE_US
            self._timer = self._reactor.call_at(self._timer_us, self._fire)
            return
        while self._heap and self._heap[0][0] <= now:
            due, _, group = heappop(self._heap)
            if self._due.get(group) != due:
                continue
            del self._due[group]
            deadline = group.deadline
            if deadline is not None and deadline <= now:
                self._tick(group)
            self.update(group)
        if self._heap:
            self._arm()
