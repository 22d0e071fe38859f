"""Two connections per pair of brokers, control and bulk, on trio sockets.

One of a pair dials, so that it never has two of a lane for long: see `dials`. A peer counts
as connected when both lanes are; when either breaks both are closed.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple, Protocol

import structlog
import trio
from trio.lowlevel import wait_readable

from raftlog.disk.acquaintances import Acquaintances
from raftlog.engine.dialling import dials
from raftlog.engine.handshake import (
    BULK,
    CONTROL,
    Hello,
    OtherSide,
    check_hello,
    decode_hello,
    encode_hello,
    hello_bytes,
    other_voters,
)
from raftlog.errors import PeerFault
from raftlog.framing import frame_bytes
from raftlog.host.complaints import Complaints
from raftlog.host.stream import Stream
from raftlog.types import Buffer, ReplicaId

log = structlog.get_logger()

DIAL_BACKOFF_MIN_S = 0.05
DIAL_BACKOFF_MAX_S = 1.0
HANDSHAKE_TIMEOUT_S = 5.0
STRANGERS_MAX = 128
"""Accepted connections that have not said hello yet; further ones are closed at once."""


class PeerEvents(Protocol):
    """Whom the mesh tells what happens."""

    def peer_connected(self, replica: ReplicaId) -> None:
        """Both lanes to `replica` are up."""

    def peer_disconnected(self, replica: ReplicaId) -> None:
        """At least one of them is gone."""

    def receive(self, replica: ReplicaId, frame: memoryview) -> None:
        """One whole frame; PeerFault closes the connection."""


class PeerAddress(NamedTuple):
    """Where a node's peer listener is."""

    host: str
    port: int


@dataclass(slots=True)
class _Link:
    """The lanes to one node."""

    replica: ReplicaId
    incarnation: int
    lanes: dict[int, Stream] = field(default_factory=dict)
    up: bool = False


