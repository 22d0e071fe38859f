"""Run the simulation against each mutant; exit code 1 when one survives."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys

from tests.raftlog.sim.mutants import MUTANTS
from tests.raftlog.sim.mutants.judging import complaint, judge

SEEDS_MAX = 1000
"""A mutant that survives so many has won."""
FEW = 100
"""Most of the partition suite's faults must be caught within so many."""
MANY_MAX = 2
"""How many of those faults may take more."""


def main(arguments: list[str] | None = None) -> int:
    """Judge the mutants named, or all."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.raftlog.sim.mutants", description=__doc__
    )
    parser.add_argument("names", nargs="*", choices=[[], *MUTANTS], help="default: all")
    parser.add_argument("--seeds", type=int, default=SEEDS_MAX, help="how many each may survive")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args(arguments)
    names = given.names or list(MUTANTS)
    jobs = [(name, given.seeds) for name in names]
    print(
        f"{'MUTANT':<50} {'FAULT':>5} {'SEEDS':>5} {'TIME':>7} {'EVENTS':>6}  CAUGHT BY", flush=True
    )
    complaints: list[str] = []
    slow = 0
    with multiprocessing.get_context("spawn").Pool(given.processes) as pool:
        for verdict in pool.imap(judge, jobs):
            fault = MUTANTS[verdict.name].fault
            slow += bool(fault) and verdict.seeds > FEW
            print(
                f"{verdict.name:<50} {fault or '-':>5} {verdict.seeds:>5} {verdict.seconds:>6.1f}s"
                f" {verdict.events or '-':>6}  {verdict.invariant or 'NOBODY'}",
                flush=True,
            )
            complaints += filter(None, [complaint(verdict)])
    if slow > MANY_MAX:
        complaints.append(f"{slow} of the suite's faults took more than {FEW} seeds")
    print("\n".join(complaints) or f"all {len(names)} mutants were caught")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
