"""Lines in the log about who leads: few enough to be read, none while nothing changes.

A lost broker moves hundreds of leaderships at once, and an election takes a moment: what
changes within GATHER_US is one line, and a controller is missed only after MISSED_US. The first
leader of a new partition is no change.
"""

from __future__ import annotations

import structlog

from metadata.leaders import LeaderTable
from metadata.quorum.image_holder import ImageHolder
from metadata.quorum.spread import LeaderSpread
from raftlog.ready import SoftState
from raftlog.seams import Reactor, Timer

log = structlog.get_logger()

GATHER_US = 1_000_000
MISSED_US = 3_000_000
FIRST_TERM = 1


class Announcements:
    """Of one broker."""

    def __init__(
        self, reactor: Reactor, node: int, metadata: ImageHolder, spread: LeaderSpread
    ) -> None:
        """Begins to listen."""
        self._reactor = reactor
        self._node = node
        self._metadata = metadata
        self._table: LeaderTable = spread.table
        self._led: dict[int, int] = {}
        """Term by group, of what was led here at the last line."""
        self._gathering = False
        self._controller: tuple[int, int] | None = None
        """(node, term) of the last line."""
        self._missed: Timer | None = None
        self._lacking = False
        spread.on_change = self._leaders_changed
        metadata.watch_leadership(self._controller_changed)

    # --- partitions

    def _leaders_changed(self) -> None:
        if not self._gathering:
            self._gathering = True
            self._reactor.call_at(self._reactor.now_us() + GATHER_US, self._tell_leaderships)

    def _tell_leaderships(self) -> None:
        self._gathering = False
        before, self._led = self._led, {}
        lost = taken = 0
        for group in self._metadata.image.groups:
            leader = self._table.leader(group)
            if leader is None:
                continue
            if leader.node != self._node:
                lost += group in before
                continue
            self._led[group] = leader.term
            taken += before.get(group) != leader.term and leader.term > FIRST_TERM
        if taken or lost:
            log.info("leaderships changed", taken=taken, lost=lost, led=len(self._led))

    # --- controller

    def _controller_changed(self, state: SoftState) -> None:
        if state.leader is None:
            if self._missed is None and self._controller is not None:
                due = self._reactor.now_us() + MISSED_US
                self._missed = self._reactor.call_at(due, self._tell_missed)
            return
        if not state.confirmed:
            return
        if self._missed is not None:
            self._missed.cancel()
            self._missed = None
        found = (state.leader.node, state.term)
        if found != self._controller or self._lacking:
            self._controller, self._lacking = found, False
            if found[0] != self._node:  # who became it says so itself
                log.info("controller found", controller=found[0], term=found[1])

    def _tell_missed(self) -> None:
        assert self._controller is not None
        self._lacking = True
        log.warning(
            "no controller: the metadata quorum does not answer",
            last=self._controller[0],
            reason="is a majority of the voters running and connected?",
            effect="what exists is served where its partition has a majority; nothing is created, "
            "and no broker can join",
        )
