"""The engine's side of one peer: its liveness, and the groups covered in either direction."""

from __future__ import annotations

from collections.abc import Callable

from raftlog.engine.group import Group
from raftlog.engine.heartbeats import ADDITIONS_MAX, CoveredSet, PeerHeartbeat
from raftlog.types import ReplicaId, Role


class Peer:
    """One other replica directory we are connected to, or were."""

    __slots__ = (
        "acked_us",
        "candidates",
        "fresh_from",
        "heard_us",
        "leads",
        "offline",
        "refused",
        "removed",
        "replica",
        "sequence",
        "up",
        "follows",
    )

    def __init__(self, replica: ReplicaId) -> None:
        self.replica = replica
        self.up = False
        self.sequence = 0
        self.fresh_from = 1
        """First heartbeat since the lists were last started over; older answers are ignored."""
        self.acked_us = 0
        self.heard_us = 0
        self.leads = CoveredSet()
        self.follows = CoveredSet()
        self.candidates: dict[int, Group] = {}
        """Groups we lead, that have the peer as a member and are not covered yet."""
        self.removed: list[int] = []
        self.refused: list[int] = []
        self.offline: set[int] = set()
        """Groups that the peer has out of service; the last it said, also when it is gone."""

    def connected(self, now_us: int) -> None:
        """A new connection: both lists start over."""
        self.up = True
        self.acked_us = self.heard_us = now_us

    # --- groups we lead

    def next_heartbeat(self, groups: dict[int, Group]) -> PeerHeartbeat:
        """Cover what can be covered and say so."""
        if len(self.removed) > ADDITIONS_MAX:
            self.uncover_led(groups)
        added: list[tuple[int, int]] = []
        for group in list(self.candidates.values()):
            node = group.node
            if len(added) < ADDITIONS_MAX and node.coverable(self.replica):
                node.cover(self.replica, True)
                self.leads.add(group.id, node.term)
                added.append((group.id, node.term))
                del self.candidates[group.id]
        removed, self.removed = self.removed, []
        self.sequence += 1
        fresh = self.sequence == self.fresh_from
        leads = self.leads
        return PeerHeartbeat(self.sequence, fresh, len(leads.terms), leads.digest, added, removed)

    def answered(
        self, sequence: int, agrees: bool, refused: list[int], groups: dict[int, Group], now: int
    ) -> list[Group]:
        """The peer's answer; returns the groups that were uncovered by it."""
        self.acked_us = now
        if sequence < self.fresh_from:
            return []
        if not agrees:
            return self.uncover_led(groups)
        woken = []
        for group_id in refused:
            group = groups.get(group_id)
            if self.leads.discard(group_id) and group is not None:
                self._uncover(group)
                woken.append(group)
        return woken

    def uncover_led(self, groups: dict[int, Group]) -> list[Group]:
        """Stop vouching for anything; the groups send their own heartbeats again."""
        self.fresh_from = self.sequence + 1
        self.removed.clear()
        woken = []
        for group_id in self.leads.clear():
            group = groups.get(group_id)
            if group is not None:
                self._uncover(group)
                woken.append(group)
        return woken

    def _uncover(self, group: Group) -> None:
        if group.node.role is Role.LEADER:
            group.node.cover(self.replica, False)
            group.node.heard(self.replica, self.acked_us)  # after: uncovering counts as now
            self.candidates[group.id] = group

    def stopped_leading(self, group: Group) -> None:
        """We no longer lead the group (or in another term)."""
        self.candidates.pop(group.id, None)
        if self.leads.discard(group.id):
            self.removed.append(group.id)

    # --- groups the peer leads

    def heartbeat(
        self, beat: PeerHeartbeat, groups: dict[int, Group], now: int
    ) -> tuple[bool, list[int], list[Group]]:
        """The peer's heartbeat; returns (agrees, refused groups, groups to look at again)."""
        self.heard_us = now
        woken: list[Group] = []
        if beat.fresh:
            woken = self.uncover_followed(groups, now)
        for group_id in beat.removed:
            if self.follows.discard(group_id) and group_id in groups:
                groups[group_id].node.set_covered(False, now)
                woken.append(groups[group_id])
        refused, self.refused = self.refused, []
        for group_id, term in beat.added:
            group = groups.get(group_id)
            if group is not None and self._holds(group, term):
                self.follows.add(group_id, term)
                group.node.set_covered(True, now)
            else:
                refused.append(group_id)
        agrees = bool(refused) or (
            beat.count == len(self.follows.terms) and beat.digest == self.follows.digest
        )
        return agrees, refused[:ADDITIONS_MAX], woken

    def _holds(self, group: Group, term: int) -> bool:
        node = group.node
        return node.term == term and node.role is Role.FOLLOWER and node.leader == self.replica

    def uncover_followed(self, groups: dict[int, Group], now: int) -> list[Group]:
        """The peer no longer vouches: the groups time themselves again."""
        woken = []
        for group_id in self.follows.clear():
            group = groups.get(group_id)
            if group is not None:
                group.node.set_covered(False, now)
                woken.append(group)
        self.refused.clear()
        return woken

    def stopped_following(self, group: Group, now: int) -> None:
        """The group moved to another term or leader: no longer covered by this peer."""
        if self.follows.discard(group.id):
            self.refused.append(group.id)
            group.node.set_covered(False, now)

    def check(
        self, now: int, patience_us: int, groups: dict[int, Group], touched: Callable[[Group], None]
    ) -> None:
        """Uncover whatever relied on a peer that has been silent for `patience_us`."""
        if self.leads.terms and now - self.acked_us > patience_us:
            for group in self.uncover_led(groups):
                touched(group)
        if self.follows.terms and now - self.heard_us > patience_us:
            for group in self.uncover_followed(groups, now):
                touched(group)

    def disconnected(
        self, now: int, groups: dict[int, Group], touched: Callable[[Group], None]
    ) -> None:
        """The connection is gone, and the lists with it."""
        self.up = False
        for group in [*self.uncover_led(groups), *self.uncover_followed(groups, now)]:
            touched(group)
