"""One heap of deadlines for all groups, one timer for the heap.

Entries are lazy: a group that heard from its leader has a later deadline than its entry
says; the entry is pushed again when it comes up. A sleeping group has no entry.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush

from raftlog.engine.group import Group
from raftlog.seams import Reactor, Timer


class Schedule:
    """Calls `tick` when a group's deadline has passed."""

    def __init__(self, reactor: Reactor, tick: Callable[[Group, int], None]) -> None:
        """`tick(group, now_us)` does what is due."""
        self._reactor = reactor
        self._tick = tick
        self._heap: list[tuple[int, int, Group]] = []
        self._sequence = 0
        self._timer: Timer | None = None
        self._timer_us = 0

    def update(self, group: Group) -> None:
        """Take note of the group's deadline after something happened to it."""
        deadline = group.node.deadline
        if deadline is None or (group.due_us and group.due_us <= deadline):
            return
        group.due_us = deadline
        self._sequence += 1
        heappush(self._heap, (deadline, self._sequence, group))
        self._arm()

    @property
    def size(self) -> int:
        """Heap entries, stale ones included."""
        return len(self._heap)

    def forget(self, group: Group) -> None:
        """The group is gone: its heap entry becomes stale."""
        group.due_us = -1

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
        heap = self._heap
        while heap and heap[0][0] <= now:
            due, _, group = heappop(heap)
            if due != group.due_us:
                continue
            group.due_us = 0
            deadline = group.node.deadline
            if deadline is not None and deadline <= now:
                self._tick(group, now)
            self.update(group)
        if heap:
            self._arm()