class Mesh:
    """Implements `engine.Transport`. `run` serves the listener and keeps dialling."""

    def __init__(
        self,
        me: Hello,
        listener: socket.socket,
        acquaintances: Acquaintances,
        *,
        voters: frozenset[int],
        max_frame_bytes: int,
        max_pending_bytes: int,
        finish_pass: Callable[[], None],
        complaints: Complaints,
    ) -> None:
        """`voters`: the node ids whose addresses every broker is formatted with."""
        self._me = me
        self._voters = voters
        self._listener = listener
        self._acquaintances = acquaintances
        self._max_frame_bytes = max_frame_bytes
        self._max_pending_bytes = max_pending_bytes
        self._finish_pass = finish_pass
        self._lines = complaints
        self._links: dict[int, _Link] = {}
        self._dialling: dict[int, PeerAddress] = {}
        self._nursery: trio.Nursery | None = None
        self._strangers = 0
        self._complaints: dict[int, str] = {}
        """What was last logged of a node that we dial, so that it is said once."""
        self._voters_hellos: dict[int, Hello] = {}
        """The last hello of each voter."""
        self.events: PeerEvents
        """To be set before `run`."""

    # --- Transport

    def send(self, node: int, buffers: list[Buffer], *, bulk: bool) -> None:
        """Write frames to a connected peer; dropped when it is not."""
        link = self._links.get(node)
        if link is not None and link.up:
            link.lanes[BULK if bulk else CONTROL].write(buffers)

    # --- who to talk to

    def set_peers(self, addresses: dict[int, PeerAddress]) -> None:
        """Dial those of these nodes that are ours to dial from now on."""
        for node, address in addresses.items():
            known = node in self._dialling
            self._dialling[node] = address
            if not known and self._nursery is not None:
                self._start_dialling(node)

    def _start_dialling(self, node: int) -> None:
        assert self._nursery is not None
        if not dials(self._me.replica.node, node, self._voters):
            return
        for lane in (CONTROL, BULK):
            self._nursery.start_soon(self._dial_for_ever, node, lane)

    async def inquire(self) -> None:
        """Ask the voters that are not connected who they are.

        A voter that was formatted otherwise may wait for us to dial as we do for it: see `dials`.
        """
        for node in sorted(self._voters - {self._me.replica.node}):
            if node in self._links or node not in self._dialling:
                continue
            address = self._dialling[node]
            sock = await self._dial(address)
            if sock is not None:
                await self._meet(sock, node, CONTROL, f"{address.host}:{address.port}")
                sock.close()

    def disagreement(self) -> str | None:
        """A sentence if a voter was formatted for another quorum than this broker."""
        sentences = (other_voters(self._me, hello) for hello in self._voters_hellos.values())
        return next((sentence for sentence in sentences if sentence is not None), None)

    def connected(self) -> list[int]:
        """Nodes with both lanes up."""
        return sorted(node for node, link in self._links.items() if link.up)

    async def run(self) -> None:
        """Accept and dial until cancelled."""
        self._listener.setblocking(False)
        async with trio.open_nursery() as self._nursery:
            for node in sorted(self._dialling):
                self._start_dialling(node)
            while True:
                await wait_readable(self._listener)
                try:
                    sock, address = self._listener.accept()
                except OSError as error:
                    log.warning("peer accept failed", error=str(error))
                    await trio.sleep(DIAL_BACKOFF_MIN_S)
                    continue
                peer = f"{address[0]}:{address[1]}"
                if self._strangers >= STRANGERS_MAX:
                    self._lines.warning("too many peer connections without a hello", peer=peer)
                    sock.close()
                    continue
                self._strangers += 1
                self._nursery.start_soon(self._accepted, sock, peer)

    async def _accepted(self, sock: socket.socket, peer: str) -> None:
        try:
            theirs = await self._meet(sock, None, CONTROL, peer)
        finally:
            self._strangers -= 1
        if theirs is not None:
            await self._serve(sock, theirs)

    async def _dial_for_ever(self, node: int, lane: int) -> None:
        backoff = DIAL_BACKOFF_MIN_S
        while True:
            link = self._links.get(node)
            if link is not None and link.up:
                # that side dials too: its brokers were formatted with other voters than ours
                await trio.sleep(DIAL_BACKOFF_MAX_S)
                continue
            address = self._dialling[node]
            sock = await self._dial(address)
            if sock is not None:
                theirs = await self._meet(sock, node, lane, f"{address.host}:{address.port}")
                if theirs is not None:
                    await self._serve(sock, theirs)
                    backoff = DIAL_BACKOFF_MIN_S
            await trio.sleep(backoff)
            backoff = min(backoff * 2, DIAL_BACKOFF_MAX_S)

    async def _dial(self, address: PeerAddress) -> socket.socket | None:
        try:
            with trio.fail_after(HANDSHAKE_TIMEOUT_S):
                stream = await trio.open_tcp_stream(address.host, address.port)
        except (OSError, trio.TooSlowError):
            return None
        # take the plain socket out of trio's wrapper: the Stream does its own waiting
        plain = socket.socket(fileno=stream.socket.detach())
        plain.setblocking(False)
        return plain

    # --- one connection

    async def _meet(
        self, sock: socket.socket, node: int | None, lane: int, peer: str
    ) -> Hello | None:
        """Exchange hellos; None, with a line in the log, if the other side is no peer of ours."""
        sock.setblocking(False)
        try:
            with trio.fail_after(HANDSHAKE_TIMEOUT_S):
                theirs = await self._handshake(sock, node, lane)
        except trio.TooSlowError:
            reason = f"no whole hello within {HANDSHAKE_TIMEOUT_S:g} s: is this a quorate broker?"
        except PeerFault as error:
            reason = str(error)
        except OSError as error:
            reason = f"{error.strerror or error}; its log may say why"
        except BaseException:
            sock.close()
            raise
        else:
            self._met(theirs)
            return theirs
        sock.close()
        self._complain(node, peer, reason)
        return None

    def _met(self, theirs: Hello) -> None:
        """Remember what a voter says of itself, and say so if it contradicts us."""
        node = theirs.replica.node
        sentence = other_voters(self._me, theirs) if node in self._voters else None
        if node in self._voters:
            self._voters_hellos[node] = theirs
        if sentence is None:
            self._complaints.pop(node, None)
        elif self._complaints.get(node) != sentence:
            self._complaints[node] = sentence
            log.warning("peer formatted otherwise", peer=node, reason=sentence)

    def _complain(self, node: int | None, peer: str, reason: str) -> None:
        if node is None:
            self._lines.warning("peer refused", peer=peer, reason=reason)
        elif self._complaints.get(node) != reason:  # it is dialled again and again
            self._complaints[node] = reason
            log.warning("peer refused", peer=peer, dialled=node, reason=reason)

    async def _serve(self, sock: socket.socket, theirs: Hello) -> None:
        """Frames until the connection ends."""
        stream = Stream(sock, max_pending_bytes=self._max_pending_bytes)
        self._established(theirs, stream)
        try:
            await stream.run(partial(self._consume, theirs.replica, stream))
        finally:
            self._ended(theirs.replica.node, stream)

    async def _handshake(self, sock: socket.socket, node: int | None, lane: int) -> Hello:
        if node is not None:
            mine = self._hello(lane, self._acquaintances.latest(node))
            sock.sendall(encode_hello(mine))
            theirs = await _read_hello(sock)
            mine = self._hello(lane, theirs.replica)
        else:
            theirs = await _read_hello(sock)
            mine = self._hello(theirs.lane, theirs.replica)
        try:
            check_hello(mine, theirs, node)
        except OtherSide:
            if node is None:
                sock.sendall(encode_hello(mine))  # so that the log over there says it as well
            raise
        self._acquaintances.remember(theirs.replica, theirs.formatting)
        if node is None:
            sock.sendall(encode_hello(mine))
        return theirs

    def _hello(self, lane: int, other: ReplicaId | None) -> Hello:
        """What is said to `other`, of whom nothing may be known yet."""
        return self._me._replace(lane=lane, met=self._acquaintances.met(other))

    def _established(self, theirs: Hello, stream: Stream) -> None:
        node = theirs.replica.node
        link = self._links.get(node)
        if link is None or (link.replica, link.incarnation) != (theirs.replica, theirs.incarnation):
            if link is not None:
                self._take_down(link)
            link = self._links[node] = _Link(theirs.replica, theirs.incarnation)
        old = link.lanes.get(theirs.lane)
        if old is not None:
            self._take_down(link)
            self._links[node] = link
        link.lanes[theirs.lane] = stream
        if len(link.lanes) == 2 and not link.up:
            link.up = True
            log.info("peer connected", peer=node)
            self.events.peer_connected(link.replica)

    def _ended(self, node: int, stream: Stream) -> None:
        link = self._links.get(node)
        if link is not None and stream in link.lanes.values():
            self._take_down(link)

    def _take_down(self, link: _Link) -> None:
        lanes = list(link.lanes.values())
        link.lanes.clear()
        for stream in lanes:
            stream.close()
        if self._links.get(link.replica.node) is link:
            del self._links[link.replica.node]
        if link.up:
            link.up = False
            log.info("peer disconnected", peer=link.replica.node)
            self.events.peer_disconnected(link.replica)

    def _consume(self, replica: ReplicaId, stream: Stream, view: memoryview) -> tuple[int, int]:
        """Hand every whole frame to the engine."""
        position, end = 0, len(view)
        try:
            while end - position >= 4:
                size = frame_bytes(view, position, max_frame_bytes=self._max_frame_bytes)
                if end - position - 4 < size:
                    self._finish_pass()
                    return position, size + 4
                self.events.receive(replica, view[position + 4 : position + 4 + size])
                position += 4 + size
        except PeerFault as error:
            log.error("peer sent a bad frame", peer=replica.node, error=str(error))
            stream.close()
            return end, 0
        self._finish_pass()
        return position, 0


async def _read_hello(sock: socket.socket) -> Hello:
    prefix = await _read_exactly(sock, 4)
    return decode_hello(await _read_exactly(sock, hello_bytes(prefix)))


async def _read_exactly(sock: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        await wait_readable(sock)
        more = sock.recv(count - len(data))
        if not more:
            raise ConnectionResetError("closed in the handshake, as by a broker of another cluster")
        data += more
    return data
