"""Sessions that share one budget: what they hold, when they stop, and that all get on."""

from __future__ import annotations

import struct
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partitions import wire
from partitions.server import RequestBudget, SessionLimits
from partitions.server.intake import PRESSED_READ_BYTES, READ_BYTES
from tests.partitions.api.client import Client
from tests.partitions.api.fakes import FakeReplica, FakeServices
from tests.partitions.api.requests import batch, fetch, produce

KIB = 1024
CLUSTER = wire.messages(60)


@pytest.fixture
def services() -> FakeServices:
    return FakeServices()


@pytest.fixture
def replica(services: FakeServices) -> FakeReplica:
    replica = services.add_topic("t")[0]
    replica.max_message_bytes = 1 << 30
    return replica


def large(client: Client, size: int) -> bytes:
    """A Produce frame of a bit more than `size` bytes."""
    return client.encode(0, 9, produce(("t", 0, batch(value=bytes(size)))))


def test_a_frame_in_part_has_room_until_it_is_answered(
    services: FakeServices, replica: FakeReplica
) -> None:
    room = RequestBudget(1 << 20)
    client = Client(services, room=room)
    frame = large(client, 100 * KIB)
    assert client.feed(frame[:3]) == (0, 4)
    assert room.statistics().granted_bytes == 0
    assert client.feed(frame[:50]) == (0, len(frame))
    assert client.feed(frame[:60_000]) == (0, len(frame))
    assert room.statistics() == (len(frame), 0, 0), "asked once"
    client.feed(frame)
    assert room.statistics() == (len(frame), 0, 0)
    replica.commit()
    assert room.statistics() == (0, 0, 0)


def test_a_whole_frame_is_counted_while_it_is_open(
    services: FakeServices, replica: FakeReplica
) -> None:
    room = RequestBudget(1 << 20)
    client = Client(services, room=room)
    frame = large(client, 100 * KIB)
    client.feed(frame)
    assert room.statistics() == (0, len(frame), 0)
    replica.commit()
    client.receive()
    client.ask(60, 0, CLUSTER.DescribeClusterRequest())
    assert room.statistics() == (0, 0, 0)


def test_who_gets_no_room_is_not_read_from_until_there_is(
    services: FakeServices, replica: FakeReplica
) -> None:
    room = RequestBudget(1 << 20)  # ordinary frames have 192 KiB
    first, second, small = [Client(services, room=room) for _ in range(3)]
    one, two = large(first, 150 * KIB), large(second, 150 * KIB)
    first.feed(one[:100])
    assert second.feed(two[:100]) == (0, len(two))
    assert not second.session.wants_read
    assert second.feed(two[:100]) == (0, 0), "offered again, nothing is asked again"
    small.ask(60, 0, CLUSTER.DescribeClusterRequest())
    first.feed(one)
    assert not second.session.wants_read, "the first is not answered yet"
    replica.commit()
    assert second.wakes == 1
    assert second.session.wants_read
    assert second.feed(two[:100]) == (0, len(two))
    second.feed(two)
    assert len(replica.batches) == 2


@pytest.mark.parametrize("end", ["close", "a fault"])
def test_a_connection_that_ends_takes_nothing_with_it(
    services: FakeServices, replica: FakeReplica, end: str
) -> None:
    room = RequestBudget(1 << 20)
    clients = [Client(services, room=room) for _ in range(3)]
    frames = [large(client, 150 * KIB) for client in clients]
    for client, frame in zip(clients, frames, strict=True):
        client.send(1, 12, fetch(("t", 0, 0)))
        client.feed(frame[:100])
    assert room.statistics().waiting == 2
    clients[1].session.close()  # while it waits
    assert room.statistics().waiting == 1
    if end == "close":
        clients[0].session.close()
    else:
        services.replicas.clear()
        bad = bytearray(frames[0])
        bad[4:8] = b"\x7f\x7f\x7f\x7f"
        clients[0].feed(bytes(bad))
        assert clients[0].session.close_reason is not None
    assert clients[2].session.wants_read
    clients[2].session.close()
    assert room.statistics() == (0, 0, 0)
    replica.commit()
    assert room.statistics() == (0, 0, 0), "a late answer gives nothing back twice"


