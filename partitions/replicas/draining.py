"""Giving up all leaderships, before a shutdown or because an operator asked for it.

A broker that drains tells its peers, and no leadership is handed to one that does: not by
another that drains, not by a rebalance, not by an administrator. What it comes to lead all the
same (nobody else could be elected) it hands over as soon as somebody else can lead. It goes on
following and voting, so draining costs no partition a replica.

    notice "draining": true or false, at every change and to whoever connects while it is true

Leaderships are spread over the replicas that could take them, and a bounded number moves at a
time: a partition takes no writes while it moves, so the others should not move yet.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import structlog

from metadata.quorum.rpc import Rpc
from partitions.replicas.preferred import obstacle
from raftlog.engine import Engine, Group
from raftlog.errors import PeerFault
from raftlog.seams import Reactor, Timer
from raftlog.types import ReplicaId, Role

log = structlog.get_logger()

TOPIC = "draining"
MOVES_MAX = 50
"""Leaderships on their way at one time."""
LAG_ENTRIES_MAX = 1_000
"""A replica this far behind is asked all the same: no write comes in between, so what is under
way to it is all that it waits for."""
POLL_US = 5_000
IDLE_POLL_US = 500_000
"""Between two looks when nothing could be moved by the last one."""


class Draining:
    """This broker's, and what peers told of theirs."""

    def __init__(self, reactor: Reactor, rpc: Rpc, engine: Engine, me: ReplicaId) -> None:
        self._reactor = reactor
        self._rpc = rpc
        self._engine = engine
        self._me = me
        self._peers: set[int] = set()
        self._connected: set[int] = set()
        self._wanted = False
        self._left: Callable[[], None] | None = None
        """Called once there is nothing left to hand over, on the way to the process's end."""
        self._timer: Timer | None = None
        rpc.listen(TOPIC, self._told)
        engine.links.drains = self.drains

    @property
    def active(self) -> bool:
        """Is this broker giving up what it leads?"""
        return self._wanted or self._left is not None

    @property
    def leads(self) -> int:
        """Groups that this broker leads, the metadata quorum's among them."""
        return sum(group.node.role is Role.LEADER for group in self._engine.groups.values())

    def drains(self, node: int) -> bool:
        """Is `node` (this one, or a connected one) to get no leadership?"""
        return self.active if node == self._me.node else node in self._peers

    # --- peers

    def connected(self, node: int) -> None:
        """Tell `node`, which assumes nothing of the kind."""
        self._connected.add(node)
        if self.active:
            self._rpc.notify(node, TOPIC, True)

    def disconnected(self, node: int) -> None:
        """It tells again when it is back."""
        self._connected.discard(node)
        self._peers.discard(node)

    def _told(self, sender: ReplicaId, body: Any) -> None:
        if type(body) is not bool:
            raise PeerFault("draining: neither true nor false")
        if body:
            self._peers.add(sender.node)
        else:
            self._peers.discard(sender.node)

    # --- this broker

    def want(self, wanted: bool) -> None:
        """Drain from now on, or take leaderships again."""
        before, self._wanted = self.active, wanted
        self._changed(before)

    def leave(self, done: Callable[[], None]) -> None:
        """Drain for the process's end: `done` runs, perhaps at once, when nothing is left that
        somebody could take over, now or once it has caught up. Whoever waits for it bounds the
        wait."""
        before, self._left = self.active, done
        self._changed(before)
        self._look()

    def _changed(self, before: bool) -> None:
        if self.active == before:
            return
        for node in sorted(self._connected):
            self._rpc.notify(node, TOPIC, self.active)
        log.info("draining" if self.active else "draining no more", leads=self.leads)
        if self.active:
            self._look()

    def _look(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self.active:
            return
        moving = self._move()
        leaving = self._left is not None
        if self._left is not None and not moving and not self._has_hope():
            done, self._left = self._left, _nothing
            done()
        delay_us = POLL_US if moving or leaving else IDLE_POLL_US
        self._timer = self._reactor.call_at(self._reactor.now_us() + delay_us, self._look)

    def _move(self) -> int:
        """Begin what can begin; how many leaderships are on their way."""
        groups = self._engine.groups.values()
        led = [group for group in groups if group.node.role is Role.LEADER]
        self._give_up(led)
        moving = sum(group.node.transferring for group in led)
        load = self._load() if moving < len(led) else {}
        for group in led:
            if moving >= MOVES_MAX:
                break
            target = None if group.node.transferring else self._successor(group, load)
            if target is not None:
                load[target] = load.get(target, 0) + 1
                group.node.transfer(target)
                group.mark_dirty()
                moving += 1
        return moving

    def _give_up(self, led: list[Group]) -> None:
        """What is on its way to a replica that is gone would be waited for in vain, until an
        election time-out."""
        for group in led:
            successor = group.node.successor
            if successor is not None and not self._engine.links.serves(successor, group.id):
                group.node.transfer(self._me)
                group.mark_dirty()

    def _has_hope(self) -> bool:
        """Does this broker lead something of which there is another copy that may catch up?"""
        links = self._engine.links
        return any(
            voter != self._me and links.serves(voter, group.id) and not self.drains(voter.node)
            for group in self._engine.groups.values()
            if group.node.role is Role.LEADER
            for voter in group.node.configuration.voters
        )

    def _load(self) -> dict[ReplicaId, int]:
        """How much each replica leads, of what this broker has a copy of."""
        load: dict[ReplicaId, int] = {}
        for group in self._engine.groups.values():
            leader = group.node.leader
            if leader is not None:
                load[leader] = load.get(leader, 0) + 1
        return load

    def _successor(self, group: Group, load: dict[ReplicaId, int]) -> ReplicaId | None:
        """Of those that can lead now, the one that leads least, the earlier in the assignment."""
        able = [
            voter
            for voter in group.node.configuration.voters
            if voter != self._me and obstacle(self._engine, group, voter, LAG_ENTRIES_MAX) is None
        ]
        return min(able, key=lambda voter: load.get(voter, 0), default=None)


def _nothing() -> None:
    """What was waited for has been told."""
