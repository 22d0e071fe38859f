"""Long work of all coordinators of one broker, in slices, so that nothing else has to wait."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from raftlog.seams import Reactor


class Slices:
    """One slice after the other, however many coordinators load: the host runs a few deferred
    calls before it looks after connections and peers again, and a broker that takes over from
    a dead one has a dozen logs to load at once. They take turns."""

    def __init__(self, reactor: Reactor) -> None:
        self._reactor = reactor
        self._waiting: deque[Callable[[], None]] = deque()

    def later(self, callback: Callable[[], None]) -> None:
        """Call `callback`, a millisecond or two of work, when its turn comes."""
        self._waiting.append(callback)
        if len(self._waiting) == 1:
            self._reactor.call_soon(self._run)

    def _run(self) -> None:
        self._waiting[0]()
        self._waiting.popleft()
        if self._waiting:
            self._reactor.call_soon(self._run)
