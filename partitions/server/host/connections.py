"""Which clients are connected: bounds on their number, and an end to the idle ones.

One timer serves all connections: it notes how many bytes each has moved, and closes those that
have moved none for `idle_us`. A client whose request is being worked on is not idle; one
that sent half a request and went silent is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import structlog

from partitions.server.host.descriptors import LIMIT_MAX, for_clients
from partitions.server.statistics import SessionStatistics
from raftlog.seams import Reactor, Timer

log = structlog.get_logger()

LOOKS_PER_IDLE_TIME = 8
"""A connection is closed at most an eighth of the time late."""
LOOK_US_MIN = 10_000


class Idler(Protocol):
    """What is asked of a connection."""

    def statistics(self) -> SessionStatistics:
        """Of its session."""

    def close(self, reason: str) -> None:
        """End it."""


class _Seen(NamedTuple):
    moved_bytes: int
    since_us: int


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Of all listeners together."""

    total: int
    """max.connections"""
    per_address: int
    """max.connections.per.ip"""
    idle_us: int
    """connections.max.idle.ms"""
    descriptors: int = LIMIT_MAX
    """What the process may have open (`ulimit -n`): see `descriptors`."""


class Connections:
    """The clients of all listeners."""

    def __init__(self, reactor: Reactor, limits: ConnectionLimits) -> None:
        self._reactor = reactor
        self._timer: Timer | None = None
        """The next look, while there is anybody to look at."""
        self.set_limits(limits)
        self._by_address: dict[str, int] = {}
        self._seen: dict[Idler, _Seen] = {}
        self._present = 0
        self._opened = 0

    def set_limits(self, limits: ConnectionLimits) -> None:
        """Other bounds, from now on; connections that there are too many of stay. The idle ones
        are looked for in the new rhythm at once."""
        self._limits = limits
        self._look_us = max(LOOK_US_MIN, limits.idle_us // LOOKS_PER_IDLE_TIME)
        if self._timer is not None:
            self._timer.cancel()
            self._next()

    @property
    def present(self) -> int:
        """Connections open now."""
        return self._present

    @property
    def accepted(self) -> int:
        """Connections so far."""
        return self._opened

    def in_flight(self) -> int:
        """Requests whose response is not known yet; takes about a microsecond per connection."""
        return sum(connection.statistics().in_flight for connection in self._seen)

    @property
    def busy(self) -> int:
        """Connections with a request that is not answered, or an answer not taken yet."""
        seen = [connection.statistics() for connection in self._seen]
        return sum(1 for each in seen if each.in_flight or each.unsent_bytes)

    def refusal(self, address: str) -> str | None:
        """The setting whose bound one more connection from `address` would pass."""
        if self._present >= self._limits.total:
            return f"max.connections ({self._limits.total})"
        descriptors = self._limits.descriptors
        if self._present >= for_clients(descriptors):
            return f"half of the {descriptors} file descriptors of this process (ulimit -n)"
        if self._by_address.get(address, 0) >= self._limits.per_address:
            return f"max.connections.per.ip ({self._limits.per_address})"
        return None

    def opened(self, address: str) -> int:
        """Count one more; its number, unique in this process."""
        self._present += 1
        self._opened += 1
        self._by_address[address] = self._by_address.get(address, 0) + 1
        return self._opened

    def closed(self, address: str) -> None:
        """Count one less."""
        self._present -= 1
        left = self._by_address.pop(address) - 1
        if left:
            self._by_address[address] = left

    def watch(self, connection: Idler) -> Callable[[], None]:
        """Close `connection` when it is idle; returns what forgets it."""
        self._seen[connection] = _Seen(0, self._reactor.now_us())
        if self._timer is None:
            self._next()
        return lambda: self._forget(connection)

    def _forget(self, connection: Idler) -> None:
        self._seen.pop(connection, None)

    def _next(self) -> None:
        self._timer = self._reactor.call_at(self._reactor.now_us() + self._look_us, self._look)

    def _look(self) -> None:
        now = self._reactor.now_us()
        idle = [connection for connection in self._seen if self._is_idle(connection, now)]
        reason = f"idle for {self._limits.idle_us // 1000} ms (connections.max.idle.ms)"
        for connection in idle:
            del self._seen[connection]
            connection.close(reason)
        self._timer = None
        if self._seen:
            self._next()

    def _is_idle(self, connection: Idler, now: int) -> bool:
        now_at = connection.statistics()
        moved = now_at.received_bytes + now_at.sent_bytes
        seen = self._seen[connection]
        if moved != seen.moved_bytes or now_at.in_flight:
            self._seen[connection] = _Seen(moved, now)
            return False
        return now - seen.since_us >= self._limits.idle_us