def test_over_the_bound_each_connection_has_one_request_open(
    services: FakeServices, replica: FakeReplica
) -> None:
    room = RequestBudget(1 << 20)  # 256 KiB unanswered
    busy, other = Client(services, room=room), Client(services, room=room)
    frames = [large(busy, 100 * KIB) for _ in range(5)]
    used, needed = busy.feed(b"".join(frames))
    assert (used, needed) == (sum(map(len, frames[:3])), 0)
    kept = sum(map(len, frames[3:]))
    assert room.statistics() == (0, used + kept, 0), "what the host keeps counts as well"
    frames_too = [large(other, 100) for _ in range(2)]
    used, _ = other.feed(b"".join(frames_too))
    assert used == len(frames_too[0])
    replica.commit()
    assert busy.wakes
    assert other.wakes
    assert busy.feed(b"".join(frames[3:]))[0] == kept
    assert other.feed(frames_too[1])[0] == len(frames_too[1])
    replica.commit()
    assert room.statistics() == (0, 0, 0)


def test_over_the_budget_of_responses_only_readers_are_read_from(services: FakeServices) -> None:
    slow, quick = Client(services), Client(services)
    body = CLUSTER.DescribeClusterRequest()
    frames = [slow.encode(60, 0, body) for _ in range(3)]
    services.response_budget.take(1000)
    services.response_budget.limit = 1001
    assert slow.feed(b"".join(frames))[0] == len(frames[0])
    for _ in range(3):
        quick.ask(60, 0, body)
    assert len(slow.receive()) == 1
    assert slow.session.wants_read


def test_far_over_the_budget_of_responses_nobody_is_until_some_are_taken(
    services: FakeServices,
) -> None:
    """However many connections there are: each would add the response that it may always have."""
    clients = [Client(services, peer=f"10.0.{n}.1:5000") for n in range(100)]
    budget = services.response_budget
    body = CLUSTER.DescribeClusterRequest()
    clients[0].feed(clients[0].encode(60, 0, body))
    each = budget.used
    budget.limit = 8 * each
    frames = [client.encode(60, 0, body) for client in clients[1:]]
    taken = [c.feed(frame)[0] for c, frame in zip(clients[1:], frames, strict=True)]
    assert budget.used == 10 * each
    assert sum(1 for used in taken if used) == 9
    left = [c for c, used in zip(clients[1:], taken, strict=True) if not used]
    assert not any(client.session.wants_read or client.wakes for client in left)
    left[0].session.close()
    for client in clients[:3]:
        assert len(client.receive()) == 1
    assert [client.wakes for client in left] == [0] + [1] * 89
    assert left[1].session.wants_read
    assert left[1].feed(frames[-89])[0] == len(frames[-89])
    assert len(left[1].receive()) == 1


def test_an_address_far_over_its_half_of_them_waits_alone(services: FakeServices) -> None:
    clients = [Client(services) for _ in range(20)]
    other = Client(services, peer="10.0.0.2:5000")
    budget = services.response_budget
    body = CLUSTER.DescribeClusterRequest()
    clients[0].feed(clients[0].encode(60, 0, body))
    each = budget.used
    budget.limit = 16 * each
    frames = [client.encode(60, 0, body) for client in clients[1:]]
    taken = [c.feed(frame)[0] for c, frame in zip(clients[1:], frames, strict=True)]
    assert budget.used == 10 * each, "a half and a quarter of it"
    assert sum(1 for used in taken if used) == 9
    other.feed(b"".join(other.encode(60, 0, body) for _ in range(5)))
    assert len(other.receive()) == 5, "it may have several open as well"
    left = clients[10:]
    clients[0].receive()
    clients[1].receive()
    assert not any(client.wakes for client in left), "still half"
    clients[2].receive()
    assert all(client.wakes == 1 for client in left)
    assert left[0].session.wants_read


# --- many at once


class Host:
    """What `raftlog.host.stream` does, with bytes that come when the test says so."""

    def __init__(self, services: FakeServices, room: RequestBudget, limits: SessionLimits) -> None:
        self.client = Client(services, limits, room=room)
        self.room = room
        self.unread = b""
        self.held = bytearray()
        self.needed = 0
        self.answers: list[Any] = []

    def receive(self, size: int) -> None:
        """Up to `size` bytes leave the kernel, if they are wanted."""
        session = self.client.session
        if not session.wants_read or session.close_reason is not None:
            return
        most = min(size, READ_BYTES)
        if self.held:
            most = min(most, max(1, self.needed - len(self.held)))
        else:
            most = min(most, self.room.read_bytes)
        self.held += self.unread[:most]
        self.unread = self.unread[most:]
        self.offer()

    def offer(self) -> None:
        session = self.client.session
        while session.wants_read and self.held:
            used, self.needed = session.consume(memoryview(self.held))
            del self.held[:used]
            self.answers += [number for number, _ in self.client.receive()]
            if self.needed or not used:
                return


