"""Clients that hold what others wait for are closed; the others, and slow ones alone, are not."""

from __future__ import annotations

import struct

import pytest
import trio
from structlog.testing import capture_logs

from partitions import wire
from partitions.api import ByteBudget
from partitions.server import RequestBudget
from partitions.server.host.connections import ConnectionLimits
from partitions.server.host.stalls import BYTES_MIN, Progress, Stalls
from raftlog.testing.reactor import VirtualReactor
from tests.partitions.api.fakes import FakeServices
from tests.partitions.server.host.test_connections import ask_versions, ended, serving

LOOK_US = 1_000_000
AMPLE = ConnectionLimits(100, 100, 10**10)
MIDDLE = Progress(requests=3, granted=10 * BYTES_MIN, received=500, unsent=0, sent=900, reads=True)
IDLE = Progress(requests=3, granted=0, received=500, unsent=0, sent=900, reads=True)
FULL = Progress(requests=3, granted=0, received=500, unsent=10 * BYTES_MIN, sent=900, reads=False)


class Connection:
    """Moves by `step` in every look."""

    def __init__(self, now: Progress, **step: int) -> None:
        self.now = now
        self.step = step
        self.reason = ""

    def progress(self) -> Progress:
        now = self.now
        more = {name: getattr(now, name) + amount for name, amount in self.step.items()}
        self.now = now._replace(**more)
        return now

    def close(self, reason: str) -> None:
        self.reason = reason


def closed(connection: Connection, *, requests: bool, responses: bool) -> bool:
    """Is it closed within two looks while others wait for these?"""
    reactor = VirtualReactor(1)
    room, budget = RequestBudget(1000), ByteBudget(100)
    room.hold(1000 if requests else 0)
    budget.take(100 if responses else 0)
    stalls = Stalls(reactor.process("broker"), room, budget, LOOK_US)
    stalls.watch(connection)
    reactor.run_until(reactor.now_us() + LOOK_US + 10)
    assert not connection.reason, "one look says nothing"
    reactor.run_until(reactor.now_us() + LOOK_US + 10)
    return bool(connection.reason)


@pytest.mark.parametrize(
    ("connection", "for_requests", "for_responses"),
    [
        (lambda: Connection(MIDDLE), True, False),
        (lambda: Connection(MIDDLE, received=BYTES_MIN - 1), True, False),
        (lambda: Connection(MIDDLE, received=BYTES_MIN), False, False),
        (lambda: Connection(MIDDLE, requests=1), False, False),
        (lambda: Connection(MIDDLE._replace(reads=False)), False, False),
        (lambda: Connection(MIDDLE._replace(reads=False, unsent=5)), True, False),
        (lambda: Connection(IDLE), False, False),
        (lambda: Connection(FULL), True, True),
        (lambda: Connection(FULL, sent=BYTES_MIN - 1), True, True),
        (lambda: Connection(FULL, sent=BYTES_MIN), False, False),
        (lambda: Connection(FULL._replace(reads=True)), False, True),
        (lambda: Connection(FULL._replace(unsent=5, reads=True)), False, False),
    ],
    ids=[
        "stopped in its request",
        "a slow request",
        "a request that gets on",
        "one request after the other",
        "not read from by us",
        "not read from since it takes no responses",
        "nothing open",
        "takes no responses",
        "takes them slowly",
        "takes them",
        "takes none and sends more",
        "a few bytes are left to take",
    ],
)
def test_who_is_closed(connection: object, for_requests: bool, for_responses: bool) -> None:
    assert callable(connection)
    assert not closed(connection(), requests=False, responses=False), "nobody waits"
    assert closed(connection(), requests=True, responses=False) == for_requests
    assert closed(connection(), requests=False, responses=True) == for_responses


def test_who_waits_for_his_own_address_ends_nobody_elses_request() -> None:
    reactor = VirtualReactor(1)
    room = RequestBudget(1 << 20)
    greedy = [Session("greedy"), Session("greedy")]
    assert room.ask(greedy[0], 90 << 10)
    assert not room.ask(greedy[1], 90 << 10), "96 KiB are half"
    stalls = Stalls(reactor.process("broker"), room, ByteBudget(100), LOOK_US)
    slow, cause = [
        Connection(MIDDLE._replace(granted=90 << 10, address=address))
        for address in ("other", "greedy")
    ]
    stalls.watch(slow)
    stalls.watch(cause)
    reactor.run_until(reactor.now_us() + 5 * LOOK_US)
    assert not slow.reason
    assert cause.reason


