"""A broker's connections to its peers over virtual streams: what `raftlog.host.mesh` does.

One of a pair dials (`raftlog.engine.dialling`), one stream per lane, with the real handshake; a
peer is connected when both lanes are, and when one breaks both are closed. Frames are cut with
FrameSplitter.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from partitions.testing.world import PEER_PORT, World
from raftlog.disk.acquaintances import Acquaintances
from raftlog.engine.dialling import dials
from raftlog.engine.handshake import BULK, CONTROL, Hello, check_hello, decode_hello, encode_hello
from raftlog.errors import PeerFault
from raftlog.framing import PREFIX_BYTES, FrameSplitter
from raftlog.testing.reactor import VirtualProcess
from raftlog.testing.streams import Stream, StreamReset
from raftlog.types import Buffer, ReplicaId

BACKOFF_MIN_US = 50_000
BACKOFF_MAX_US = 1_000_000
LANES = (CONTROL, BULK)
LANE_NAMES = ("control", "bulk")
UNDELIVERED_MAX = 10_000
"""Items on their way on one lane above which the connection is given up."""


class PeerEvents(Protocol):
    """Whom the mesh tells what happens."""

    def peer_connected(self, replica: ReplicaId) -> None:
        """Both lanes to `replica` are up."""

    def peer_disconnected(self, replica: ReplicaId) -> None:
        """At least one of them is gone."""

    def receive(self, replica: ReplicaId, frame: memoryview) -> None:
        """One whole frame."""


@dataclass(slots=True, eq=False)
class _Dial:
    """The wish for one lane to one node."""

    node: int
    lane: int
    backoff_us: int = BACKOFF_MIN_US


@dataclass(slots=True)
class _Link:
    """The lanes to one node."""

    replica: ReplicaId
    incarnation: int
    lanes: dict[int, tuple[Stream[bytes], _Dial | None]] = field(default_factory=dict)
    up: bool = False


class SimMesh:
    """Implements `engine.Transport` for one incarnation of a broker."""

    def __init__(
        self,
        world: World,
        process: VirtualProcess,
        me: Hello,
        acquaintances: Acquaintances,
        voters: frozenset[int],
    ) -> None:
        """`voters`: the node ids whose addresses every broker is formatted with."""
        self._world = world
        self._process = process
        self._me = me
        self._acquaintances = acquaintances
        self._voters = voters
        self._address = me.replica.node
        self._links: dict[int, _Link] = {}
        self._dialled: dict[int, None] = {}
        self.refused: dict[int, str] = {}
        """Why, per node whose hello was not that of a peer."""
        self.events: PeerEvents
        """To be set before `start`."""

    def start(self) -> None:
        """Accept connections from now on."""
        self._world.streams.listen(self._address, PEER_PORT, self._process, self._accepted)

    def set_peers(self, nodes: list[int]) -> None:
        """Dial those of these nodes that are ours to dial from now on."""
        for node in sorted(nodes):
            if dials(self._address, node, self._voters) and node not in self._dialled:
                self._dialled[node] = None
                for lane in LANES:
                    self._dial(_Dial(node, lane))

    def connected(self) -> list[int]:
        """Nodes with both lanes up."""
        return sorted(node for node, link in self._links.items() if link.up)

    def send(self, node: int, buffers: list[Buffer], *, bulk: bool) -> None:
        """Write frames to a connected peer; dropped when it is not."""
        link = self._links.get(node)
        if link is None or not link.up or not self._process.alive:
            return
        stream = link.lanes[BULK if bulk else CONTROL][0]
        self._world.send(stream, b"".join(buffers))
        if stream.in_flight > UNDELIVERED_MAX:
            self._take_down(link)

    # --- dialling and accepting

    def _dial(self, dial: _Dial) -> None:
        connected = partial(self._connected, dial)
        self._world.streams.connect(self._process, self._address, dial.node, PEER_PORT, connected)

    def _again(self, dial: _Dial) -> None:
        self._process.call_at(self._process.now_us() + dial.backoff_us, lambda: self._dial(dial))
        dial.backoff_us = min(dial.backoff_us * 2, BACKOFF_MAX_US)

    def _connected(self, dial: _Dial, stream: Stream[bytes] | None) -> None:
        if stream is None:
            self._again(dial)
            return
        latest = self._acquaintances.latest(dial.node)
        stream.send(encode_hello(self._hello(dial.lane, latest)))
        stream.on_item = partial(self._hello_back, stream, dial)
        stream.on_closed = lambda error: self._again(dial)

    def _hello_back(self, stream: Stream[bytes], dial: _Dial, item: bytes) -> None:
        theirs = decode_hello(item[PREFIX_BYTES:])
        if not self._is_peer(self._hello(dial.lane, theirs.replica), theirs, dial.node):
            stream.close()
            self._again(dial)
            return
        dial.backoff_us = BACKOFF_MIN_US
        self._established(theirs, stream, dial)

    def _accepted(self, stream: Stream[bytes]) -> None:
        stream.on_item = partial(self._hello_first, stream)

    def _hello_first(self, stream: Stream[bytes], item: bytes) -> None:
        theirs = decode_hello(item[PREFIX_BYTES:])
        mine = self._hello(theirs.lane, theirs.replica)
        fits = self._is_peer(mine, theirs, None)
        stream.send(encode_hello(mine))
        if fits:
            self._established(theirs, stream, None)
        else:
            stream.close()

    def _hello(self, lane: int, other: ReplicaId | None) -> Hello:
        return self._me._replace(lane=lane, met=self._acquaintances.met(other))

    def _is_peer(self, mine: Hello, theirs: Hello, dialled_node: int | None) -> bool:
        try:
            check_hello(mine, theirs, dialled_node)
        except PeerFault as error:
            self.refused[theirs.replica.node] = str(error)
            self._world.note(self._address, "peer-refused", theirs.replica.node)
            return False
        self._acquaintances.remember(theirs.replica, theirs.formatting)
        return True

    # --- established lanes

    def _established(self, theirs: Hello, stream: Stream[bytes], dial: _Dial | None) -> None:
        node = theirs.replica.node
        link = self._links.get(node)
        if link is not None and (link.incarnation, link.replica) != (
            theirs.incarnation,
            theirs.replica,
        ):
            self._take_down(link)
            link = None
        if link is None:
            link = self._links[node] = _Link(theirs.replica, theirs.incarnation)
        if theirs.lane in link.lanes:
            self._take_down(link)
        link.lanes[theirs.lane] = (stream, dial)
        stream.on_item = partial(self._received, link, theirs.lane, FrameSplitter())
        stream.on_closed = partial(self._closed, link, stream)
        if len(link.lanes) == len(LANES):
            link.up = True
            self._world.note(self._address, "peer-up", node)
            self.events.peer_connected(link.replica)

    def _received(self, link: _Link, lane: int, splitter: FrameSplitter, item: bytes) -> None:
        node = link.replica.node
        for frame in splitter.feed(item):
            self._world.note_frame(self._address, LANE_NAMES[lane], node, frame)
            self.events.receive(link.replica, frame)

    def _closed(self, link: _Link, stream: Stream[bytes], error: StreamReset | None) -> None:
        if any(lane is stream for lane, _ in link.lanes.values()):
            self._take_down(link)

    def _take_down(self, link: _Link) -> None:
        lanes, link.lanes = link.lanes, {}
        for stream, dial in lanes.values():
            stream.close()
            if dial is not None:
                self._again(dial)
        if link.up:
            link.up = False
            self._world.note(self._address, "peer-down", link.replica.node)
            self.events.peer_disconnected(link.replica)
