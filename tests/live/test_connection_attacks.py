"""Clients that connect, and do not behave: the others are served, memory and logs have bounds."""

from __future__ import annotations

import resource
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from cli.configs import BROKER, Change, Owner, alter
from cli.context import Target
from partitions import wire
from partitions.wire import ApiKey
from tests.live.clients import Record
from tests.live.clients.confluent_client import ConfluentClient
from tests.live.cluster import Broker, Cluster, ask
from tests.live.raw import METADATA_VERSION, Connection, connected, request, wait_for_leaders
from tests.live.test_memory_attacks import MIB, broker, client, resident_bytes, use
from tests.live.waiting import wait_for

__all__ = ["broker", "client"]

pytestmark = pytest.mark.live

PATIENCE_S = 60.0
CONNECTIONS, ALLOWED = 5000, 4000
OWN_DESCRIPTORS = 500
RESPONSES_MAX = 128 * MIB * 5 // 4
"""Of one address: half of the budget of responses, with its overdraft."""
LARGE = "large"
RECORD_BYTES = 900_000
METADATA = wire.messages(ApiKey.METADATA)
ASKED = request(ApiKey.METADATA, METADATA_VERSION, METADATA.MetadataRequest(topics=()))


@contextmanager
def setting(broker: Broker, name: str, value: str) -> Iterator[None]:
    """One of the broker's settings, other than usual for the block."""
    target = Target((broker.kafka,), PATIENCE_S)
    owner = Owner(BROKER, str(broker.id))
    alter(owner, [Change("set", name, value)], target)
    try:
        yield
    finally:
        alter(owner, [Change("unset", name)], target)


def log_bytes(broker: Broker) -> int:
    return broker.log.stat().st_size


def serves(connection: Connection) -> bool:
    """Is a question answered? False: it was closed."""
    try:
        connection.send(ASKED)
        return len(connection.frame()) > 0
    except (AssertionError, OSError):
        return False


def test_connections_beyond_the_limit_are_closed_and_the_others_served(
    broker: Broker, client: ConfluentClient
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < CONNECTIONS + OWN_DESCRIPTORS:
        pytest.skip(f"{CONNECTIONS} connections need more file descriptors (ulimit -Hn {hard})")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    connections: list[Connection] = []
    before, written = resident_bytes(broker), log_bytes(broker)
    try:
        with setting(broker, "max.connections", str(ALLOWED)):
            for _ in range(CONNECTIONS):
                connections.append(Connection(broker.kafka))
            served = sum(serves(connection) for connection in connections)
            # Some more are the clients' of this test.
            assert ALLOWED - 50 < served <= ALLOWED
            assert resident_bytes(broker) - before < ALLOWED * 30 * 1024
            assert log_bytes(broker) - written < 100_000
            for connection in connections[:100]:
                connection.close()
            wait_for(lambda: ask(broker.kafka) is not None, PATIENCE_S, "room for one more")
    finally:
        for connection in connections:
            connection.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    wait_for(lambda: ask(broker.kafka) is not None, PATIENCE_S, "the broker to serve again")
    use(client, 10)


def test_idle_connections_are_closed_and_busy_ones_are_not(
    broker: Broker, client: ConfluentClient
) -> None:
    with connected(broker.kafka) as busy, setting(broker, "connections.max.idle.ms", "500"):
        idle = [Connection(broker.kafka) for _ in range(200)]
        try:
            for number, connection in enumerate(idle):
                connection.send(ASKED[: number % len(ASKED)])  # nothing, or half a request
            ends = [False]

            def ended() -> bool:
                assert serves(busy)
                ends[:] = [_has_ended(connection) for connection in idle]
                return all(ends)

            wait_for(ended, PATIENCE_S, "all of them to be closed")
            assert serves(busy)
        finally:
            for connection in idle:
                connection.close()
    use(client, 10)


def _has_ended(connection: Connection) -> bool:
    sock = connection._socket
    sock.setblocking(False)
    try:
        return sock.recv(1) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"\x7f\xff\xff\xff" + bytes(20), id="2 GiB announced"),
        pytest.param(struct.pack(">ihhih", 99 * MIB, 0, 9, 1, -1), id="99 MiB announced"),
        pytest.param(ASKED[:-1], id="all but the last byte"),
        pytest.param(ASKED[:3], id="half a length"),
    ],
)
def test_half_frames_of_five_hundred_connections_cost_next_to_nothing(
    broker: Broker, client: ConfluentClient, sent: bytes
) -> None:
    use(client, 10)
    before, written = resident_bytes(broker), log_bytes(broker)
    connections = [Connection(broker.kafka) for _ in range(500)]
    try:
        for connection in connections:
            with suppress(OSError):
                connection.send(sent)
        use(client, 10)
        assert resident_bytes(broker) - before < 500 * 30 * 1024
        assert log_bytes(broker) - written < 50_000
    finally:
        for connection in connections:
            connection.close()


def test_clients_that_take_no_responses_hold_no_more_than_the_budget(
    shared_cluster: Cluster, client: ConfluentClient
) -> None:
    """Each asks for a hundred megabytes and reads nothing."""
    client.create_topic(LARGE, 1)
    broker = shared_cluster.brokers[wait_for_leaders(shared_cluster, LARGE)[0]]
    client.produce(LARGE, [Record(bytes(RECORD_BYTES))] * 2)
    use(client, 10)
    before = most = resident_bytes(broker)
    asked = _fetch() * 100
    sockets = [_deaf(broker) for _ in range(80)]
    try:

        def closed() -> bool:
            nonlocal most
            for sock in sockets:
                with suppress(OSError):  # full, or closed
                    sock.send(asked)
            most = max(most, resident_bytes(broker))
            use(client, 10)
            return "bytes of responses were taken" in broker.log.read_text()

        wait_for(closed, PATIENCE_S, "the first of them to be closed")
    finally:
        for sock in sockets:
            sock.close()
    assert most - before < RESPONSES_MAX + 32 * MIB
    use(client, 10)


def _deaf(broker: Broker) -> socket.socket:
    """A connection with hardly any room for what comes."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.connect((broker.kafka.host, broker.kafka.port))
    sock.setblocking(False)
    return sock


def _fetch() -> bytes:
    """A request for the large records."""
    types = wire.messages(ApiKey.FETCH)
    parts = [
        types.FetchPartition(
            partition=0,
            fetch_offset=0,
            partition_max_bytes=4 * MIB,
            current_leader_epoch=-1,
            last_fetched_epoch=-1,
        )
    ]
    body = types.FetchRequest(
        topics=[types.FetchTopic(topic=LARGE, partitions=parts)],
        max_wait=0,
        min_bytes=0,
        max_bytes=4 * MIB,
    )
    return request(ApiKey.FETCH, 11, body)
