"""How many seeds a mutant survives, and whether what convicts it was to be expected."""

from __future__ import annotations

import time
from dataclasses import dataclass

from pytest import MonkeyPatch

from raftlog.testing.options import Options
from raftlog.testing.runner import Failure, run_seed
from raftlog.testing.shrink import shrink
from tests.raftlog.sim.mutants import MUTANTS


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a mutant fared."""

    name: str
    seeds: int
    """Run until it was caught, or all of them."""
    invariant: str
    """What convicted it; empty: it survived."""
    seconds: float
    """Until it was caught."""
    events: int
    """Of the schedule that the failure was shrunk to; 0: only its options were shrunk."""


def judge(job: tuple[str, int]) -> Verdict:
    """Run up to so many seeds, as drawn and not made for the mutant, until one convicts it."""
    name, seeds = job
    mutant = MUTANTS[name]
    started = time.monotonic()
    with MonkeyPatch.context() as patch:
        mutant.patch(patch)
        for seed in range(1, seeds + 1):
            options = Options.draw(seed, disk=mutant.disk)
            outcome = run_seed(options)
            if isinstance(outcome, Failure):
                took = time.monotonic() - started
                events = shrink(options, outcome).events
                return Verdict(name, seed, outcome.invariant, took, events)
    return Verdict(name, seeds, "", time.monotonic() - started, 0)


def complaint(verdict: Verdict) -> str:
    """What is wrong with a verdict; empty when it is as it should be."""
    if not verdict.invariant:
        return f"{verdict.name} survived {verdict.seeds} seeds"
    if verdict.invariant not in MUTANTS[verdict.name].catches:
        return f"{verdict.name} was convicted by {verdict.invariant!r}, which is not expected"
    return ""
