"""Raft, broken on purpose: each mutant is one classic mistake, made at run time.

A mutant is a function that patches core, disk or host through pytest's MonkeyPatch, and the
decorator that says which invariants may convict it. Nothing here touches the source, nothing of
it is in a release, and no configuration reaches it. `python -m tests.raftlog.sim.mutants` (or
`make mutants`) shows how many seeds each one survives.
"""

from __future__ import annotations

from tests.raftlog.sim.mutants import disks, elections, hosts, logs, members
from tests.raftlog.sim.mutants.table import MUTANTS, Mutant

__all__ = ["MUTANTS", "Mutant", "disks", "elections", "hosts", "logs", "members"]
