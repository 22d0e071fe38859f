"""The order of a broker's end, and how long each part of it may take."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest
import trio
from structlog.testing import capture_logs

from partitions.api import ByteBudget
from partitions.server.host import ending
from partitions.server.host.connections import ConnectionLimits, Connections
from partitions.server.host.listener import Listener, Pump, Shared
from partitions.server.host.notify import Notifier
from partitions.server.host.stalls import Stalls
from partitions.server.intake import RequestBudget
from partitions.server.limits import SessionLimits
from partitions.server.statistics import SessionStatistics
from raftlog.host import Complaints, TrioReactor
from tests.partitions.api.fakes import FakeServices
from tests.partitions.server.host.test_connections import FakeConnection, ask_versions

AMPLE = ConnectionLimits(100, 100, 10**10)
UNANSWERED = SessionStatistics(5, 1, 50, 50, 0)
UNSENT = SessionStatistics(5, 0, 50, 50, 9)
IDLE = SessionStatistics(5, 0, 50, 50, 0)


class FakeBroker:
    """Says that all is handed over when told to."""

    leads = 3

    def __init__(self, at_once: bool = True) -> None:
        self.draining = self
        self.me = self
        self.node = 1
        self.asked = False
        self._at_once = at_once

    def leave(self, done: Callable[[], None]) -> None:
        assert not self.asked
        self.asked = True
        if self._at_once:
            done()


class FakeListener:
    open = True

    def stop_accepting(self) -> None:
        self.open = False


async def timed(broker: FakeBroker, connections: Any) -> float:
    """How long the end takes, in the test's time."""
    listeners: Any = [FakeListener(), FakeListener()]
    before = trio.current_time()
    fake: Any = broker
    await ending.end(fake, listeners, connections, Notifier({}, 1))
    assert not any(listener.open for listener in listeners)
    assert broker.asked
    return trio.current_time() - before


def watched(*now: SessionStatistics) -> tuple[Connections, list[FakeConnection]]:
    connections = Connections(TrioReactor(), AMPLE)
    clients = [FakeConnection() for _ in now]
    for client, statistics in zip(clients, now, strict=True):
        client.now = statistics
        connections.watch(client)
    return connections, clients


async def test_without_anything_to_do_it_is_short(autojump_clock: object) -> None:
    connections, _ = watched(IDLE)
    assert await timed(FakeBroker(), connections) == 0


@pytest.mark.parametrize("state", [UNANSWERED, UNSENT])
async def test_answers_are_waited_for(autojump_clock: object, state: SessionStatistics) -> None:
    connections, (client, _) = watched(state, IDLE)

    async def answer() -> None:
        await trio.sleep(1)
        client.now = IDLE

    async with trio.open_nursery() as nursery:
        nursery.start_soon(answer)
        assert 1 <= await timed(FakeBroker(), connections) < 1.1


async def test_no_part_of_it_lasts_longer_than_its_limit(autojump_clock: object) -> None:
    connections, _ = watched(UNANSWERED)
    with capture_logs() as logs:
        took = await timed(FakeBroker(at_once=False), connections)
    assert took == pytest.approx(ending.HAND_OVER_LIMIT_S + ending.ANSWERS_LIMIT_S, abs=0.1)
    assert took < 10
    assert (logs[-1]["leads_still"], logs[-1]["unanswered"]) == (3, 1)


async def test_who_is_connected_is_served_on_and_nobody_else_gets_in() -> None:
    reactor, services, room = TrioReactor(), FakeServices(), RequestBudget(1 << 28)
    sock = socket.create_server(("127.0.0.1", 0))
    port = sock.getsockname()[1]
    connections = Connections(reactor, AMPLE)
    stalls = Stalls(reactor, room, ByteBudget(1 << 28))
    limits = SessionLimits()
    shared = Shared(room, Pump(reactor), connections, stalls, Complaints(reactor))
    listener = Listener("PLAIN", sock, services, limits, shared)
    async with trio.open_nursery() as nursery:
        await nursery.start(reactor.run)
        nursery.start_soon(listener.run)
        with trio.fail_after(5):
            async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
                await ask_versions(stream)
                assert connections.busy == 0
                listener.stop_accepting()
                while sock.fileno() >= 0:
                    await trio.lowlevel.checkpoint()
                with pytest.raises(OSError, match=r"refused|all attempts"):
                    await trio.open_tcp_stream("127.0.0.1", port)
                await ask_versions(stream)
        nursery.cancel_scope.cancel()
