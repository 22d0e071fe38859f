"""What a mutant is, and the table of all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from pytest import MonkeyPatch

from raftlog.testing.network import LinkQuality
from raftlog.testing.options import Options

STALE_READS: dict[str, Any] = {
    "faults": ("pause", "isolate_leader"),
    "read_share": 0.6,
    "fault_every_us": 300_000,
}
"""Leaders of the past, and clients that ask them."""

LATE_PACKETS: dict[str, Any] = {
    "faults": ("isolate_leader", "transfer", "campaign"),
    "fault_every_us": 200_000,
    "quality": LinkQuality(100, 10_000, duplicate=0.1, slow=0.1, slow_factor=200),
}
"""Answers that arrive when their term is long over."""

INSTALLS: dict[str, Any] = {
    "faults": ("isolate_leader", "crash"),
    "fault_every_us": 200_000,
    "snapshot_every": 7,
    "sync_max_us": 30_000,
    "chunk_bytes": 1 << 20,
}
"""Followers that fall behind the log's start, on slow disks."""

CHURN: dict[str, Any] = {
    "faults": ("membership", "isolate_leader", "crash"),
    "spares": 2,
    "fault_every_us": 150_000,
}
"""Members come and go while leaders do."""

LEASES: dict[str, Any] = {
    "faults": ("isolate_leader", "transfer", "campaign", "coup", "siege"),
    "read_share": 0.7,
    "fault_every_us": 200_000,
    "lease_reads": True,
}
"""Leaders that rely on leases, and others that want to lead."""

FAST_AND_SLOW: dict[str, Any] = {**LEASES, "drift_ppm": 50_000}
"""The same, with clocks that differ by a tenth."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One classic mistake, made at run time."""

    name: str
    patch: Callable[[MonkeyPatch], None]
    catches: frozenset[str]
    """The invariants (or exceptions) that may convict it."""
    fault: int
    """Its number in the list of faults that the partition suite must catch; 0: not in it."""
    circumstances: dict[str, Any]
    """Options that bring it to light soon; most seeds have something else in mind."""
    disk: str

    def options(self, seed: int) -> Options:
        """What `seed` draws, in the mutant's circumstances."""
        return under(self.circumstances, Options.draw(seed, disk=self.disk))


def under(circumstances: dict[str, Any], options: Options) -> Options:
    """`options` in these circumstances; leases know by how much clocks differ in them."""
    fields = dict(circumstances)
    leases = fields.pop("lease_reads", options.timing.lease_reads)
    options = replace(options, **fields)
    stated = max(options.timing.clock_drift_ppm, options.drift_ppm)
    timing = options.timing._replace(lease_reads=leases, clock_drift_ppm=stated)
    return replace(options, timing=timing)


MUTANTS: dict[str, Mutant] = {}
"""By name, in the order of definition."""


def mutant(
    catches: set[str],
    *,
    fault: int = 0,
    circumstances: dict[str, Any] | None = None,
    disk: str = "model",
) -> Callable[[Callable[[MonkeyPatch], None]], Callable[[MonkeyPatch], None]]:
    """Put a function into the table."""

    def enter(patch: Callable[[MonkeyPatch], None]) -> Callable[[MonkeyPatch], None]:
        name = patch.__name__
        entry = Mutant(name, patch, frozenset(catches), fault, circumstances or {}, disk)
        MUTANTS[name] = entry
        return patch

    return enter
