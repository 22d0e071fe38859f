"""The peer port: two meshes find each other, and what strangers send costs one log line."""

from __future__ import annotations

import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from random import Random
from typing import Any

import pytest
import trio
from structlog.testing import capture_logs

from raftlog.disk.acquaintances import Acquaintances
from raftlog.engine.handshake import BULK, CONTROL, MAGIC, Hello, encode_hello
from raftlog.errors import PeerFault
from raftlog.host import Mesh, PeerAddress
from raftlog.host import mesh as mesh_module
from raftlog.host.complaints import ADDRESS_LINES_MAX, Complaints
from raftlog.testing import VirtualDisk
from raftlog.testing.reactor import VirtualReactor
from raftlog.types import ReplicaId

FRAME_BYTES_MAX = 100_000
VOTERS = frozenset([1, 2])


def hello(
    node: int, *, lane: int = CONTROL, cluster: str = "cluster", incarnation: int = 1
) -> Hello:
    return Hello(cluster, ReplicaId(node, bytes([node]) * 16), incarnation, lane)


class Events:
    """Notes what the mesh tells; frames that begin with b"bad" are refused."""

    def __init__(self) -> None:
        self.up: list[int] = []
        self.down: list[int] = []
        self.frames: list[bytes] = []

    def peer_connected(self, replica: ReplicaId) -> None:
        self.up.append(replica.node)

    def peer_disconnected(self, replica: ReplicaId) -> None:
        self.down.append(replica.node)

    def receive(self, replica: ReplicaId, frame: memoryview) -> None:
        if bytes(frame[:3]) == b"bad":
            raise PeerFault("this frame breaks the protocol")
        self.frames.append(bytes(frame))


class Peer:
    """One mesh on a port of loopback."""

    def __init__(self, me: Hello) -> None:
        self.events = Events()
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.sock.getsockname()[1]
        self.mesh = Mesh(
            me,
            self.sock,
            Acquaintances(VirtualDisk(Random(1))),
            voters=VOTERS,
            max_frame_bytes=FRAME_BYTES_MAX,
            max_pending_bytes=1 << 20,
            finish_pass=lambda: None,
            complaints=Complaints(VirtualReactor(1).process("broker")),
        )
        self.mesh.events = self.events
        self.logs: list[Any] = []

    def has_connected(self, times: int) -> bool:
        """So often in all?"""
        return len(self.events.up) == times

    def lines(self, event: str) -> list[str]:
        """Reasons of the log lines `event`."""
        found = [line for line in self.logs if line["event"] == event]
        return [line.get("reason", line.get("error", "")) for line in found]


@asynccontextmanager
async def running(*peers: Peer) -> AsyncIterator[None]:
    """Run meshes; the test ends within five seconds."""
    with capture_logs() as logs:
        for peer in peers:
            peer.logs = logs
        async with trio.open_nursery() as nursery:
            for peer in peers:
                nursery.start_soon(peer.mesh.run)
            try:
                with trio.fail_after(5):
                    yield
            finally:
                nursery.cancel_scope.cancel()
                for peer in peers:
                    peer.sock.close()


async def until(condition: Callable[[], object]) -> None:
    while not condition():
        await trio.lowlevel.checkpoint()


async def end_of(stream: trio.SocketStream) -> None:
    """Read until the other side closes."""
    try:
        while await stream.receive_some(65_536):
            pass
    except trio.BrokenResourceError:
        pass


async def works(peer: Peer) -> None:
    """A broker of the cluster still gets a connection, and its frames arrive."""
    before = len(peer.events.up)
    async with (
        await trio.open_tcp_stream("127.0.0.1", peer.port) as control,
        await trio.open_tcp_stream("127.0.0.1", peer.port) as bulk,
    ):
        await control.send_all(encode_hello(hello(7, lane=CONTROL)))
        await bulk.send_all(encode_hello(hello(7, lane=BULK)))
        await until(lambda: len(peer.events.up) > before)
        await bulk.send_all(framed(b"it works"))
        await until(lambda: b"it works" in peer.events.frames)
    await until(lambda: len(peer.events.down) > before)


