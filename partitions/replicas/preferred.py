"""Giving leaderships back to preferred replicas (Kafka's auto.leader.rebalance.enable).

A partition's preferred replica is the first of its assignment; placement spreads these over
the brokers, elections after failures do not. From time to time a leader that is not the
preferred one hands over, when that one is connected and has all but a little of the log: the
partition takes no writes for the moment this lasts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import structlog

from raftlog.core.progress import ProgressState
from raftlog.engine import Engine, Group
from raftlog.seams import Reactor, Timer
from raftlog.types import ReplicaId, Role

log = structlog.get_logger()

MOVES_PER_CHECK_MAX = 100
MORE_US = 1_000_000
"""After a check that found more than it may move, the next one follows this soon."""
LAG_ENTRIES_MAX = 64
"""A preferred replica this far behind catches up within one flight of appends."""


class PreferredLeaders:
    """Looks through the partitions led here."""

    def __init__(
        self,
        engine: Engine,
        reactor: Reactor,
        groups: Callable[[], Iterable[Group]],
        interval_us: int,
    ) -> None:
        """`groups` gives the partitions' groups of this broker; an interval of 0 means never."""
        self._engine = engine
        self._reactor = reactor
        self._groups = groups
        self._interval_us = interval_us
        self._started = False
        self._timer: Timer | None = None

    def start(self) -> None:
        """Check every interval, the first time after one."""
        self._started = True
        self._after(self._interval_us)

    def set_interval(self, interval_us: int) -> None:
        """Another interval, which begins now."""
        if interval_us == self._interval_us:
            return
        self._interval_us = interval_us
        if self._started:
            self._after(interval_us)

    def _after(self, delay_us: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        if self._interval_us:
            self._timer = self._reactor.call_at(self._reactor.now_us() + delay_us, self._look)

    def _look(self) -> None:
        self._after(self._interval_us if self.check() < MOVES_PER_CHECK_MAX else MORE_US)

    def check(self) -> int:
        """Begin to hand over what should move, up to the bound; the number begun."""
        moved = 0
        for group in self._groups():
            if moved == MOVES_PER_CHECK_MAX:
                break
            target = self._successor(group)
            if target is not None:
                group.node.transfer(target)
                group.mark_dirty()
                moved += 1
        if moved:
            log.info("handing leaderships to preferred replicas", partitions=moved)
        return moved

    def _successor(self, group: Group) -> ReplicaId | None:
        """The preferred replica if it should lead instead of this one, and can."""
        node = group.node
        if node.role is not Role.LEADER or not node.confirmed or node.transferring:
            return None
        preferred = node.configuration.voters[0]
        if preferred == node.me:
            return None
        return preferred if obstacle(self._engine, group, preferred) is None else None


def obstacle(
    engine: Engine, group: Group, target: ReplicaId, lag_max: int = LAG_ENTRIES_MAX
) -> str | None:
    """Why the voter `target` cannot take over the group that is led here; None when it can."""
    progress = group.node.progress.get(target)
    if progress is None or not engine.links.is_up(target):
        return "it is not connected"
    if engine.links.is_offline(target, group.id):
        return "it is out of service"
    if engine.links.drains(target.node):
        return "it gives up its leaderships, to be stopped or because it was asked to (drain)"
    behind = group.node.last_index - progress.match
    if progress.state is not ProgressState.REPLICATE or behind > lag_max:
        return f"it is {behind} entries behind"
    return None
