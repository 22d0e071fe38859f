"""The trio host of a broker: sockets, signals and the process around `partitions.server.broker`.

Nothing here decides anything about Kafka or Raft. `run_broker` is the whole life of a broker
process; `listener` serves Kafka clients; peers are served by `raftlog.host.mesh`.
"""

from __future__ import annotations

from partitions.server.host.process import run_broker

__all__ = ["run_broker"]
