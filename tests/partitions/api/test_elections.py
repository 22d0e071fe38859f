"""ElectLeaders: what is asked of leaders, what is answered at once, and what happens in time."""

from __future__ import annotations

from typing import Any

import pytest

from partitions import wire
from partitions.api import elections
from partitions.errors import ErrorCode
from partitions.replicas.handover import MOVES_PER_CALL_MAX, Move, Refusal
from partitions.security import CLUSTER, Operation
from tests.partitions.api.client import Client
from tests.partitions.api.fakes import Denying, FakeServices

E = wire.messages(43)


@pytest.fixture
def services() -> FakeServices:
    """Topic `t`: partition 0 is led by its preferred replica, 1 and 2 by node 2."""
    services = FakeServices()
    services.add_topic("t", 3)
    for group in (101, 102):
        services.lead(group, 6, 2)
    return services


def request(*numbers: int, topic: str = "t", kind: int = 0, timeout: int = 1000) -> Any:
    named = [E.TopicPartitions(topic=topic, partitions=list(numbers))]
    return E.ElectLeadersRequest(election_type=kind, topic_partitions=named, timeout=timeout)


def everything(kind: int = 0) -> Any:
    return E.ElectLeadersRequest(election_type=kind, topic_partitions=None, timeout=1000)


def codes(body: Any) -> list[tuple[str, int, int]]:
    return [
        (result.topic, part.partition_id, part.error_code)
        for result in body.replica_election_results
        for part in result.partition_result
    ]


def test_the_leader_is_asked_and_the_answer_comes_when_the_leadership_has_moved(
    services: FakeServices,
) -> None:
    client = Client(services)
    client.send(43, 2, request(0, 1, 2))
    ((leader, moves, on_begun),) = services.moves
    assert (leader, moves) == (2, [Move(101, 1), Move(102, 1)])
    on_begun((None, Refusal(ErrorCode.PREFERRED_LEADER_NOT_AVAILABLE, "it is far behind")))
    services.reactor.advance(50_000)
    assert client.receive() == [], "the leadership has not moved"
    services.lead(101, 7, 1)
    services.reactor.advance(elections.POLL_US)
    ((_, body),) = client.receive()
    assert codes(body) == [
        ("t", 0, ErrorCode.ELECTION_NOT_NEEDED),
        ("t", 1, 0),
        ("t", 2, ErrorCode.PREFERRED_LEADER_NOT_AVAILABLE),
    ]
    assert body.replica_election_results[0].partition_result[2].error_message == "it is far behind"
    assert len(services.deadlines) == 0


def test_null_asks_for_all_and_leaves_out_what_needs_no_election(services: FakeServices) -> None:
    client = Client(services)
    client.send(43, 2, everything())
    services.lead(101, 7, 1)
    services.lead(102, 7, 1)
    services.moves[0][2]((None, None))
    assert codes(client.receive()[0][1]) == [("t", 1, 0), ("t", 2, 0)]
    assert codes(client.ask(43, 2, everything())) == []


def test_a_leadership_that_moves_elsewhere_or_not_at_all(services: FakeServices) -> None:
    client = Client(services)
    client.send(43, 2, request(1, 2, timeout=60_000))
    services.moves[0][2]((None, None))
    services.lead(101, 7, 3)
    services.reactor.advance(elections.POLL_US)
    assert client.receive() == []
    services.reactor.advance(elections.TRANSFER_US)
    ((_, body),) = client.receive()
    lost = ErrorCode.PREFERRED_LEADER_NOT_AVAILABLE
    assert codes(body) == [("t", 1, lost), ("t", 2, lost)]
    texts = [part.error_message for part in body.replica_election_results[0].partition_result]
    assert ["node 3 leads" in texts[0], "node 2 leads" in texts[1]] == [True, True]


