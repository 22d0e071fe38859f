"""`python -m raftlog.testing`: simulate groups from seeds; exit code 1 when an invariant breaks."""

from __future__ import annotations

import argparse
import os
import sys

from raftlog.testing.cluster import SimCluster
from raftlog.testing.options import Options
from raftlog.testing.probes import SWEEP_SEEDS, missing
from raftlog.testing.runner import Failure, Summary, failure, run_many


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line and run; the exit code."""
    given = _parser().parse_args(arguments)
    if given.seed is not None:
        options = Options.draw(given.seed, seconds=given.seconds, disk=given.disk)
        return _run_one(options, show_trace=given.trace)
    seeds = range(given.first, given.first + given.seeds)
    summary = run_many(
        seeds,
        seconds=given.seconds,
        disk=given.disk,
        processes=given.processes or os.cpu_count() or 1,
        on_progress=_progress,
    )
    for line in summary.lines():
        print(line)
    for failed in summary.failures:
        _complain(failed)
    if summary.failures:
        return 1
    return _unreached(summary, given.disk)


def _unreached(summary: Summary, disk: str) -> int:
    """1 when so many seeds should have taken every rare path and did not."""
    never = missing(summary.probes, disk=disk)
    if not never or summary.seeds < SWEEP_SEEDS:
        return 0
    print(f"never reached in {summary.seeds} seeds: {', '.join(never)}", file=sys.stderr)
    return 1


def _run_one(options: Options, *, show_trace: bool) -> int:
    cluster = SimCluster(options, whole_trace=True)
    failed: Failure | None = None
    try:
        result = cluster.run()
    except Exception as error:
        failed = failure(cluster, error)
    if show_trace:
        sys.stdout.writelines(line + "\n" for line in cluster.trace.lines())
    if failed is not None:
        _complain(failed)
    else:
        summary = Summary()
        summary.add(result)
        for line in summary.lines():
            print(line)
    print(f"trace {cluster.trace.digest()}")
    return 1 if failed else 0


def _progress(summary: Summary) -> None:
    if summary.seeds % 25 == 0:
        print(f"... {summary.seeds} seeds, {summary.commits} entries committed", flush=True)


def _complain(failed: Failure) -> None:
    print(failed.report, file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m raftlog.testing", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, help="how many seeds to run")
    parser.add_argument("--first", type=int, default=1, help="the first of them")
    parser.add_argument("--seed", type=int, help="run this one seed and print its trace's hash")
    parser.add_argument("--seconds", type=float, default=10, help="fault phase, virtual seconds")
    parser.add_argument("--processes", type=int, default=0, help="default: one per core")
    parser.add_argument(
        "--disk",
        choices=("mixed", "model", "wal"),
        default="mixed",
        help="storage model, real write-ahead log, or every third seed on the latter",
    )
    parser.add_argument("--trace", action="store_true", help="with --seed: print every event")
    return parser


if __name__ == "__main__":
    sys.exit(main())
