"""Rare paths that a sweep of seeds must have taken, or it has proven nothing about them.

A probe is counted where its path runs (`Checker.probes`); here is what has to be above zero
when many seeds are over. A new protection gets a probe for the trouble it is there for.
"""

from __future__ import annotations

from collections import Counter

from raftlog.testing.siege import IN_TIME

SWEEP_SEEDS = 150
"""So many seeds of ten seconds reach everything."""

EXPECTED = (
    "change refused: ChangeRefused",
    "commit before the leader's own sync",
    "configuration rolled back",
    "crash between two steps",
    "crash with unsynced entries",
    "joint configuration taken over",
    "leader crashed",
    "leader elected with uncommitted entries",
    IN_TIME,
    "leader left the group",
    "leader stepped down with entries in flight",
    "learner became a voter",
    "membership changed as wanted",
    "older terms committed by a new leader",
    "read by lease",
    "refused: Overloaded",
    "snapshot installed",
    "snapshot interrupted",
    "snapshot over unsynced entries",
    "truncation",
)
"""On any storage."""

EXPECTED_ON_DISK = (
    "a bit changed on disk",
    "cut below the checkpoint",
    "damage found at the start",
    "ended for lack of space",
    "entries not taken: disk full",
    "log part recycled",
    "no spare for lack of space",
    "process killed, page cache kept",
    "refused: disk full",
    "rounds lost in a crash",
    "snapshot over a log that reaches it",
    "torn tail",
)
"""On the real write-ahead log."""


def missing(probes: Counter[str], *, disk: str) -> list[str]:
    """What should have happened and never did; `disk` as in `Options.draw`."""
    wanted = EXPECTED if disk == "model" else EXPECTED + EXPECTED_ON_DISK
    return [path for path in wanted if not probes[path]]
