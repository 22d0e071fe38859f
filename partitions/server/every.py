"""A job that is done again and again, at an interval that may change."""

from __future__ import annotations

from collections.abc import Callable

from raftlog.seams import Reactor, Timer


class Every:
    """Does `job` at the start and then after every interval."""

    __slots__ = ("_interval_us", "_job", "_reactor", "_timer", "_waits_us")

    def __init__(
        self, reactor: Reactor, interval_us: Callable[[], int], job: Callable[[], None]
    ) -> None:
        """`interval_us` is asked before every wait."""
        self._reactor = reactor
        self._interval_us = interval_us
        self._job = job
        self._waits_us = 0
        self._timer: Timer | None = None

    def start(self) -> None:
        """Do it now, and go on."""
        self._job()
        self._wait()

    def interval_changed(self) -> None:
        """A wait that has begun begins anew if `interval_us` has another answer than then."""
        if self._timer is not None and self._interval_us() != self._waits_us:
            self._timer.cancel()
            self._wait()

    def _wait(self) -> None:
        self._waits_us = self._interval_us()
        self._timer = self._reactor.call_at(self._reactor.now_us() + self._waits_us, self.start)
