"""The public kit for testing what runs on raftlog: virtual time, network, disk, and a referee.

A simulation is one heap of callbacks and no threads. Whatever could differ between two runs
(time, randomness, packet order, what a power loss leaves) comes from the seed, so that every
failure is one command away from being seen again:

    python -m raftlog.testing --seeds 300
    python -m raftlog.testing --seed 4711 --trace

and shrinks to a schedule of a few dozen inputs that a person can read and a test can keep
(`tests/raftlog/sim/schedules`):

    python -m raftlog.testing --seed 4711 --save FILE
    python -m raftlog.testing --replay FILE

Rules:

- Nothing here reads a clock, draws from global randomness or depends on PYTHONHASHSEED.
- Parts are independent: the reactor, the network, the streams and the disk know nothing of
  Raft and serve simulations of whole brokers as well.
- The referee (`checker`, with `history` and `promises`) watches from outside. It compares what
  replicas say with what their disks hold; it never asks the core whether the core is right.
- Faults are drawn per seed (`options`): few kinds in one run, all kinds over many.
- Rare paths are counted (`Result.probes`): a sweep that never truncated a log has proven
  nothing about truncation.

Where to start reading: `reactor` (time), `replica` (the host loop, with a crash point between
any two steps), `checker` (the invariants), `cluster` (how it fits together), `runner`. A data
directory is a `store`: the model of one, or (`wal_store`) the real write-ahead log on a
virtual disk, compared with the model after every crash. For whoever embeds raftlog: `service`,
a whole replicated service of any state machines, in one thread. For failures: `shrink` (the two
stages), `schedule` (the language), `recording`, `player`, `minimize`.
"""

from __future__ import annotations

from raftlog.testing.disk import PowerCut, VirtualDisk
from raftlog.testing.memory import MemoryLog
from raftlog.testing.network import LinkQuality, NetworkStatistics, VirtualNetwork
from raftlog.testing.reactor import VirtualProcess, VirtualReactor, VirtualTimer
from raftlog.testing.service import Asked, VirtualNode, VirtualService
from raftlog.testing.streams import Stream, StreamNetwork, StreamReset

__all__ = [
    "Asked",
    "LinkQuality",
    "MemoryLog",
    "NetworkStatistics",
    "PowerCut",
    "Stream",
    "StreamNetwork",
    "StreamReset",
    "VirtualDisk",
    "VirtualNetwork",
    "VirtualNode",
    "VirtualProcess",
    "VirtualReactor",
    "VirtualService",
    "VirtualTimer",
]
