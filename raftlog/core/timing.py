"""The core's settings. Times are microseconds of whatever clock the host passes in."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from raftlog.errors import Misconfigured


class Randrange(Protocol):
    """The one random draw the core needs; a seeded `random.Random` is one."""

    def randrange(self, start: int, stop: int, /) -> int:
        """A number in start..stop-1."""


class Timing(NamedTuple):
    """Intervals and bounds of one replica; the replicas of a group should agree on them."""

    heartbeat_us: int = 50_000
    """How often a leader speaks, asks again and resends."""
    election_min_us: int = 300_000
    """A follower that heard from a leader within this time helps nobody to replace it."""
    election_max_us: int = 600_000
    """Followers wait min..max; a leader that hears no quorum for max steps down."""
    max_inflight_messages: int = 64
    """Unanswered appends per follower."""
    max_inflight_bytes: int = 8 << 20
    """Unanswered payload per follower; one append is always let through."""
    max_append_bytes: int = 1 << 20
    """Payload of one append; one entry is always let through."""
    max_uncommitted_bytes: int = 64 << 20
    """Payload a leader takes before it is committed; one entry is always let through."""
    eager_commit: bool = False
    """Tell followers of a new commit at once rather than with the next append or heartbeat."""
    lease_reads: bool = False
    """Let reads trust clocks (see `raftlog.core.reads`). All replicas of a group must agree: a
    follower without it does not keep what a leader's lease relies on."""
    clock_drift_ppm: int = 10_000
    """By how much any clock may run fast or slow, in millionths; a lease is shorter for it."""

    @property
    def lease_us(self) -> int:
        """How long after its beginning an answered round of reads keeps others from leading."""
        drift = self.clock_drift_ppm
        return self.election_min_us * (1_000_000 - drift) // (1_000_000 + drift)

    def validated(self) -> Timing:
        """Itself, or Misconfigured naming the setting that cannot work."""
        if not 0 <= self.clock_drift_ppm < 1_000_000:
            raise Misconfigured(
                f"clock_drift_ppm must be from 0 to 999999, got {self.clock_drift_ppm}"
            )
        if not 0 < self.heartbeat_us < self.election_min_us <= self.election_max_us:
            raise Misconfigured(
                "raft times must satisfy 0 < heartbeat_us < election_min_us <= election_max_us, "
                f"got {self.heartbeat_us}, {self.election_min_us}, {self.election_max_us}"
            )
        for name in self._fields[3:7]:
            if getattr(self, name) < 1:
                raise Misconfigured(f"{name} must be at least 1, got {getattr(self, name)}")
        return self
