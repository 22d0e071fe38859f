"""How fast the simulation runs: `python -m bench.sim [seconds]`.

Three nodes, 100 writes a second, messages through the peer codec, the real write-ahead log on a
virtual disk; with every invariant checked and with none, and the storage model beside it. The
ratio is simulated seconds per second of CPU time on one core, of the median of RUNS runs in one
process: a sweep runs thousands of seeds there, so the first, cold one counts no more than others.
"""

from __future__ import annotations

import cProfile
import pstats
import statistics
import sys
import time
from typing import Any
from unittest import mock

from raftlog.testing import cluster
from raftlog.testing.checker import Checker
from raftlog.testing.cluster import SimCluster
from raftlog.testing.options import SECOND_US, Options

SECONDS = 30
RUNS = 5
SHOWN = 14


def run(seconds: float, *, disk: str, wire: bool, checked: bool) -> tuple[float, int]:
    """(CPU seconds, entries committed) for so many simulated seconds without faults."""
    options = Options(
        seed=1,
        fault_phase_us=int(seconds * SECOND_US),
        read_share=0.0,
        disk=disk,
        wire=wire,
        snapshot_every=300,
    )
    with mock.patch.object(cluster, "Checker", Checker if checked else Unchecked):
        simulated = SimCluster(options)
        started = time.process_time()
        result = simulated.run()
        return time.process_time() - started, result.commit


class Unchecked(Checker):
    """Keeps what the run itself needs (what is committed) and asserts nothing."""

    def observed(self, subject: Any) -> None:
        """Follow the commit."""
        commit = subject.node.commit
        if commit > self.history.commit and subject.node.role.name == "LEADER":
            first = self.history.commit + 1
            self.history.commits(
                subject.node.term, subject.store.visible.read(first, commit + 1, 1 << 40)
            )

    def decided(self, subject: Any, ready: Any) -> None:
        """Nothing is looked at."""

    def sent(self, subject: Any, target: Any, message: Any) -> None:
        """Nothing is looked at."""

    def learned(self, subject: Any, commit: int, entries: Any) -> None:
        """Nothing is looked at."""

    def settled(self, subject: Any) -> None:
        """Nothing is looked at."""

    def applied(self, subject: Any) -> None:
        """Nothing is looked at."""


def main() -> None:
    """Print the table, then where the time of the checked run with the real log goes."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS
    for disk, wire, checked in (
        ("wal", True, True),
        ("wal", True, False),
        ("model", False, True),
        ("model", False, False),
    ):
        runs = [run(seconds, disk=disk, wire=wire, checked=checked) for _ in range(RUNS)]
        cpu, commit = statistics.median(cpu for cpu, _ in runs), runs[0][1]
        what = f"{disk}{', codec' if wire else ''}, {'checked' if checked else 'unchecked'}"
        speed, slowest = seconds / cpu, seconds / max(cpu for cpu, _ in runs)
        print(
            f"{what:<28} x real time={speed:,.0f}  slowest={slowest:,.0f}  cpu_s={cpu:.2f}"
            f"  entries={commit}"
        )
    profile = cProfile.Profile()
    profile.runcall(run, min(seconds, 10), disk="wal", wire=True, checked=True)
    pstats.Stats(profile).sort_stats("tottime").print_stats(SHOWN)


if __name__ == "__main__":
    main()
