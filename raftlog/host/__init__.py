"""The trio host: the real reactor and the real network under an engine.

Only this package (and the other `host` modules) imports trio. It follows the price list of the
hot path: one task per connection that reads with non-blocking sockets and dispatches without
spawning; output is written inline at the end of a pass and only a full socket makes a task
wait; one long-lived thread does every fdatasync of the WAL, signalled through eventfd.

Start with `reactor.TrioReactor`, then `stream.Stream` (a framed, buffered socket) and
`mesh.Mesh` (two connections per pair of brokers). `service.RaftHost` puts them together for
whoever embeds raftlog and has a state machine to replicate (docs/embedding-raftlog.md).
"""

from __future__ import annotations

from raftlog.host.complaints import Complaints
from raftlog.host.mesh import Mesh, PeerAddress
from raftlog.host.reactor import TrioReactor
from raftlog.host.service import RaftHost, Replicated, format_directory, format_quorum
from raftlog.host.stream import Stream

__all__ = [
    "Complaints",
    "Mesh",
    "PeerAddress",
    "RaftHost",
    "Replicated",
    "Stream",
    "TrioReactor",
    "format_directory",
    "format_quorum",
]
