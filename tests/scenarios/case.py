"""What a row of the table is, and the files it speaks of."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from pytest import MonkeyPatch

CORE = "tests/raftlog/core/"
LOG = CORE + "test_scenarios_log.py"
OTHERS = CORE + "test_scenarios_others.py"
MEMBERS = CORE + "test_scenarios_members.py"
EDGES = CORE + "test_edges.py"
SLEEP = CORE + "test_sleep.py"
LEASES = CORE + "test_leases.py"
NODE = CORE + "test_node.py"
PYSYNCOBJ = CORE + "test_pysyncobj_schedules.py"
TRANSCRIPTS = CORE + "transcripts"
DISKS = "tests/raftlog/engine/test_scenarios_disks.py"
REJOIN = "tests/raftlog/engine/test_rejoin.py"
ENGINE = "tests/raftlog/engine/test_engine.py"
WAL = "tests/raftlog/disk/"
STORAGE = "tests/partitions/storage/"
REPLICAS = "tests/partitions/replicas/"


class Case(NamedTuple):
    """One way in which a scenario goes wrong."""

    number: int
    """0: not one of the numbered scenarios."""
    what: str
    """What happened, and where."""
    mutant: Callable[[MonkeyPatch], None]
    """Takes the fix out."""
    tests: tuple[tuple[str, str], ...]
    """(file, test); each fails when the fix is taken out."""

    @property
    def names(self) -> list[str]:
        """As pytest or a reader would find them."""
        return [
            f"{file}::{test}" if file != TRANSCRIPTS else f"{file}/{test}.txt"
            for file, test in self.tests
        ]


def tests(file: str, *names: str) -> tuple[tuple[str, str], ...]:
    """Tests of one file."""
    return tuple((file, name) for name in names)
