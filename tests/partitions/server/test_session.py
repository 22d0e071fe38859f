"""Framing, order, bounds and faults of a client session."""

from __future__ import annotations

import struct
from random import Random
from typing import Any

import pytest

from partitions import wire
from partitions.api import BY_KEY, Api, CancellablePending, EncodedBody, Failed
from partitions.pending import Pending
from partitions.server import SessionLimits
from partitions.wire import ApiKey
from tests.partitions.api.client import Client
from tests.partitions.api.fakes import FakeReplica, FakeServices
from tests.partitions.api.requests import batch, fetch, produce

CLUSTER = wire.messages(60)
VERSIONS = wire.messages(18)


def describe_cluster() -> Any:
    return CLUSTER.DescribeClusterRequest()


@pytest.fixture
def services() -> FakeServices:
    return FakeServices()


@pytest.fixture
def replica(services: FakeServices) -> FakeReplica:
    return services.add_topic("t")[0]


def with_handler(handle: Any) -> dict[int, Api]:
    """The registry with another handler for DescribeCluster."""
    api = BY_KEY[60]
    return {**BY_KEY, 60: api._replace(handle=handle)}


# --- framing


def test_a_frame_in_single_bytes_is_one_request(services: FakeServices) -> None:
    client = Client(services)
    frame = client.encode(60, 0, describe_cluster())
    for length in range(len(frame)):
        used, needed = client.feed(frame[:length])
        assert used == 0
        assert needed == (4 if length < 4 else len(frame))
    assert client.feed(frame) == (len(frame), 4)
    assert len(client.receive()) == 1


def test_frames_and_a_piece_of_the_next(services: FakeServices) -> None:
    client = Client(services)
    frames = [client.encode(60, 0, describe_cluster()) for _ in range(3)]
    data = b"".join(frames)
    used, needed = client.feed(data[:-5])
    assert used == len(frames[0]) + len(frames[1])
    assert needed == len(frames[2])
    assert [number for number, _ in client.receive()] == [1, 2]


@pytest.mark.parametrize(
    "head, reason",
    [
        (struct.pack(">i", -1), "no room for a request header"),
        (struct.pack(">i", 7), "no room for a request header"),
        (struct.pack(">i", 1 << 30), "socket.request.max.bytes"),
        (b"GET / HTTP/1.1\r\n", "looks like HTTP"),
        (b"\x16\x03\x01\x02\x00\x01", "looks like TLS"),
    ],
)
def test_an_impossible_size_closes_with_one_line(
    services: FakeServices, head: bytes, reason: str
) -> None:
    client = Client(services)
    client.feed(head.ljust(12, b"\0"))
    assert client.session.close_reason is not None
    assert reason in client.session.close_reason
    assert not client.session.wants_read
    (line,) = client.log.warnings
    assert line["peer"] == "10.0.0.1:5000"
    assert reason in line["reason"]


def test_nothing_is_read_after_a_fault(services: FakeServices) -> None:
    client = Client(services)
    good = client.encode(60, 0, describe_cluster())
    bad = struct.pack(">i", -1) + bytes(8)
    client.feed(good + bad + client.encode(60, 0, describe_cluster()))
    assert [number for number, _ in client.receive()] == [1], "what came before is answered"
    assert client.feed(good) == (0, 0)


def test_mutated_frames_only_ever_close(services: FakeServices, replica: FakeReplica) -> None:
    """No damage to a frame gets past the session as an exception, or is blamed on the broker."""
    random = Random(7)
    bodies = [
        (0, 9, produce(("t", 0, batch()))),
        (1, 12, fetch(("t", 0, 0), max_wait=0)),
        (3, 12, wire.messages(3).MetadataRequest(topics=None)),
    ]
    closed = 0
    for _ in range(600):
        client = Client(services)
        key, version, body = random.choice(bodies)
        frame = bytearray(client.encode(key, version, body))
        for _ in range(random.randint(1, 3)):
            frame[random.randrange(4, len(frame))] = random.randrange(256)
        client.feed(bytes(frame))
        assert client.log.errors == []
        closed += client.session.close_reason is not None
        client.session.close()
    assert 0 < closed < 600


def test_only_produce_may_be_large(services: FakeServices, replica: FakeReplica) -> None:
    replica.max_message_bytes = 1 << 20
    client = Client(services, SessionLimits(control_request_bytes_max=200))
    client.send(0, 9, produce(("t", 0, batch(value=bytes(1000))), acks=1))
    assert len(client.receive()) == 1
    names = [wire.messages(3).MetadataRequestTopic(name=f"t{n}") for n in range(100)]
    client.send(3, 9, wire.messages(3).MetadataRequest(topics=names))
    assert "too large" in str(client.session.close_reason)


# --- versions


