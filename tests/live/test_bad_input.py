"""Bytes that are no requests: the connection ends with one log line, the broker goes on."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import pytest

from partitions import wire
from partitions.wire import ApiKey
from tests.live.clients import Record
from tests.live.clients.confluent_client import ConfluentClient
from tests.live.cluster import Broker, Cluster, ask
from tests.live.raw import Connection, connected, request, wait_for_leaders
from tests.live.waiting import wait_for

pytestmark = pytest.mark.live

PATIENCE_S = 60.0
TLS_HELLO = bytes.fromhex("1603010200010001fc0303") + bytes(range(200))
METADATA = wire.messages(ApiKey.METADATA)


def framed(content: bytes) -> bytes:
    return struct.pack(">i", len(content)) + content


def head(key: int, version: int, client: bytes = b"\x00\x03bad") -> bytes:
    return struct.pack(">hhi", key, version, 1) + client


WHAT_IT_IS = {
    "garbage": (b"\xff" * 64, "no room"),
    "nothing but zeros": (bytes(64), "no room"),
    "a frame of 2 GiB": (b"\x7f\xff\xff\xff" + bytes(64), "socket.request.max.bytes"),
    "a TLS hello": (TLS_HELLO, "TLS"),
    "an HTTP request": (b"GET /metrics HTTP/1.1\r\nHost: broker\r\n\r\n", "HTTP"),
    "an unknown API": (framed(head(9999, 0)), "key 9999"),
    "a version from the future": (framed(head(ApiKey.METADATA, 99)), "version 99"),
    "a version from the past": (framed(head(ApiKey.FETCH, 0)), "version 0"),
    "an array of 2^31-1 topics": (
        framed(head(ApiKey.METADATA, 1) + b"\x7f\xff\xff\xff"),
        "METADATA|metadata",
    ),
    "a compact array of 2^35 topics": (
        framed(head(ApiKey.METADATA, 9) + b"\x00\xff\xff\xff\xff\x7f\x00"),
        "METADATA|metadata",
    ),
    "a body that ends too early": (
        framed(request(ApiKey.METADATA, 9, METADATA.MetadataRequest(topics=None))[4:-3]),
        "METADATA|metadata",
    ),
    "a body with something behind it": (
        framed(request(ApiKey.METADATA, 9, METADATA.MetadataRequest(topics=None))[4:] + b"more"),
        "METADATA|metadata",
    ),
    "a client id that is no text": (
        framed(head(ApiKey.METADATA, 1, b"\x00\x02\xff\xfe") + bytes(4)),
        "UTF-8",
    ),
    "a large request that is no Produce": (
        framed(head(ApiKey.METADATA, 1) + bytes(2 * 1024 * 1024)),
        "too large",
    ),
}


@pytest.fixture
def broker(shared_cluster: Cluster) -> Iterator[Broker]:
    """One broker, which must serve after the test as before, with the same pid."""
    broker = shared_cluster.brokers[1]
    yield broker
    assert ask(broker.kafka) is not None, "the broker does not serve any more"
    client = ConfluentClient(shared_cluster.bootstrap)
    if "after" not in client.topics():
        client.create_topic("after", 3)
        wait_for_leaders(shared_cluster, "after")
    for partition in range(3):
        before = client.latest("after", partition)
        assert client.produce("after", [Record(b"v")], partition=partition) == [before]
    assert "Traceback" not in broker.log.read_text()


def lines_about(broker: Broker, connection: Connection) -> list[str]:
    """What the broker logged of a connection."""
    address = f"{connection.own_address} "
    return [line for line in broker.log.read_text().splitlines() if address in f"{line} "]


@pytest.mark.parametrize("what", list(WHAT_IT_IS))
def test_the_connection_ends_with_one_line_that_says_why(broker: Broker, what: str) -> None:
    data, reason = WHAT_IT_IS[what]
    with connected(broker.kafka) as connection:
        connection.send(data)
        assert connection.is_closed()
        lines = wait_for(lambda: lines_about(broker, connection), PATIENCE_S, "a log line")
    assert len(lines) == 1
    assert any(each in lines[0] for each in reason.split("|"))


def test_good_requests_before_the_bad_one_are_answered(broker: Broker) -> None:
    good = request(ApiKey.METADATA, 9, METADATA.MetadataRequest(topics=()))
    with connected(broker.kafka) as connection:
        connection.send(good + good + b"\xff" * 64 + good)
        for _ in range(2):
            _, answer = wire.decode_response(ApiKey.METADATA, 9, connection.frame())
            assert len(answer.brokers) == 3
        assert connection.is_closed()


def test_a_request_may_come_byte_by_byte(broker: Broker) -> None:
    whole = request(ApiKey.METADATA, 9, METADATA.MetadataRequest(topics=()))
    with connected(broker.kafka) as connection:
        for position in range(len(whole)):
            connection.send(whole[position : position + 1])
        _, answer = wire.decode_response(ApiKey.METADATA, 9, connection.frame())
    assert len(answer.brokers) == 3


@pytest.mark.parametrize("kept", [1, 4, 7, 12])
def test_half_a_request_and_an_end_is_nothing_to_speak_of(broker: Broker, kept: int) -> None:
    whole = request(ApiKey.METADATA, 9, METADATA.MetadataRequest(topics=()))
    with connected(broker.kafka) as connection:
        connection.send(whole[:kept])
        connection.end_sending()
        assert connection.is_closed()
        assert lines_about(broker, connection) == []


def test_the_version_question_of_a_newer_client_is_answered(broker: Broker) -> None:
    """KIP-511: version 0 says which versions there are, and the connection stays."""
    with connected(broker.kafka) as connection:
        connection.send(framed(head(ApiKey.API_VERSIONS, 99)))
        _, answer = wire.decode_response(ApiKey.API_VERSIONS, 0, connection.frame())
        assert answer.error_code == 35
        (own,) = [each for each in answer.api_keys if each.api_key == ApiKey.API_VERSIONS]
        assert own.max_version >= 3
        types = wire.messages(ApiKey.API_VERSIONS)
        wanted = types.ApiVersionsRequest(client_software_name="t", client_software_version="1")
        assert connection.ask(ApiKey.API_VERSIONS, 3, wanted).error_code == 0


def test_many_bad_connections_at_once(broker: Broker) -> None:
    # From another address: lines about this one's are left out for a while.
    connections = [Connection(broker.kafka, "127.0.0.2") for _ in range(200)]
    try:
        for number, connection in enumerate(connections):
            connection.send(list(WHAT_IT_IS.values())[number % len(WHAT_IT_IS)][0])
        assert all(connection.is_closed() for connection in connections)
    finally:
        for connection in connections:
            connection.close()


@pytest.mark.parametrize("what", ["garbage", "a frame of 2 GiB", "an HTTP request"])
def test_the_peer_listener_refuses_strangers(broker: Broker, what: str) -> None:
    with connected(broker.peer) as connection:
        connection.send(WHAT_IT_IS[what][0])
        # The broker introduces itself first; what matters is that it hangs up.
        assert connection.is_closed_after_all()
