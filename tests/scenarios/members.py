"""Mistakes with configurations, and with replicas that come back."""

from __future__ import annotations

from typing import Any

from pytest import MonkeyPatch

from raftlog.core import changes, election, heartbeats
from raftlog.core.membership import Membership, members_of
from raftlog.core.node import Node
from raftlog.core.roles import Leader
from raftlog.core.view import NodeView
from raftlog.types import ReplicaId


def keeps_its_configuration_across_a_snapshot(patch: MonkeyPatch) -> None:
    """The snapshot's configuration is not looked at."""
    patch.setattr(Membership, "compact", lambda self, index, configuration: None)


def puts_the_newest_configuration_into_snapshots(patch: MonkeyPatch) -> None:
    """Also when its entry lies above the snapshot, and may never be committed."""
    patch.setattr(NodeView, "configuration_at", lambda self, index: self.configuration)


def counts_acks_of_who_was_removed(patch: MonkeyPatch) -> None:
    """Acknowledgements of anybody are taken for those of a voter that has not answered."""
    right = Node._receive_reply

    def receive(self: Node, sender: ReplicaId, message: Any) -> None:
        leader = self._replica.state
        if type(leader) is Leader and sender not in leader.peers:
            sender = next(iter(leader.peers))
        right(self, sender, message)

    patch.setattr(Node, "_receive_reply", receive)


def takes_in_whoever_asks(patch: MonkeyPatch) -> None:
    """A node that is no member and asks for votes is made one."""
    right = election.on_request

    def on_request(replica: Any, sender: Any, request: Any) -> None:
        leader, active = replica.state, replica.membership.active
        if type(leader) is Leader and replica.confirmed and sender not in members_of(active):
            changes._append(
                replica, leader, active._replace(voters=(*active.voters, sender), outgoing=())
            )
        right(replica, sender, request)

    patch.setattr(election, "on_request", on_request)


def checks_the_quorum_of_the_new_voters_alone(patch: MonkeyPatch) -> None:
    """While joint, a leader that no old voter answers goes on."""
    right = heartbeats._check_quorum

    def check(replica: Any, leader: Any) -> None:
        outgoing, leader.outgoing = leader.outgoing, ()
        right(replica, leader)
        leader.outgoing = outgoing

    patch.setattr(heartbeats, "_check_quorum", check)


def knows_replicas_by_their_node(patch: MonkeyPatch) -> None:
    """Whatever a node says is taken for the word of the directory that the members list."""
    right = Node.receive

    def receive(self: Node, now_us: int, sender: ReplicaId, message: Any) -> None:
        for member in members_of(self.configuration):
            if member.node == sender.node:
                sender = member
        right(self, now_us, sender, message)

    patch.setattr(Node, "receive", receive)


def knows_itself_by_its_node(patch: MonkeyPatch) -> None:
    """A replica with a new directory takes itself for the member its node once was."""
    right = Node.__init__

    def init(self: Node, group: int, me: ReplicaId, storage: Any, *others: Any) -> None:
        for member in members_of(storage.snapshot().configuration):
            if member.node == me.node:
                me = member
        right(self, group, me, storage, *others)

    patch.setattr(Node, "__init__", init)


def promotes_whoever_it_is_told_to(patch: MonkeyPatch) -> None:
    """New voters need not have learnt anything."""
    patch.setattr(changes, "_check_caught_up", lambda replica, leader, active, voter: None)