def framed(payload: bytes) -> bytes:
    return struct.pack(">I", len(payload)) + payload


KAFKA_REQUEST = framed(struct.pack(">hhih", 18, 3, 1, 4) + b"test" + b"\x00" * 20)
OTHER_CLUSTER = encode_hello(hello(2, cluster="elsewhere"))


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        pytest.param(bytes(range(256)) * 40, "Kafka client", id="garbage"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "Kafka client", id="http"),
        pytest.param(KAFKA_REQUEST, "is a Kafka client configured with the peer port?", id="kafka"),
        pytest.param(
            struct.pack(">I", 200_000) + b"x" * 100, "not a quorate peer", id="oversized hello"
        ),
        pytest.param(framed(MAGIC + b"\xff" * 40), "unreadable hello", id="bad hello"),
        pytest.param(OTHER_CLUSTER, "formatted for another cluster", id="other cluster"),
        pytest.param(encode_hello(hello(1)), "node.id 1 too", id="same node id"),
        pytest.param(OTHER_CLUSTER[:30], "no whole hello within", id="half a hello"),
        pytest.param(b"", "no whole hello within", id="silence"),
    ],
)
async def test_strangers_are_refused_with_one_helpful_line(
    monkeypatch: pytest.MonkeyPatch, sent: bytes, reason: str
) -> None:
    peer = Peer(hello(1))
    async with running(peer):
        with monkeypatch.context() as patched:
            if "within" in reason:
                patched.setattr(mesh_module, "HANDSHAKE_TIMEOUT_S", 0.05)
            async with await trio.open_tcp_stream("127.0.0.1", peer.port) as stream:
                if sent:
                    await stream.send_all(sent)
                await end_of(stream)
                await until(lambda: peer.lines("peer refused"))
        await works(peer)
        (line,) = peer.lines("peer refused")
        assert reason in line
        assert peer.mesh._strangers == 0
        assert not peer.mesh._links


async def test_strangers_cannot_fill_the_log() -> None:
    peer = Peer(hello(1))
    async with running(peer):
        for _ in range(ADDRESS_LINES_MAX + 10):
            async with await trio.open_tcp_stream("127.0.0.1", peer.port) as stream:
                await stream.send_all(KAFKA_REQUEST)
                await end_of(stream)
        await works(peer)
        assert len(peer.lines("peer refused")) == ADDRESS_LINES_MAX


async def test_strangers_without_a_hello_are_bounded_in_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mesh_module, "STRANGERS_MAX", 2)
    peer = Peer(hello(1))
    async with running(peer):
        async with (
            await trio.open_tcp_stream("127.0.0.1", peer.port) as one,
            await trio.open_tcp_stream("127.0.0.1", peer.port) as two,
            await trio.open_tcp_stream("127.0.0.1", peer.port) as three,
        ):
            await end_of(three)
            assert peer.mesh._strangers == 2
            assert len(peer.lines("too many peer connections without a hello")) == 1
            await one.aclose()
            await two.aclose()
            await until(lambda: peer.mesh._strangers == 0)
        await works(peer)


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        pytest.param(struct.pack(">I", FRAME_BYTES_MAX + 1), "frame of 100001 bytes", id="large"),
        pytest.param(
            struct.pack(">I", 2**32 - 1) + b"x" * 10_000, "frame of 4294967295", id="huge"
        ),
        pytest.param(framed(b""), "frame of 0 bytes", id="empty"),
        pytest.param(framed(b"fine") + framed(b"bad frame"), "breaks the protocol", id="bad"),
    ],
)
async def test_a_peers_bad_frame_closes_its_connection(sent: bytes, reason: str) -> None:
    peer = Peer(hello(1))
    async with running(peer):
        async with (
            await trio.open_tcp_stream("127.0.0.1", peer.port) as control,
            await trio.open_tcp_stream("127.0.0.1", peer.port) as bulk,
        ):
            await control.send_all(encode_hello(hello(2, lane=CONTROL)))
            await bulk.send_all(encode_hello(hello(2, lane=BULK)))
            await until(lambda: peer.events.up)
            await bulk.send_all(sent)
            await end_of(bulk)
            await end_of(control)  # never half a pair
            await until(lambda: peer.events.down)
        (line,) = peer.lines("peer sent a bad frame")
        assert reason in line
        await works(peer)


