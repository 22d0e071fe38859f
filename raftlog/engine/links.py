"""Everything that goes to and comes from other nodes, for all groups together."""

from __future__ import annotations

from collections.abc import Callable

from raftlog.codec import encode
from raftlog.core import Timing, members_of
from raftlog.engine import frames
from raftlog.engine.group import Group
from raftlog.engine.heartbeats import (
    decode_heartbeat,
    decode_offline,
    decode_reply,
    encode_heartbeat,
    encode_offline,
    encode_reply,
)
from raftlog.engine.peers import Peer
from raftlog.engine.transport import Transport
from raftlog.messages import Message
from raftlog.ready import SoftState
from raftlog.seams import Reactor
from raftlog.types import Buffer, ReplicaId, Role


class Links:
    """The peers, what is queued for them in this pass, and their heartbeats."""

    def __init__(
        self,
        me: ReplicaId,
        reactor: Reactor,
        transport: Transport,
        timing: Timing,
        groups: dict[int, Group],
        touch: Callable[[Group], None],
        request_flush: Callable[[], None],
    ) -> None:
        """`touch(group)` has the next flush look at a group whose deadline changed."""
        self._me = me
        self._reactor = reactor
        self._transport = transport
        self._timing = timing
        self._groups = groups
        self._touch = touch
        self._request_flush = request_flush
        self._peers: dict[int, Peer] = {}
        self._outgoing: dict[tuple[int, bool], list[Buffer]] = {}
        self._stopped = False
        self.offline: dict[int, str] = {}
        """Why, per group that is out of service here."""
        self.offline_version = 0
        """Changes whenever an answer of `serves` or a configuration does, connections apart."""
        self.sent = 0
        self.elections = self.leaderships = 0
        """Begun by groups here, and won with a first entry committed."""
        self.drains: Callable[[int], bool] = lambda node: False
        """Does a node hand over what it leads? Then it is no successor of anybody."""
        reactor.call_at(reactor.now_us() + timing.heartbeat_us, self._beat)

    # --- connections

    def connected(self, replica: ReplicaId) -> None:
        """A connection's handshake is complete."""
        peer = self._peers.get(replica.node)
        if peer is None or peer.replica != replica:
            peer = self._peers[replica.node] = Peer(replica)
        peer.connected(self._reactor.now_us())
        self._send_offline(replica.node)
        for group in self._groups.values():
            if group.node.role is Role.LEADER:
                self._consider(peer, group)

    def disconnected(self, replica: ReplicaId) -> None:
        """Its connection is gone."""
        peer = self._peers.get(replica.node)
        if peer is not None and peer.replica == replica:
            peer.disconnected(self._reactor.now_us(), self._groups, self._touch)

    def is_up(self, replica: ReplicaId) -> bool:
        """`replica` is connected (this one always is)."""
        peer = self._peers.get(replica.node)
        return replica == self._me or (peer is not None and peer.up and peer.replica == replica)

    def is_up_node(self, node: int) -> bool:
        """`node` is connected, whichever directory it has."""
        peer = self._peers.get(node)
        return node == self._me.node or (peer is not None and peer.up)

    def is_offline(self, replica: ReplicaId, group_id: int) -> bool:
        """Is `replica`'s copy of the group out of service, as far as known?"""
        if replica == self._me:
            return group_id in self.offline
        peer = self._peers.get(replica.node)
        return peer is not None and peer.replica == replica and group_id in peer.offline

    def serves(self, replica: ReplicaId, group_id: int) -> bool:
        """Can `replica` take part in the group now?"""
        return self.is_up(replica) and not self.is_offline(replica, group_id)

    def tell_offline(self) -> None:
        """`offline` has changed."""
        self.offline_version += 1
        for peer in self._peers.values():
            if peer.up:
                self._send_offline(peer.replica.node)

    def _send_offline(self, node: int) -> None:
        for body in encode_offline(self.offline):
            self.send_frame(node, frames.OFFLINE, [body])

    def stop(self) -> None:
        """Send nothing more."""
        self._stopped = True
        self._outgoing.clear()

    # --- output

    def send_frame(self, node: int, kind: int, body: list[Buffer]) -> None:
        """Queue one control frame for the end of the pass."""
        self._queue(node, [frames.header(kind, body), *body], bulk=False)

    def send_message(self, group_id: int, replica: ReplicaId, message: Message) -> None:
        """Queue one group's message; dropped when the replica is not connected."""
        peer = self._peers.get(replica.node)
        if peer is None or not peer.up or peer.replica != replica:
            return
        self._queue(replica.node, encode(group_id, message), bulk=frames.is_bulk(message))

    def _queue(self, node: int, buffers: list[Buffer], *, bulk: bool) -> None:
        if self._stopped:
            return
        queue = self._outgoing.get((node, bulk))
        if queue is None:
            self._outgoing[(node, bulk)] = buffers
        else:
            queue += buffers
        self.sent += 1
        self._request_flush()

    @property
    def pending(self) -> bool:
        """Something is queued."""
        return bool(self._outgoing)

    def flush(self) -> None:
        """Hand what is queued to the transport."""
        outgoing, self._outgoing = self._outgoing, {}
        for (node, bulk), buffers in outgoing.items():
            self._transport.send(node, buffers, bulk=bulk)

    # --- heartbeats

    def _beat(self) -> None:
        if self._stopped:
            return
        now = self._reactor.now_us()
        for peer in self._peers.values():
            peer.check(now, self._timing.election_min_us, self._groups, self._touch)
            if peer.up:
                beat = encode_heartbeat(peer.next_heartbeat(self._groups))
                self.send_frame(peer.replica.node, frames.HEARTBEAT, [beat])
        self._reactor.call_at(now + self._timing.heartbeat_us, self._beat)

    def receive(self, replica: ReplicaId, kind: int, body: memoryview) -> None:
        """A heartbeat, an answer to one, or the peer's groups that are out of service."""
        peer = self._peers.get(replica.node)
        if peer is None or peer.replica != replica:
            return
        if kind == frames.OFFLINE:
            self._peer_offline(peer, body)
            return
        now = self._reactor.now_us()
        if kind == frames.HEARTBEAT:
            beat = decode_heartbeat(body)
            agrees, refused, woken = peer.heartbeat(beat, self._groups, now)
            reply = encode_reply(beat.sequence, agrees, refused)
            self.send_frame(replica.node, frames.HEARTBEAT_REPLY, [reply])
        else:
            woken = peer.answered(*decode_reply(body), self._groups, now)
        for group in woken:
            self._touch(group)

    def _peer_offline(self, peer: Peer, body: memoryview) -> None:
        begins, groups = decode_offline(body)
        if begins:
            peer.offline.clear()
        peer.offline.update(groups)
        self.offline_version += 1

    # --- groups

    def leadership(self, group: Group, state: SoftState) -> None:
        """A group's role, term or leader changed: who covers it for whom has to be redone."""
        self.elections += state.role is Role.CANDIDATE
        self.leaderships += state.role is Role.LEADER and state.confirmed
        now = self._reactor.now_us()
        for peer in self._peers.values():
            known = peer.follows.terms.get(group.id, state.term)
            if known != state.term or state.leader != peer.replica:
                peer.stopped_following(group, now)
            peer.stopped_leading(group)
            if state.role is Role.LEADER:
                self._consider(peer, group)

    def membership(self, group: Group) -> None:
        """A group's configuration changed: cover whoever came, let go of whoever left."""
        self.offline_version += 1
        if group.node.role is not Role.LEADER:
            return
        for peer in self._peers.values():
            if peer.replica not in members_of(group.node.configuration):
                peer.stopped_leading(group)
                group.node.cover(peer.replica, False)  # it is still to hear that it left
            elif group.id not in peer.leads.terms:
                self._consider(peer, group)

    def _consider(self, peer: Peer, group: Group) -> None:
        """Offer `group` for covering if the peer is a connected member of it."""
        if peer.up and peer.replica in members_of(group.node.configuration):
            peer.candidates[group.id] = group

    def forget(self, group: Group) -> None:
        """The group is removed."""
        for peer in self._peers.values():
            peer.stopped_leading(group)
            peer.follows.discard(group.id)

    def retire(self, group: Group) -> None:
        """The group is out of service here: nobody is covered for it, nobody covers it.

        Other than after a removal the other side goes on, so it has to be told.
        """
        now = self._reactor.now_us()
        for peer in self._peers.values():
            peer.stopped_leading(group)
            peer.stopped_following(group, now)

    def best_successor(self, group: Group) -> ReplicaId | None:
        """The connected voter that matches most of the group's log; None if there is none."""
        progress = group.node.progress
        voters = [
            replica
            for replica in group.node.configuration.voters
            if replica != self._me
            and replica in progress
            and self.serves(replica, group.id)
            and not self.drains(replica.node)
        ]
        return max(voters, key=lambda replica: progress[replica].match, default=None)
