"""The Raft core: decisions only, no I/O, no clock.

A `Node` is one replica of one group. Its host feeds it events (a message, a deadline that
passed, a finished write, a proposal), then takes a `Ready`: messages to send, entries and
hard state to make durable, what is committed. Time comes in with the events, randomness with
the constructor; the same events in the same order give the same decisions.

Rules of the package:

- it imports neither trio nor time, random, os, socket, and reads the log only by `LogReader`;
- nothing leaves in a Ready that claims what is not durable: acks, votes and everything said
  in a new term wait inside until `Node.stored`;
- a write is known by its Ready's number and what of it has not been cut since, so that a late
  completion never vouches for entries that took its place;
- what every follower's message costs is independent of the length of the log.

Where to start: `raftlog.ready` for the host's loop; `node` for the facade; `roles` for the
table of role changes; then one protocol per file: `election`, `replication` (leader),
`following` (follower), `heartbeats`, `reads`, `snapshots`, `transfer`, `changes` (of members).
`replica` is the state they share, `log` the log's view, `progress` a follower as seen by the
leader, `quorum` the arithmetic, `membership` the configuration in force.
"""

from __future__ import annotations

from raftlog.core.membership import decode_configuration, encode_configuration, members_of
from raftlog.core.node import Node
from raftlog.core.progress import Progress, ProgressState
from raftlog.core.timing import Randrange, Timing
from raftlog.core.view import NodeStatistics

__all__ = [
    "Node",
    "NodeStatistics",
    "Progress",
    "ProgressState",
    "Randrange",
    "Timing",
    "decode_configuration",
    "encode_configuration",
    "members_of",
]
