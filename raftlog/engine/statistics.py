"""What an engine tells of itself."""

from __future__ import annotations

from dataclasses import dataclass

from raftlog.histogram import HistogramCounts


@dataclass(frozen=True, slots=True)
class EngineStatistics:
    """Counters since the start, and present sizes."""

    groups: int
    offline: int
    """Groups out of service; see `Engine.take_offline`."""
    leading: int
    sleeping: int
    """Groups that no timer looks after: nothing happens there, and a heartbeat covers them."""
    passes: int
    rounds: int
    rounds_in_place: int
    """Of them, synced on the loop; see `raftlog.engine.sync`."""
    sync_us: HistogramCounts
    """How long each sync of the write-ahead log took. Microseconds."""
    elections: int
    """How often a group here asked for votes, its term raised; asking beforehand is not one."""
    leaderships: int
    """How often a group here won one, and its first entry was committed."""
    frames_in: int
    frames_out: int
    unknown_group: int
    scheduled: int