def test_unknown_api_versions_version_is_answered_in_version_0(services: FakeServices) -> None:
    client = Client(services)
    body = VERSIONS.ApiVersionsRequest(client_software_name="x", client_software_version="1")
    frame = bytearray(client.encode(18, 4, body))
    struct.pack_into(">h", frame, 6, 99)
    client.feed(bytes(frame))
    data = b"".join(client.session.take_output())
    correlation_id, response = wire.decode_response(18, 0, data[4:])
    assert correlation_id == 1
    assert response.error_code == 35
    assert [(k.api_key, k.min_version, k.max_version) for k in response.api_keys] == [(18, 0, 4)]
    assert client.session.wants_read, "the client tries again on the same connection"


@pytest.mark.parametrize(
    "key, version", [(0, 2), (0, 12), (1, 17), (3, 13), (8, 10), (24, 0), (999, 0)]
)
def test_what_is_not_served_closes(services: FakeServices, key: int, version: int) -> None:
    client = Client(services)
    head = struct.pack(">hhih", key, version, 1, -1)
    client.feed(struct.pack(">i", len(head)) + head)
    assert f"version {version} is not served" in str(client.session.close_reason)
    assert len(client.log.warnings) == 1


# --- clients' faults


@pytest.mark.parametrize("version", [11, 12])
def test_librdkafkas_question_for_all_topics(services: FakeServices, version: int) -> None:
    """Its count of all topics has four bytes where the null array has one."""
    services.add_topic("a")
    services.add_topic("b")
    client = Client(services)
    frame = bytearray(client.encode(3, version, wire.messages(3).MetadataRequest(topics=None)))
    frame[-4:-4] = bytes(3)
    struct.pack_into(">i", frame, 0, len(frame) - 4)
    client.feed(bytes(frame))
    ((_, response),) = client.receive()
    assert [topic.name for topic in response.topics] == ["a", "b"]


# --- order


def test_pipelined_produces_append_at_once_and_answer_in_order(
    services: FakeServices,
) -> None:
    first, second = services.add_topic("t", 2)
    client = Client(services)
    requests = [produce(("t", n % 2, batch())) for n in range(4)]
    client.feed(b"".join(client.encode(0, 9, body) for body in requests))
    assert len(first.batches) == len(second.batches) == 2, "appended without waiting"
    second.commit()
    assert client.receive() == [], "request 2 is done, but request 1 is not"
    assert client.wakes == 0
    first.commit()
    assert [number for number, _ in client.receive()] == [1, 2, 3, 4]


def test_a_ready_answer_waits_for_a_pending_one(
    services: FakeServices, replica: FakeReplica
) -> None:
    client = Client(services)
    client.send(0, 9, produce(("t", 0, batch())))
    client.send(60, 0, describe_cluster())
    assert client.receive() == []
    replica.commit()
    assert client.wakes == 1
    assert [number for number, _ in client.receive()] == [1, 2]


def test_acks_0_takes_no_place_in_the_order(services: FakeServices, replica: FakeReplica) -> None:
    client = Client(services)
    client.send(0, 9, produce(("t", 0, batch())))
    client.send(0, 9, produce(("t", 0, batch()), acks=0))
    client.send(60, 0, describe_cluster())
    replica.commit()
    assert [number for number, _ in client.receive()] == [1, 3]
    assert len(replica.batches) == 2


def test_answers_in_every_order_leave_in_request_order(services: FakeServices) -> None:
    random = Random(3)
    for _ in range(50):
        pendings: list[Pending[Any]] = []

        def handle(*_: Any, pendings: list[Pending[Any]] = pendings) -> Pending[Any]:
            pendings.append(Pending())
            return pendings[-1]

        client = Client(services, apis=with_handler(handle))
        for _ in range(8):
            client.send(60, 0, describe_cluster())
        order = list(range(8))
        random.shuffle(order)
        received: list[int] = []
        for at in order:
            pendings[at].resolve(CLUSTER.DescribeClusterResponse(cluster_id="c", brokers=[]))
            received += [number for number, _ in client.receive()]
        assert received == list(range(1, 9))


def test_an_answer_inside_consume_wakes_nobody(services: FakeServices) -> None:
    """The host takes output after `consume` anyway; a callback would re-enter it."""

    def handle(*_: Any) -> Pending[Any]:
        pending: Pending[Any] = Pending()
        pending.resolve(CLUSTER.DescribeClusterResponse(cluster_id="c", brokers=[]))
        return pending

    client = Client(services, apis=with_handler(handle))
    client.send(60, 0, describe_cluster())
    assert client.wakes == 0
    assert len(client.receive()) == 1


def test_an_encoded_body_is_sent_as_it_is(services: FakeServices) -> None:
    def handle(*_: Any) -> EncodedBody:
        body = CLUSTER.DescribeClusterResponse(cluster_id="cached", brokers=[])
        return EncodedBody(b"".join(wire.encode_response(60, 0, 0, body))[8:])

    client = Client(services, apis=with_handler(handle))
    assert client.ask(60, 0, describe_cluster()).cluster_id == "cached"


