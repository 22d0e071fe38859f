"""What a leader knows of one follower, and how much it may send (etcd's three states).

PROBE      where the logs meet is not known: one append at a time
REPLICATE  it is known: appends are pipelined, `next` runs ahead of the acks
SNAPSHOT   the follower needs entries that are gone: chunks, no appends
"""

from __future__ import annotations

from collections import deque
from enum import IntEnum

from raftlog.core.timing import Timing
from raftlog.types import ReplicaId


class ProgressState(IntEnum):
    """How a follower is being fed."""

    PROBE = 0
    REPLICATE = 1
    SNAPSHOT = 2


class Progress:
    """One follower as its leader sees it, during one term."""

    __slots__ = (
        "asked_us",
        "beat_us",
        "covered",
        "heard_us",
        "inflight",
        "inflight_bytes",
        "known_commit",
        "match",
        "next",
        "probe_sent",
        "progress_us",
        "read_round",
        "replica",
        "snapshot_cursor",
        "snapshot_index",
        "state",
        "told_commit",
    )

    def __init__(self, replica: ReplicaId, next_index: int, now_us: int) -> None:
        self.replica = replica
        self.match = 0
        """Durable on the follower and equal to the leader's log up to here."""
        self.next = next_index
        """First index of the next append."""
        self.state = ProgressState.PROBE
        self.probe_sent = False
        self.inflight: deque[tuple[int, int]] = deque()
        """Unanswered appends: (last index, payload bytes)."""
        self.inflight_bytes = 0
        self.progress_us = now_us
        """When an ack last moved `match`, or something first got in flight."""
        self.heard_us = now_us
        """When the follower was last heard; -1: count from the next tick."""
        self.beat_us = 0
        """When it was last sent a heartbeat."""
        self.covered = False
        """The host's peer heartbeat speaks for the leader."""
        self.told_commit = 0
        """Largest commit sent, perhaps in vain."""
        self.known_commit = 0
        """Largest commit the follower has said it knows."""
        self.read_round = 0
        """Last ReadIndex round it answered."""
        self.snapshot_index = 0
        self.snapshot_cursor = 0
        self.asked_us = 0
        """When the host was last asked for a chunk, or a chunk was last sent."""

    def may_send(self, timing: Timing) -> bool:
        """True while flow control lets another append with entries go."""
        if self.state is ProgressState.REPLICATE:
            return not self.inflight or (
                len(self.inflight) < timing.max_inflight_messages
                and self.inflight_bytes < timing.max_inflight_bytes
            )
        return self.state is ProgressState.PROBE and not self.probe_sent

    def sent(self, last_index: int, size: int, now_us: int) -> None:
        """An append up to `last_index` left."""
        if self.state is ProgressState.PROBE:
            self.probe_sent = True
            self.progress_us = now_us
            return
        if not self.inflight:
            self.progress_us = now_us
        self.next = last_index + 1
        self.inflight.append((last_index, size))
        self.inflight_bytes += size

    def acked(self, index: int, now_us: int) -> bool:
        """The follower matches up to `index`, durably; True when that is news."""
        inflight = self.inflight
        while inflight and inflight[0][0] <= index:
            self.inflight_bytes -= inflight.popleft()[1]
        news = index > self.match
        if news:
            self.match = index
            self.progress_us = now_us
            if self.next <= index:
                self.next = index + 1
        return news

    def replicate(self) -> None:
        """Go on by pipelining from the first entry that is not known to match."""
        self._enter(ProgressState.REPLICATE, self.match + 1)

    def probe(self, next_index: int) -> None:
        """Go back to one append at a time, at `next_index`."""
        self._enter(ProgressState.PROBE, max(next_index, self.match + 1))

    def snapshot(self) -> None:
        """Wait for a snapshot; the host has not said which one yet."""
        self._enter(ProgressState.SNAPSHOT, self.next)
        self.snapshot_index = 0
        self.snapshot_cursor = 0

    def settled(self, last_index: int, commit: int) -> bool:
        """True when the follower has everything and knows that it is committed."""
        return (
            self.match == last_index
            and self.known_commit >= commit
            and self.state is ProgressState.REPLICATE
        )

    def _enter(self, state: ProgressState, next_index: int) -> None:
        self.state = state
        self.next = next_index
        self.probe_sent = False
        self.inflight.clear()
        self.inflight_bytes = 0
