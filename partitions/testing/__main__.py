"""`python -m partitions.testing`: simulate whole brokers; exit code 1 when a promise breaks."""

from __future__ import annotations

import argparse
import os
import sys

from partitions.testing.options import Options
from partitions.testing.runner import Failure, Result, Run, failure, quiet_logs, run_many, workers
from partitions.testing.scenarios import SCENARIOS
from raftlog.testing.overrides import count


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line and run; the exit code."""
    given = _parser().parse_args(arguments)
    names = [given.scenario] if given.scenario else list(SCENARIOS)
    if given.seed is not None and given.seeds is None:
        return max(_run_one(name, given.seed, show_trace=given.trace) for name in names)
    first = 1 if given.seed is None else given.seed
    failures = 0
    seeds = range(first, first + (given.seeds or 10))
    with workers(given.processes or os.cpu_count() or 1) as pool:
        for name in names:
            failures += sum(map(_show, run_many(name, seeds, pool)))
    sys.stdout.write(f"{failures} failed\n")
    return 1 if failures else 0


def _run_one(scenario: str, seed: int, *, show_trace: bool) -> int:
    run = Run(Options.draw(seed, scenario))
    outcome: Result | Failure
    try:
        with quiet_logs():
            outcome = run.run()
    except Exception as error:  # whatever comes out of a simulation is the finding
        outcome = failure(run, error)
    if show_trace:
        sys.stdout.writelines(line + "\n" for line in run.cluster.trace.lines())
    return _show(outcome)


def _show(outcome: Result | Failure) -> int:
    if isinstance(outcome, Failure):
        sys.stderr.write(outcome.report + "\n")
        return 1
    simulated, longest = outcome.simulated_us / 1e6, outcome.longest_us / 1e6
    sys.stdout.write(
        f"{outcome.scenario} {outcome.seed}: {outcome.acknowledged} batches acknowledged"
        f" (the slowest in {longest:.2f} s), {outcome.records} records,"
        f" {outcome.retries} retries, {simulated:.1f} s, {outcome.events} events,"
        f" {outcome.digest[:16]}\n"
    )
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m partitions.testing", description=__doc__)
    parser.add_argument("--scenario", choices=list(SCENARIOS), help="default: each of them")
    parser.add_argument("--seed", type=int, help="run this one; with --seeds the first of them")
    parser.add_argument("--seeds", type=count, help="how many seeds to run (default 10)")
    parser.add_argument("--processes", type=count, help="default: one per core")
    parser.add_argument("--trace", action="store_true", help="with --seed: print every event")
    return parser


if __name__ == "__main__":
    sys.exit(main())