async def test_two_meshes_connect_and_frames_arrive_on_both_lanes() -> None:
    one, two = Peer(hello(1)), Peer(hello(2))
    one.mesh.set_peers({2: PeerAddress("127.0.0.1", two.port)})
    two.mesh.set_peers({1: PeerAddress("127.0.0.1", one.port)})
    async with running(one, two):
        await until(lambda: one.events.up == [2] and two.events.up == [1])
        one.mesh.send(2, [framed(b"bulk")], bulk=True)
        two.mesh.send(1, [framed(b"control")], bulk=False)
        await until(lambda: two.events.frames == [b"bulk"] and one.events.frames == [b"control"])
        assert one.mesh.connected() == [2]
        two.mesh.send(9, [framed(b"to nobody")], bulk=False)
        assert not one.lines("peer refused")


async def test_a_dialled_node_that_refuses_is_complained_about_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mesh_module, "DIAL_BACKOFF_MAX_S", 0.01)
    monkeypatch.setattr(mesh_module, "DIAL_BACKOFF_MIN_S", 0.001)
    one, two = Peer(hello(1)), Peer(hello(2, cluster="elsewhere"))
    one.mesh.set_peers({2: PeerAddress("127.0.0.1", two.port)})
    async with running(one, two):
        await until(lambda: len(two.lines("peer refused")) > 6)
        dialled = [line for line in one.logs if line.get("dialled") == 2]
        assert len(dialled) == 1
        assert "its log may say why" in dialled[0]["reason"]


async def test_a_new_process_of_a_node_replaces_the_old_ones_connections() -> None:
    peer = Peer(hello(1))
    async with running(peer):
        streams = []
        for incarnation in (1, 2):
            for lane in (CONTROL, BULK):
                stream = await trio.open_tcp_stream("127.0.0.1", peer.port)
                streams.append(stream)
                await stream.send_all(encode_hello(hello(2, lane=lane, incarnation=incarnation)))
            await until(partial(peer.has_connected, incarnation))
        await end_of(streams[0])
        await end_of(streams[1])
        assert (peer.events.up, peer.events.down) == ([2, 2], [2])
        await streams[3].send_all(framed(b"new"))
        await until(lambda: peer.events.frames == [b"new"])
        for stream in streams:
            await stream.aclose()


async def test_a_voter_that_nobody_dials_is_asked_whom_it_was_formatted_with() -> None:
    """Two dials no lower node id; formatted otherwise, one may leave it to two as well."""
    one = Peer(hello(1)._replace(voters=(ReplicaId(1, b"1" * 16), ReplicaId(3, b"3" * 16))))
    two = Peer(hello(2)._replace(voters=(ReplicaId(1, b"1" * 16), ReplicaId(2, b"2" * 16))))
    two.mesh.set_peers({1: PeerAddress("127.0.0.1", one.port)})
    async with running(one, two):
        assert two.mesh.disagreement() is None
        await two.mesh.inquire()
        sentence = two.mesh.disagreement()
        assert sentence is not None
        assert f"node 1 (1:{'31' * 16}, 3:{'33' * 16})" in sentence
        assert one.events.up == two.events.up == []
        one.mesh.set_peers({2: PeerAddress("127.0.0.1", two.port)})
        await until(lambda: one.events.up and two.events.up)
        await two.mesh.inquire()
        assert len(two.lines("peer formatted otherwise")) == 2, "each of the two says it once"
        assert (one.events.down, two.events.down) == ([], []), "who is connected is left in peace"