def test_the_clients_time_is_over_first(services: FakeServices) -> None:
    client = Client(services)
    client.send(43, 2, request(1, 2, timeout=300))
    services.reactor.advance(400_000)
    ((_, body),) = client.receive()
    late = ErrorCode.REQUEST_TIMED_OUT
    assert codes(body) == [("t", 1, late), ("t", 2, late)]
    services.moves[0][2]((None, None))  # too late
    services.reactor.advance(elections.TRANSFER_US)
    assert client.log.errors == []
    assert services.reactor.armed == 0


def test_what_cannot_be_elected_is_said_at_once(services: FakeServices) -> None:
    client = Client(services)
    body = client.ask(43, 2, request(0, 3, -1))
    unknown = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    needless = ErrorCode.ELECTION_NOT_NEEDED
    assert codes(body) == [("t", 0, needless), ("t", 3, unknown), ("t", -1, unknown)]
    assert codes(client.ask(43, 2, request(0, topic="gone"))) == [("gone", 0, unknown)]
    client.send(43, 2, request(1, 1))
    services.lead(101, 7, 1)
    services.moves[0][2]((None,))
    twice = codes(client.receive()[0][1])
    assert twice == [("t", 1, 0), ("t", 1, ErrorCode.INVALID_REQUEST)]


def test_a_preferred_replica_out_of_service_or_no_leader(services: FakeServices) -> None:
    services.offline.add((101, 1))
    del services.leaders[102]
    body = Client(services).ask(43, 1, request(1, 2))
    lost = ErrorCode.PREFERRED_LEADER_NOT_AVAILABLE
    assert codes(body) == [("t", 1, lost), ("t", 2, lost)]
    texts = [part.error_message for part in body.replica_election_results[0].partition_result]
    assert "node 1 is out of service" in texts[0]
    assert "majority" in texts[1]
    assert services.moves == []


def test_unclean_elections_are_refused(services: FakeServices) -> None:
    del services.leaders[102]
    client = Client(services)
    none, needless = ErrorCode.ELIGIBLE_LEADERS_NOT_AVAILABLE, ErrorCode.ELECTION_NOT_NEEDED
    body = client.ask(43, 2, request(1, 2, kind=1))
    assert codes(body) == [("t", 1, needless), ("t", 2, none)]
    message = body.replica_election_results[0].partition_result[1].error_message
    assert "`quorate cluster recover`" in message
    assert codes(client.ask(43, 2, everything(kind=1))) == [("t", 2, none)]
    body = client.ask(43, 2, request(1, kind=7))
    wrong = ErrorCode.INVALID_REQUEST
    assert (body.error_code, codes(body)) == (wrong, [("t", 1, wrong)])


def test_who_may_not_alter_the_cluster(services: FakeServices) -> None:
    services.authorizer = Denying((Operation.ALTER, CLUSTER.name))
    body = Client(services).ask(43, 2, request(1, 2))
    denied = ErrorCode.CLUSTER_AUTHORIZATION_FAILED
    assert (body.error_code, codes(body)) == (denied, [("t", 1, denied), ("t", 2, denied)])
    assert services.moves == []


def test_a_leader_is_asked_for_a_bounded_number_at_a_time() -> None:
    services = FakeServices()
    count = MOVES_PER_CALL_MAX + 5
    services.add_topic("t", count)
    for number in range(count):
        services.lead(100 + number, 6, 2)
    client = Client(services)
    client.send(43, 2, everything())
    assert [len(moves) for _, moves, _ in services.moves] == [MOVES_PER_CALL_MAX, 5]
    for number in range(count):
        services.lead(100 + number, 7, 1)
    for _, moves, on_begun in services.moves:
        on_begun((None,) * len(moves))
    assert {code for _, _, code in codes(client.receive()[0][1])} == {0}


def test_a_client_that_has_left_is_not_waited_for(services: FakeServices) -> None:
    client = Client(services)
    client.send(43, 2, request(1, timeout=60_000))
    services.moves[0][2]((None,))
    client.session.close()
    services.reactor.advance(elections.POLL_US)
    assert len(services.deadlines) == 0
    assert services.reactor.armed == 1, "only the slice of time that its deadline was in"