@pytest.mark.parametrize(("used", "ended"), [(110, False), (125, True)])
def test_little_left_to_take_counts_once_nobody_is_served(used: int, ended: bool) -> None:
    """Else ten thousand who take nothing would each be too small to be the cause."""
    reactor = VirtualReactor(1)
    budget = ByteBudget(100)
    budget.take(used)
    stalls = Stalls(reactor.process("broker"), RequestBudget(1000), budget, LOOK_US)
    idle, takes = Connection(FULL._replace(unsent=5)), Connection(FULL._replace(unsent=5), sent=5)
    stalls.watch(idle)
    stalls.watch(takes)
    reactor.run_until(reactor.now_us() + 5 * LOOK_US)
    assert bool(idle.reason) == ended
    assert not takes.reason


class Session:
    """Asks for room."""

    def __init__(self, address: str) -> None:
        self.address = address

    def granted(self) -> None:
        raise AssertionError("there is no room")


def test_the_timer_rests_while_there_is_nobody() -> None:
    reactor = VirtualReactor(1)
    room = RequestBudget(1000)
    room.hold(1000)
    stalls = Stalls(reactor.process("broker"), room, ByteBudget(100), LOOK_US)
    first = Connection(MIDDLE)
    forget = stalls.watch(first)
    forget()
    reactor.run_until(reactor.now_us() + 5 * LOOK_US)
    late = Connection(MIDDLE)
    stalls.watch(late)
    reactor.run_until(reactor.now_us() + 5 * LOOK_US)
    assert late.reason
    assert not first.reason


async def half(stream: trio.SocketStream, size: int) -> None:
    """The beginning of a Produce frame of `size` bytes."""
    await stream.send_all(struct.pack(">ihhih", size, 0, 9, 1, -1) + bytes(500))


async def test_room_moves_on_from_those_who_stop() -> None:
    room = RequestBudget(1 << 20)
    with capture_logs() as logs:
        async with serving(AMPLE, room=room) as (connections, port):
            streams = [await trio.open_tcp_stream("127.0.0.1", port) for _ in range(3)]
            for stream in streams:
                await half(stream, 180 * 1024)
            for stream in streams[:2]:  # the last has room then, and nobody waits for it
                assert await ended(stream)
                await ask_versions_anew(port)
            while connections.present > 1:
                await trio.lowlevel.checkpoint()
            assert room.statistics().waiting == 0
            assert room.statistics().granted_bytes == 180 * 1024 + 4
            for stream in streams:
                await stream.aclose()
            while connections.present:
                await trio.lowlevel.checkpoint()
    assert room.statistics() == (0, 0, 0)
    reasons = [line["reason"] for line in logs if line["event"] == "closing connection"]
    assert len(reasons) == 2
    assert all("queued.max.request.bytes" in reason for reason in reasons)


async def ask_versions_anew(port: int) -> None:
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        await ask_versions(stream)


def metadata_request() -> bytes:
    """Its answer has some 35 KB from the services below."""
    body = wire.messages(wire.ApiKey.METADATA).MetadataRequest(topics=None)
    return b"".join(wire.encode_request(3, 9, 1, "test", body))


async def take(stream: trio.SocketStream, count: int) -> None:
    """Read `count` whole responses."""
    data = bytearray()
    while count:
        data += await stream.receive_some(1 << 16)
        while len(data) >= 4 and len(data) >= 4 + (size := int.from_bytes(data[:4], "big")):
            del data[: 4 + size]
            count -= 1


async def test_who_reads_late_is_read_from_again() -> None:
    """More responses than a connection may leave untaken; then it takes them all."""
    services = FakeServices()
    services.add_topic("t", 1000)
    async with serving(AMPLE, services) as (_, port):
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(stream.send_all, metadata_request() * 600)
                while services.response_budget.used < 8 << 20:
                    await trio.lowlevel.checkpoint()
                await take(stream, 600)
            await ask_versions(stream)
    assert services.response_budget.used == 0


async def test_who_takes_no_responses_is_closed_when_others_wait_for_them() -> None:
    services = FakeServices()
    services.add_topic("t", 1000)
    services.response_budget.limit = 4 << 20
    with capture_logs() as logs:
        async with serving(AMPLE, services) as (connections, port):
            async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
                await stream.send_all(metadata_request() * 800)
                while not logs:
                    await ask_versions_anew(port)
            while connections.present:
                await trio.lowlevel.checkpoint()
    (line,) = [line for line in logs if line["event"] == "closing connection"]
    assert "bytes of responses were taken" in line["reason"]
    assert services.response_budget.used == 0
