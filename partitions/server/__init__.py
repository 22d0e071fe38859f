"""Client connections: the protocol session, and the host that gives it a socket.

`session` is sans-I/O: it takes bytes, calls the API handlers and gives bytes, keeping
responses in order and everything within `limits` and, over all connections, within `intake`.
`host` (the only part that knows trio) owns sockets, buffers and tasks, one reader per
connection. A session knows nothing of sockets, so the same code runs in simulation.

Start reading at `session`.
"""

from __future__ import annotations

from partitions.server.intake import RequestBudget
from partitions.server.limits import SessionLimits
from partitions.server.session import Session
from partitions.server.statistics import SessionStatistics

__all__ = ["RequestBudget", "Session", "SessionLimits", "SessionStatistics"]
