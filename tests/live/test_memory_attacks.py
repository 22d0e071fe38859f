"""Many connections that want memory for what never comes: it is bounded, and others are served."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from partitions import wire
from partitions.wire import ApiKey
from tests.live.clients import Record
from tests.live.clients.confluent_client import ConfluentClient
from tests.live.cluster import Broker, Cluster
from tests.live.raw import Connection, request, wait_for_leaders
from tests.live.waiting import wait_for

pytestmark = pytest.mark.live

MIB = 1024 * 1024
PATIENCE_S = 60.0
TOPIC, PARTITIONS = "served", 3
LARGE_SHARE = 128 * MIB
"""Half of the default queued.max.request.bytes: all that frames above 2 MiB may hold."""
ORDINARY_SHARE = 48 * MIB
DRIBBLE = 1000
"""Bytes that an attacker sends one by one."""
MARGIN = 32 * MIB
"""The normal client's traffic, socket objects, and what the allocator keeps for itself."""
METADATA = wire.messages(ApiKey.METADATA)


@pytest.fixture
def client(shared_cluster: Cluster) -> ConfluentClient:
    """One that has a topic, with a leader on each broker."""
    client = ConfluentClient(shared_cluster.bootstrap)
    if TOPIC not in client.topics():
        client.create_topic(TOPIC, PARTITIONS)
    wait_for_leaders(shared_cluster, TOPIC)
    return client


@pytest.fixture
def broker(shared_cluster: Cluster) -> Broker:
    return shared_cluster.brokers[1]


class Attacker:
    """Announces a Produce request of `size` bytes and sends `sent` of them at most."""

    def __init__(self, broker: Broker, size: int, sent: int) -> None:
        self.socket = socket.create_connection((broker.kafka.host, broker.kafka.port), PATIENCE_S)
        self.socket.setblocking(False)
        self._rest = memoryview(struct.pack(">ihhih", size, 0, 9, 1, -1) + bytes(sent))

    def send(self, most: int, *, keep: int = 0) -> None:
        """Send what the kernel takes, up to `most` bytes, but `keep` bytes."""
        with suppress(OSError):  # full, or closed
            part = self._rest[: min(most, len(self._rest) - keep)]
            self._rest = self._rest[self.socket.send(part) :]


@contextmanager
def attack(broker: Broker, count: int, size: int, sent: int) -> Iterator[list[Attacker]]:
    attackers = [Attacker(broker, size, sent) for _ in range(count)]
    try:
        yield attackers
    finally:
        for attacker in attackers:
            attacker.socket.close()


def resident_bytes(broker: Broker) -> int:
    """Memory that the process holds."""
    with open(f"/proc/{broker.pid}/status", encoding="ascii") as status:
        (line,) = [line for line in status if line.startswith("VmRSS")]
    return int(line.split()[1]) * 1024


def use(client: ConfluentClient, size: int) -> None:
    """Write a record to every partition and read it back."""
    for partition in range(PARTITIONS):
        value = bytes(size)
        (offset,) = client.produce(TOPIC, [Record(value)], partition=partition)
        (read,) = client.consume(TOPIC, 1, partition=partition, start=offset)
        assert read.value == value


def stalled(broker: Broker) -> int:
    """Connections that were closed for their requests."""
    return broker.log.read_text().count("holds room (queued.max.request.bytes)")


@pytest.mark.parametrize(
    ("count", "size", "sent", "share", "records"),
    [
        (40, 90 * MIB, 8 * MIB, LARGE_SHARE, (10, 900_000)),
        (150, 2 * MIB - 100, 2 * MIB - 5000, ORDINARY_SHARE, (10, 2000)),
    ],
    ids=["90 MiB each", "2 MiB each"],
)
def test_half_requests_hold_no_more_than_their_share(
    broker: Broker,
    client: ConfluentClient,
    count: int,
    size: int,
    sent: int,
    share: int,
    records: tuple[int, ...],
) -> None:
    """Also when they go on byte by byte: that is too slow while others wait."""
    for record in records:
        use(client, record)
    before, closed_before = resident_bytes(broker), stalled(broker)
    most = 0
    with attack(broker, count, size, sent) as attackers:

        def go_on() -> bool:
            nonlocal most
            for attacker in attackers:
                attacker.send(1)
            most = max(most, resident_bytes(broker))
            for record in records:
                use(client, record)
            return stalled(broker) >= closed_before + 3

        for _ in range(sent // MIB + 1):
            for attacker in attackers:
                attacker.send(MIB, keep=DRIBBLE)
        wait_for(go_on, PATIENCE_S, "the first attackers to be closed")
    assert most - before < share + MARGIN
    use(client, 900_000)  # the rest have left: there is room for all again


def test_a_thousand_connections_that_do_nothing_are_served_when_they_ask(
    broker: Broker, client: ConfluentClient
) -> None:
    before = resident_bytes(broker)
    asked = request(ApiKey.METADATA, 9, METADATA.MetadataRequest(topics=()))
    connections: list[Connection] = []
    try:
        for _ in range(1000):
            connections.append(Connection(broker.kafka))
        use(client, 10)
        for connection in connections:
            connection.send(asked[:7])
        use(client, 10)
        assert resident_bytes(broker) - before < MARGIN
        for connection in connections:
            connection.send(asked[7:])
        for connection in connections:
            _, answer = wire.decode_response(ApiKey.METADATA, 9, connection.frame())
            assert len(answer.brokers) == 3
    finally:
        for connection in connections:
            with suppress(OSError):
                connection.close()