LIMIT = 1 << 20
SIZES = (1, 100, 20_000, 60_000, 140_000)


def check_held(room: RequestBudget, hosts: list[Host]) -> None:
    """All that hosts hold is counted, but for parts of lengths; and the sum has its bound."""
    granted, counted, _ = room.statistics()
    assert sum(len(host.held) for host in hosts) <= granted + counted + 3 * len(hosts)
    assert granted <= LIMIT // 4  # the shares of small and ordinary frames
    beyond = READ_BYTES + 2 * PRESSED_READ_BYTES * len(hosts)
    assert counted <= room.unanswered_max + beyond


@given(st.integers(0, 2**32))
@settings(max_examples=40)
def test_many_sessions_hold_no_more_than_the_budget_and_all_are_answered(seed: int) -> None:
    random = Random(seed)
    services, room = FakeServices(), RequestBudget(LIMIT)
    replica = services.add_topic("t")[0]
    replica.max_message_bytes = 1 << 30
    limits = SessionLimits(in_flight_max=random.randint(1, 4))
    hosts = [Host(services, room, limits) for _ in range(12)]
    stallers = [host for host in hosts if random.random() < 0.25]
    for host in hosts:
        stream = b"".join(large(host.client, random.choice(SIZES)) for _ in range(4))
        host.unread = stream[: random.randrange(1, len(stream))] if host in stallers else stream

    for _ in range(500):
        random.choice(hosts).receive(random.choice((1, 3, 1000, 5000, READ_BYTES, READ_BYTES)))
        if random.random() < 0.2:
            commit(replica, hosts)
        check_held(room, hosts)
    for host in stallers:
        hosts.remove(host)
        host.client.session.close()
    finish(replica, room, hosts)
    for host in hosts:
        host.answers += [number for number, _ in host.client.receive()]
        assert host.answers == [1, 2, 3, 4]
    assert room.statistics() == (0, 0, 0)


def commit(replica: FakeReplica, hosts: list[Host]) -> None:
    replica.commit()
    for host in hosts:
        host.offer()


def finish(replica: FakeReplica, room: RequestBudget, hosts: list[Host]) -> None:
    """All that was sent is read and handled: in every round something moves, or gets room."""

    def left() -> list[tuple[int, int, object]]:
        return [
            (len(host.unread), len(host.held), host.client.session.statistics())
            for host in hosts
            if host.unread or host.held
        ]

    while before := left():
        for host in hosts:
            host.receive(READ_BYTES)
            check_held(room, hosts)
        commit(replica, hosts)
        assert left() != before, "deadlock"
    replica.commit()


@given(st.data())
def test_frames_may_be_cut_anywhere(data: st.DataObject) -> None:
    services = FakeServices()
    replica = services.add_topic("t")[0]
    room = RequestBudget(1 << 20)
    host = Host(services, room, SessionLimits(in_flight_max=data.draw(st.integers(1, 5))))
    count = data.draw(st.integers(1, 5))
    frames = [
        large(host.client, data.draw(st.integers(0, 300)))
        if data.draw(st.booleans())
        else host.client.encode(60, 0, CLUSTER.DescribeClusterRequest())
        for _ in range(count)
    ]
    host.unread = b"".join(frames)
    while host.unread or host.held:
        host.receive(data.draw(st.integers(1, 80)))
        if data.draw(st.booleans()) or not host.client.session.wants_read:
            replica.commit()
            host.offer()
    replica.commit()
    host.answers += [number for number, _ in host.client.receive()]
    assert host.answers == list(range(1, count + 1))
    assert room.statistics() == (0, 0, 0)


@given(
    good=st.integers(0, 2),
    size=st.one_of(
        st.integers(-(2**31), 7),
        st.integers(SessionLimits().request_bytes_max + 1, 2**31 - 1),
    ),
    cut=st.integers(4, 40),
)
def test_impossible_lengths_end_it_and_hold_nothing(good: int, size: int, cut: int) -> None:
    services, room = FakeServices(), RequestBudget(1 << 20)
    client = Client(services, room=room)
    frame = client.encode(60, 0, CLUSTER.DescribeClusterRequest())
    client.feed(frame * good + (struct.pack(">i", size) + bytes(40))[:cut])
    assert client.session.close_reason is not None
    assert len(client.log.warnings) == 1
    assert client.log.errors == []
    assert room.statistics() == (0, 0, 0)
