"""Bounds on clients' connections, and the end of the idle ones."""

from __future__ import annotations

import socket
import struct
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from structlog.testing import capture_logs

from partitions import wire
from partitions.server.host.connections import ConnectionLimits, Connections
from partitions.server.host.listener import Listener, Pump, Shared
from partitions.server.host.stalls import Stalls
from partitions.server.intake import RequestBudget
from partitions.server.limits import SessionLimits
from partitions.server.statistics import SessionStatistics
from raftlog.engine.handshake import CONTROL, Hello, encode_hello
from raftlog.host import Complaints, TrioReactor
from raftlog.host.complaints import ADDRESS_LINES_MAX
from raftlog.testing.reactor import VirtualReactor
from raftlog.types import ReplicaId
from tests.partitions.api.fakes import FakeServices

IDLE_US = 80_000
LOOK_US = 50_000


class FakeConnection:
    """Counters set at will."""

    def __init__(self) -> None:
        self.now = SessionStatistics(0, 0, 0, 0, 0)
        self.reason = ""

    def statistics(self) -> SessionStatistics:
        return self.now

    def close(self, reason: str) -> None:
        self.reason = reason


def test_only_what_moves_no_bytes_and_has_no_request_open_is_closed() -> None:
    reactor = VirtualReactor(1)
    connections = Connections(reactor.process("broker"), ConnectionLimits(9, 9, IDLE_US))
    silent, reading, writing, waiting, gone = [FakeConnection() for _ in range(5)]
    forget = [connections.watch(c) for c in (silent, reading, writing, waiting, gone)]
    waiting.now = SessionStatistics(1, 1, 50, 0, 0)
    forget[4]()
    for turn in range(1, 20):
        reading.now = SessionStatistics(1, 0, 100 * turn, 0, 0)
        writing.now = SessionStatistics(1, 0, 100, 10 * turn, 0)
        reactor.run_until(reactor.now_us() + IDLE_US // 2)
    assert silent.reason == "idle for 80 ms (connections.max.idle.ms)"
    assert not any(c.reason for c in (reading, writing, waiting, gone))
    waiting.now = SessionStatistics(1, 0, 50, 0, 0)  # answered, and nothing after that
    reactor.run_until(reactor.now_us() + 2 * IDLE_US)
    assert all(c.reason for c in (reading, writing, waiting))


def test_limits_change_while_clients_are_connected() -> None:
    reactor = VirtualReactor(1)
    connections = Connections(reactor.process("broker"), ConnectionLimits(9, 9, 10 * IDLE_US))
    connections.opened("a")
    silent = FakeConnection()
    connections.watch(silent)
    assert connections.refusal("a") is None
    connections.set_limits(ConnectionLimits(9, 1, IDLE_US))
    assert connections.refusal("a") == "max.connections.per.ip (1)"
    assert connections.refusal("b") is None
    connections.set_limits(ConnectionLimits(1, 9, IDLE_US))
    assert connections.refusal("b") == "max.connections (1)"
    reactor.run_until(reactor.now_us() + 3 * IDLE_US)
    assert silent.reason == "idle for 80 ms (connections.max.idle.ms)"
    assert connections.present == 1
    reactor.run_until(reactor.now_us() + 2 * IDLE_US)
    late = FakeConnection()
    connections.watch(late)  # the timer rests while there is nobody, and starts again
    reactor.run_until(reactor.now_us() + 2 * IDLE_US)
    assert late.reason


@asynccontextmanager
async def serving(
    limits: ConnectionLimits,
    services: FakeServices | None = None,
    room: RequestBudget | None = None,
) -> AsyncIterator[tuple[Connections, int]]:
    """A listener on loopback: (its connections, its port)."""
    reactor = TrioReactor()
    sock = socket.create_server(("127.0.0.1", 0))
    connections = Connections(reactor, limits)
    services, room = services or FakeServices(), room or RequestBudget(1 << 28)
    stalls = Stalls(reactor, room, services.response_budget, LOOK_US)
    shared = Shared(room, Pump(reactor), connections, stalls, Complaints(reactor))
    listener = Listener("PLAIN", sock, services, SessionLimits(), shared)
    async with trio.open_nursery() as nursery:
        await nursery.start(reactor.run)
        nursery.start_soon(listener.run)
        try:
            with trio.fail_after(5):
                yield connections, sock.getsockname()[1]
        finally:
            nursery.cancel_scope.cancel()
            sock.close()


async def ended(stream: trio.SocketStream) -> bool:
    """Did the other side close, having sent nothing?"""
    try:
        return await stream.receive_some(1) == b""
    except trio.BrokenResourceError:
        return True


async def ask_versions(stream: trio.SocketStream) -> None:
    """A request and its response."""
    body = wire.messages(wire.ApiKey.API_VERSIONS).ApiVersionsRequest()
    await stream.send_all(b"".join(wire.encode_request(18, 0, 1, "test", body)))
    head = b""
    while len(head) < 4:
        head += await stream.receive_some(4 - len(head))
    left = struct.unpack(">i", head)[0]
    while left:
        left -= len(await stream.receive_some(left))


async def test_a_silent_client_and_half_a_request_are_closed() -> None:
    with capture_logs() as logs:
        async with serving(ConnectionLimits(100, 100, IDLE_US)) as (connections, port):
            for sent in (b"", b"\x00\x00\x00\x50half a request"):
                async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
                    if sent:
                        await ask_versions(stream)
                        await stream.send_all(sent)
                    assert await ended(stream)
            while connections.present:
                await trio.lowlevel.checkpoint()
    lines = [line for line in logs if "connections.max.idle.ms" in line.get("reason", "")]
    assert len(lines) == 2


def test_a_shorter_idle_time_counts_at_once() -> None:
    reactor = VirtualReactor(1)
    connections = Connections(reactor.process("broker"), ConnectionLimits(9, 9, 10**10))
    silent = FakeConnection()
    connections.set_limits(ConnectionLimits(9, 9, 10**9))
    connections.watch(silent)
    reactor.run_until(reactor.now_us() + 10 * IDLE_US)
    assert not silent.reason
    connections.set_limits(ConnectionLimits(9, 9, IDLE_US))
    reactor.run_until(reactor.now_us() + 2 * IDLE_US)
    assert silent.reason


@pytest.mark.parametrize(
    ("limits", "setting"),
    [
        (ConnectionLimits(2, 9, 10**10), "max.connections (2)"),
        (ConnectionLimits(9, 2, 10**10), "max.connections.per.ip (2)"),
        (ConnectionLimits(9, 9, 10**10, 5), "half of the 5 file descriptors"),
    ],
)
async def test_connections_beyond_a_limit_are_closed_at_once_and_others_serve_on(
    limits: ConnectionLimits, setting: str
) -> None:
    with capture_logs() as logs:
        async with (
            serving(limits) as (connections, port),
            await trio.open_tcp_stream("127.0.0.1", port) as one,
        ):
            async with await trio.open_tcp_stream("127.0.0.1", port) as other:
                await ask_versions(one)
                await ask_versions(other)
                async with await trio.open_tcp_stream("127.0.0.1", port) as third:
                    assert await ended(third)
                await ask_versions(one)
            while connections.present > 1:
                await trio.lowlevel.checkpoint()
            async with await trio.open_tcp_stream("127.0.0.1", port) as later:
                await ask_versions(later)
    (line,) = [line for line in logs if line["event"] == "too many connections"]
    assert line["limit"].startswith(setting)


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (encode_hello(Hello("c", ReplicaId(2, bytes(16)), 1, CONTROL)), "name the port of peer"),
        (b"GET / HTTP/1.1\r\n\r\n", "this looks like HTTP"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "this looks like TLS"),
        (b"\x7f\xff\xff\xff" + b"x" * 1000, "larger than socket.request.max.bytes"),
        (b"\x00\x00\x00\x14" + b"\x7f" * 20, "is not served"),
    ],
    ids=["a broker's hello", "http", "tls", "huge frame", "unknown api"],
)
async def test_who_is_no_kafka_client_is_closed_with_one_helpful_line(
    sent: bytes, reason: str
) -> None:
    with capture_logs() as logs:
        async with serving(ConnectionLimits(9, 9, 10**10)) as (connections, port):
            async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
                await stream.send_all(sent)
                assert await ended(stream)
            while connections.present:
                await trio.lowlevel.checkpoint()
            async with await trio.open_tcp_stream("127.0.0.1", port) as later:
                await ask_versions(later)
    (line,) = logs
    assert reason in line["reason"]


async def test_bad_clients_cannot_fill_the_log() -> None:
    with capture_logs() as logs:
        async with serving(ConnectionLimits(9, 9, 10**10)) as (_, port):
            for _ in range(ADDRESS_LINES_MAX + 10):
                async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
                    await stream.send_all(b"GET / HTTP/1.1\r\n\r\n")
                    assert await ended(stream)
            async with await trio.open_tcp_stream("127.0.0.1", port) as later:
                await ask_versions(later)
    assert len(logs) == ADDRESS_LINES_MAX


def test_all_descriptors_that_the_process_may_have_are_taken() -> None:
    code = (
        "import resource; from partitions.server.host.descriptors import raise_limit; "
        "resource.setrlimit(resource.RLIMIT_NOFILE, (100, 300)); "
        "print(raise_limit(), *resource.getrlimit(resource.RLIMIT_NOFILE))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["300", "300", "300"]
