"""An end to clients that hold what others wait for: room for requests, or for responses.

A client that stops in the middle of a granted frame, or does not take its responses, harms
nobody as long as there is room. Once others wait, it must get on by `BYTES_MIN` in every look,
or it is closed: a bound on how long anybody is kept waiting by one connection.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from partitions.api import ByteBudget
from partitions.server.intake import RequestBudget
from raftlog.seams import Reactor

LOOK_US = 2_000_000
BYTES_MIN = 64 * 1024
"""In one look, so 33 KB/s: a frame of 100 MiB has its room for 53 minutes at the worst."""
UNSENT_BYTES_MIN = BYTES_MIN
"""Who is to take less than this is not why responses wait, unless nobody is served any more."""


class Progress(NamedTuple):
    """How far a connection is. Bytes."""

    requests: int
    """Handled so far: tells one frame from the next."""
    granted: int
    """Size of the frame that it is sending in room granted to it; 0: none."""
    received: int
    unsent: int
    sent: int
    reads: bool
    """False: it is the broker that does not read on."""
    address: str = ""


class Staller(Protocol):
    """What is asked of a connection."""

    def progress(self) -> Progress:
        """As of now."""

    def close(self, reason: str) -> None:
        """End it."""


class Stalls:
    """The connections of all listeners, looked at by one timer while there are any."""

    def __init__(
        self,
        reactor: Reactor,
        requests: RequestBudget,
        responses: ByteBudget,
        look_us: int = LOOK_US,
    ) -> None:
        """`look_us`: a stalled connection is closed after one to two of these."""
        self._reactor = reactor
        self._requests = requests
        self._responses = responses
        self._look_us = look_us
        self._before: dict[Staller, Progress | None] = {}
        """What was seen by the last look; None: it was not there, or nobody waited."""
        self._watching = False

    def watch(self, connection: Staller) -> Callable[[], None]:
        """Close `connection` when others wait and it does not get on; returns what forgets it."""
        self._before[connection] = None
        if not self._watching:
            self._watching = True
            self._next()
        return lambda: self._forget(connection)

    def _forget(self, connection: Staller) -> None:
        self._before.pop(connection, None)

    def _next(self) -> None:
        self._reactor.call_at(self._reactor.now_us() + self._look_us, self._look)

    def _look(self) -> None:
        pressed, responses = self._requests.pressed, self._responses.pressed
        for connection, before in list(self._before.items()):
            now = connection.progress() if pressed or responses else None
            reason = None
            if before is not None and now is not None:
                requests = pressed and self._requests.hinders(now.address, now.granted)
                reason = _stall(before, now, requests=requests, least=self._least(now.address))
            if reason is None:
                self._before[connection] = now
            else:
                del self._before[connection]
                connection.close(f"{reason} in {self._look_us / 1e6:g} s while others wait")
        if self._before:
            self._next()
        else:
            self._watching = False

    def _least(self, address: str) -> int | None:
        """See `_stall`."""
        if not self._responses.is_short(address):
            return None
        return 1 if self._responses.is_full(address) else UNSENT_BYTES_MIN


def _stall(before: Progress, now: Progress, *, requests: bool, least: int | None) -> str | None:
    """What the connection failed to do between two looks, if it holds what others wait for.

    `requests`: others wait for the room of its request; `least`: for that of responses, if as many
    bytes were left for it to take.
    """
    received, sent = now.received - before.received, now.sent - before.sent
    same_frame = before.granted and now.granted and before.requests == now.requests
    if requests and same_frame and now.reads and received < BYTES_MIN:
        return (
            f"a request of {now.granted} bytes holds room (queued.max.request.bytes), "
            f"and {received} bytes of it came"
        )
    unsent = min(before.unsent, now.unsent)
    holds_responses = least is not None and unsent >= least
    # Not read from because it takes no responses, it would keep what it sent for ever.
    holds_requests = requests and unsent and not now.reads
    if (holds_responses or holds_requests) and sent < min(BYTES_MIN, before.unsent):
        return f"{sent} of {before.unsent} bytes of responses were taken"
    return None
