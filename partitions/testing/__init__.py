"""Whole brokers in simulation: the public kit.

Three brokers, their peers' connections, their clients and their disks run in one thread on
virtual time (`raftlog.testing`). The brokers are the real ones: `partitions.server.broker` on
its seams, sessions and all, and clients speak real frames to them. Whatever could differ
between two runs comes from the seed.

    python -m partitions.testing --seeds 20
    python -m partitions.testing --scenario power --seed 7 --trace

Rules:

- A scenario is a coroutine over virtual time that breaks things and ends with everything up.
- The verdict compares what producers were told with what a consumer reads and with what lies
  on the disks. It never asks a broker whether it is right.
- The trace holds every frame that arrived anywhere, by length and checksum: two runs of a
  seed give the same bytes, under any PYTHONHASHSEED.
- An exception in a broker ends the simulation: nothing is caught on its behalf.

Start reading at `cluster`, then `broker` (one process's life), `mesh` and `serving` (what the
host does for a broker), `client`, and `runner` for the story of a run.
"""

from __future__ import annotations

from partitions.testing.broker import SimBroker
from partitions.testing.client import Fetched, GaveUp, ProducerIdentity, Refused, SimClient
from partitions.testing.cluster import SimCluster, Stuck
from partitions.testing.options import Options
from partitions.testing.runner import Failure, Result, Run, run_many, run_seed, workers
from partitions.testing.scenarios import SCENARIOS
from partitions.testing.tasks import Promise, sleep, spawn
from partitions.testing.verdict import Violation
from partitions.testing.workload import Consumer, Producer, WatermarkWentBack
from partitions.testing.world import World

__all__ = [
    "SCENARIOS",
    "Consumer",
    "Failure",
    "Fetched",
    "GaveUp",
    "Options",
    "Producer",
    "ProducerIdentity",
    "Promise",
    "Refused",
    "Result",
    "Run",
    "SimBroker",
    "SimClient",
    "SimCluster",
    "Stuck",
    "Violation",
    "WatermarkWentBack",
    "World",
    "run_many",
    "run_seed",
    "sleep",
    "spawn",
    "workers",
]