# --- bounds


def test_requests_in_flight_are_bounded(services: FakeServices, replica: FakeReplica) -> None:
    client = Client(services, SessionLimits(in_flight_max=3))
    frames = [client.encode(0, 9, produce(("t", 0, batch()))) for _ in range(5)]
    used, needed = client.feed(b"".join(frames))
    assert used == sum(map(len, frames[:3]))
    assert needed == 0
    assert not client.session.wants_read
    assert len(replica.batches) == 3
    replica.commit()
    assert client.wakes >= 1, "the host must learn that it may read on"
    assert client.session.wants_read
    client.feed(b"".join(frames[3:]))
    assert len(replica.batches) == 5


def test_unsent_output_is_bounded(services: FakeServices) -> None:
    client = Client(services, SessionLimits(unsent_bytes_max=50))
    frames = [client.encode(60, 0, describe_cluster()) for _ in range(5)]
    used, needed = client.feed(b"".join(frames))
    assert (used, needed) == (len(frames[0]), 0), "one response is over the bound"
    output = client.session.take_output()
    assert not client.session.wants_read, "taken is not sent"
    client.session.sent(sum(map(len, output)))
    assert client.session.wants_read


def test_the_brokers_budget_counts_what_is_unsent(services: FakeServices) -> None:
    clients = [Client(services) for _ in range(2)]
    for client in clients:
        client.send(60, 0, describe_cluster())
    held = [client.session.unsent_bytes for client in clients]
    assert services.response_budget.used == sum(held) > 0
    clients[0].receive()
    assert services.response_budget.used == held[1]
    clients[1].session.close()
    assert services.response_budget.used == 0
    clients[1].session.sent(held[1])
    assert services.response_budget.used == 0, "a late report after close changes nothing"


# --- faults


def test_an_unforeseen_exception_is_an_error_response(
    services: FakeServices, replica: FakeReplica
) -> None:
    replica.refusal = ZeroDivisionError("a bug")
    client = Client(services)
    response = client.ask(0, 9, produce(("t", 0, batch())))
    assert response.responses[0].partition_responses[0].error_code == -1
    (line,) = client.log.errors
    assert line["api"] == "PRODUCE"
    assert isinstance(line["exc_info"], ZeroDivisionError)
    assert client.session.wants_read


def test_a_failure_while_waiting_closes(services: FakeServices) -> None:
    pending: Pending[Any] = Pending()
    client = Client(services, apis=with_handler(lambda *_: pending))
    client.send(60, 0, describe_cluster())
    pending.resolve(Failed(OSError("disk")))
    assert client.session.close_reason is not None
    assert client.wakes == 1, "the host has a connection to close"
    assert len(client.log.errors) == 1


def test_a_response_that_cannot_be_encoded_closes(services: FakeServices) -> None:
    client = Client(services, apis=with_handler(lambda *_: "nonsense"))
    client.send(60, 0, describe_cluster())
    assert "could not be encoded" in str(client.session.close_reason)
    assert len(client.log.errors) == 1


def test_closing_cancels_what_waits(services: FakeServices, replica: FakeReplica) -> None:
    cancelled: list[bool] = []

    class Waits(CancellablePending):
        def cancel(self) -> None:
            cancelled.append(True)

    client = Client(services, apis=with_handler(lambda *_: Waits()))
    client.send(60, 0, describe_cluster())
    client.send(1, 12, fetch(("t", 0, 0)))
    client.send(0, 9, produce(("t", 0, batch())))
    assert replica.watchers
    assert services.reactor.armed
    client.session.close()
    assert cancelled == [True]
    assert not replica.watchers
    assert len(services.deadlines) == 0
    replica.commit()
    services.reactor.advance(10_000_000)
    assert client.session.take_output() == []
    assert client.wakes == 0


def test_statistics_count(services: FakeServices, replica: FakeReplica) -> None:
    client = Client(services)
    client.send(60, 0, describe_cluster())
    client.receive()
    client.send(0, 9, produce(("t", 0, batch())))
    statistics = client.session.statistics()
    assert statistics.requests == 2
    assert statistics.in_flight == 1
    assert statistics.received_bytes > 100
    assert statistics.sent_bytes > 0
    assert statistics.unsent_bytes == 0


def test_no_view_of_the_buffer_is_kept(services: FakeServices, replica: FakeReplica) -> None:
    """The host resizes its buffer between reads; a kept view would forbid it."""
    client = Client(services)
    buffer = bytearray()
    for key, body in (
        (ApiKey.PRODUCE, produce(("t", 0, batch()))),
        (ApiKey.FETCH, fetch(("t", 0, 0))),
    ):
        buffer[:] = client.encode(key, 11, body)
        with memoryview(buffer) as view:
            client.session.consume(view)
        buffer += b"more"  # BufferError while a view exists
    assert client.session.statistics().in_flight == 2
