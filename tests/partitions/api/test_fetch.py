"""Fetch: limits, long polls, epochs, ids, sessions."""

from __future__ import annotations

from typing import Any

import pytest

from partitions import wire
from partitions.api import ByteBudget
from partitions.errors import ErrorCode
from partitions.replicas.interface import EpochEnd
from partitions.security import Operation
from tests.partitions.api.client import Client
from tests.partitions.api.fakes import Denying, FakeReplica, FakeServices
from tests.partitions.api.requests import fetch


@pytest.fixture
def services() -> FakeServices:
    return FakeServices()


@pytest.fixture
def replica(services: FakeServices) -> FakeReplica:
    return services.add_topic("t")[0]


def only(response: Any) -> Any:
    (topic,) = response.responses
    (part,) = topic.partitions
    return part


def sizes(response: Any) -> list[int]:
    return [len(part.records) for topic in response.responses for part in topic.partitions]


def test_committed_batches_come_as_they_are(services: FakeServices, replica: FakeReplica) -> None:
    replica.store(2)
    replica.store(3)
    part = only(Client(services).ask(1, 12, fetch(("t", 0, 0))))
    assert bytes(part.records) == b"".join(replica.batches)
    assert (part.high_watermark, part.last_stable_offset, part.log_start_offset) == (5, 5, 0)


def test_records_are_not_copied_on_the_way_out(
    services: FakeServices, replica: FakeReplica
) -> None:
    large = bytes(100_000)
    replica.read = lambda *_, **__: large  # type: ignore[method-assign]
    replica.high_watermark = replica.end_offset = 1
    client = Client(services)
    client.send(1, 12, fetch(("t", 0, 0)))
    assert any(buffer is large for buffer in client.session.take_output())


def test_a_long_poll_waits_for_a_commit(services: FakeServices, replica: FakeReplica) -> None:
    client = Client(services)
    client.send(1, 12, fetch(("t", 0, 0)))
    services.reactor.advance(100_000)
    assert client.receive() == []
    replica.store(1)
    assert client.receive() == [], "it reads at the end of the pass"
    services.reactor.settle()
    ((_, body),) = client.receive()
    assert sizes(body) == [len(replica.batches[0])]
    assert not replica.watchers
    assert services.reactor.armed == 0


def test_a_long_poll_ends_with_what_there_is(services: FakeServices, replica: FakeReplica) -> None:
    client = Client(services)
    client.send(1, 12, fetch(("t", 0, 0), min_bytes=10_000, max_wait=500))
    replica.store(1)
    services.reactor.advance(499_000)
    assert client.receive() == []
    services.reactor.advance(1_000)
    ((_, body),) = client.receive()
    assert sizes(body) == [len(replica.batches[0])]
    assert only(body).error_code == 0
    assert not replica.watchers


def test_min_bytes_count_over_partitions(services: FakeServices) -> None:
    first, second = services.add_topic("t", 2)
    first.store(1)
    size = len(first.batches[0])
    client = Client(services)
    client.send(1, 12, fetch(("t", 0, 0), ("t", 1, 0), min_bytes=2 * size))
    assert client.receive() == []
    second.store(1)
    services.reactor.settle()
    assert sizes(client.receive()[0][1]) == [size, size]


def test_several_commits_in_a_pass_read_once(services: FakeServices) -> None:
    replicas = services.add_topic("t", 3)
    client = Client(services)
    client.send(1, 12, fetch(*[("t", n, 0) for n in range(3)], min_bytes=10_000))
    for replica in replicas:
        replica.store(1)
    services.reactor.settle()
    assert [len(replica.reads) for replica in replicas] == [1, 1, 1]
    assert client.receive() == []
    services.reactor.advance(500_000)
    assert min(sizes(client.receive()[0][1])) > 0


def test_a_commit_that_is_not_enough_keeps_watching(
    services: FakeServices, replica: FakeReplica
) -> None:
    client = Client(services)
    client.send(1, 12, fetch(("t", 0, 0), min_bytes=150))
    replica.store(1)
    services.reactor.settle()
    assert client.receive() == []
    assert len(replica.watchers) == 1
    replica.store(1)
    services.reactor.settle()
    assert sizes(client.receive()[0][1]) == [sum(map(len, replica.batches))]


@pytest.mark.parametrize("fields", [{"max_wait": 0}, {"max_wait": -1}, {"min_bytes": 0}])
def test_some_fetches_do_not_wait(
    services: FakeServices, replica: FakeReplica, fields: dict[str, Any]
) -> None:
    assert sizes(Client(services).ask(1, 12, fetch(("t", 0, 0), **fields))) == [0]


def test_a_fetch_of_nothing_is_answered(services: FakeServices) -> None:
    assert list(Client(services).ask(1, 12, fetch()).responses) == []


def test_an_error_ends_the_wait_at_once(services: FakeServices, replica: FakeReplica) -> None:
    body = Client(services).ask(1, 12, fetch(("t", 0, 0), ("t", 5, 0)))
    codes = [part.error_code for part in body.responses[0].partitions]
    assert codes == [0, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION]


def test_leadership_lost_while_waiting(services: FakeServices, replica: FakeReplica) -> None:
    client = Client(services)
    client.send(1, 16, fetch(("", 0, 0), topic_id=replica.topic_id))
    services.lead(replica.group, 6, 2)
    replica.lose()
    services.reactor.settle()
    ((_, body),) = client.receive()
    part = only(body)
    assert part.error_code == ErrorCode.NOT_LEADER_OR_FOLLOWER
    assert (part.current_leader.leader_id, part.current_leader.leader_epoch) == (2, 6)
    assert [(n.node_id, n.host, n.port) for n in body.node_endpoints] == [(2, "host2", 9002)]


def test_a_leader_of_a_later_term_fences_a_waiting_client(
    services: FakeServices, replica: FakeReplica
) -> None:
    client = Client(services)
    client.send(1, 12, fetch(("t", 0, 0), epoch=5))
    replica.leader_epoch = 7
    replica.store(1)
    services.reactor.settle()
    part = only(client.receive()[0][1])
    assert part.error_code == ErrorCode.FENCED_LEADER_EPOCH
    assert len(part.records) == 0


def test_a_topic_deleted_while_waiting(services: FakeServices, replica: FakeReplica) -> None:
    client = Client(services)
    client.send(1, 12, fetch(("t", 0, 0)))
    del services.replicas[replica.topic_id, 0]
    services.reactor.advance(500_000)
    part = only(client.receive()[0][1])
    assert part.error_code == ErrorCode.NOT_LEADER_OR_FOLLOWER


def test_a_disk_that_fails_while_waiting_costs_the_connection(
    services: FakeServices, replica: FakeReplica
) -> None:
    def failing(*_: Any, **__: Any) -> bytes:
        raise OSError("unreadable")

    client = Client(services)
    client.send(1, 12, fetch(("t", 0, 0)))
    replica.read = failing  # type: ignore[method-assign]
    replica.store(1)
    services.reactor.settle()
    assert client.session.close_reason is not None
    assert isinstance(client.log.errors[0]["exc_info"], OSError)
    assert not replica.watchers


# --- limits


def test_the_first_batch_comes_whatever_its_size(
    services: FakeServices, replica: FakeReplica
) -> None:
    replica.store(1, value=bytes(5000))
    replica.store(1)
    body = Client(services).ask(1, 12, fetch(("t", 0, 0), max_bytes=10, part_bytes=10))
    assert sizes(body) == [len(replica.batches[0])]


def test_request_and_partition_limits_hold(services: FakeServices) -> None:
    replicas = services.add_topic("t", 3)
    for replica in replicas:
        for _ in range(4):
            replica.store(1, value=bytes(1000))
    size = len(replicas[0].batches[0])
    parts = [("t", n, 0) for n in range(3)]
    client = Client(services)
    assert sizes(client.ask(1, 12, fetch(*parts, part_bytes=2 * size))) == [2 * size] * 3
    total = sum(sizes(client.ask(1, 12, fetch(*parts, max_bytes=5 * size))))
    assert total == 5 * size


def test_the_brokers_limit_holds(services: FakeServices, replica: FakeReplica) -> None:
    for _ in range(4):
        replica.store(1, value=bytes(1000))
    size = len(replica.batches[0])
    services.settings = type(services.settings)(fetch_max_bytes=2 * size)
    assert sizes(Client(services).ask(1, 12, fetch(("t", 0, 0)))) == [2 * size]


def test_the_start_rotates(services: FakeServices) -> None:
    """With room for one partition's data only, each gets its turn."""
    replicas = services.add_topic("t", 3)
    for replica in replicas:
        replica.store(1, value=bytes(1000))
    client = Client(services)
    parts = [("t", n, 0) for n in range(3)]
    served = []
    for _ in range(3):
        found = sizes(client.ask(1, 12, fetch(*parts, max_bytes=10)))
        served += [n for n, size in enumerate(found) if size]
    assert sorted(served) == [0, 1, 2]


def test_without_response_memory_it_waits(services: FakeServices, replica: FakeReplica) -> None:
    replica.store(1)
    services.response_budget = ByteBudget(100)
    services.response_budget.take(100)
    client = Client(services)
    client.send(1, 12, fetch(("t", 0, 0), max_wait=10_000))
    assert client.receive() == []
    services.response_budget.give_back(100)
    services.reactor.settle()
    assert sizes(client.receive()[0][1]) == [len(replica.batches[0])]


def test_response_memory_bounds_a_fetch(services: FakeServices, replica: FakeReplica) -> None:
    for _ in range(10):
        replica.store(1, value=bytes(1000))
    size = len(replica.batches[0])
    services.response_budget = ByteBudget(3 * size)
    assert sizes(Client(services).ask(1, 12, fetch(("t", 0, 0)))) == [3 * size]


# --- what may not be read


def test_the_uncommitted_is_not_shown(services: FakeServices, replica: FakeReplica) -> None:
    replica.store(1)
    replica.end_offset = 5
    client = Client(services)
    assert sizes(client.ask(1, 12, fetch(("t", 0, 1), max_wait=0))) == [0]
    assert only(client.ask(1, 12, fetch(("t", 0, 3), max_wait=0))).error_code == 0
    assert replica.reads == []


@pytest.mark.parametrize("offset", [0, 99, -1])
def test_out_of_range(services: FakeServices, replica: FakeReplica, offset: int) -> None:
    replica.store(5)
    replica.log_start_offset = 3
    part = only(Client(services).ask(1, 12, fetch(("t", 0, offset))))
    assert part.error_code == ErrorCode.OFFSET_OUT_OF_RANGE
    assert (part.high_watermark, part.log_start_offset) == (5, 3)


@pytest.mark.parametrize(
    "epoch, code",
    [(-1, 0), (5, 0), (4, ErrorCode.FENCED_LEADER_EPOCH), (6, ErrorCode.UNKNOWN_LEADER_EPOCH)],
)
def test_leader_epochs(services: FakeServices, replica: FakeReplica, epoch: int, code: int) -> None:
    replica.store(1)
    assert only(Client(services).ask(1, 12, fetch(("t", 0, 0), epoch=epoch))).error_code == code


def test_divergence_is_told(services: FakeServices, replica: FakeReplica) -> None:
    replica.store(9)
    replica.epoch_ends = {4: EpochEnd(3, 2)}
    part = only(Client(services).ask(1, 12, fetch(("t", 0, 7), last_epoch=4, max_wait=0)))
    assert (part.diverging_epoch.epoch, part.diverging_epoch.end_offset) == (3, 2)
    assert len(part.records) == 0
    replica.epoch_ends = {4: EpochEnd(4, 8)}
    part = only(Client(services).ask(1, 12, fetch(("t", 0, 7), last_epoch=4, max_wait=0)))
    assert part.diverging_epoch is None


def test_divergence_at_the_end_of_the_log_does_not_wait(
    services: FakeServices, replica: FakeReplica
) -> None:
    replica.store(9)
    replica.epoch_ends = {4: EpochEnd(3, 2)}
    part = only(Client(services).ask(1, 12, fetch(("t", 0, 9), last_epoch=4)))
    assert part.diverging_epoch.end_offset == 2


def test_unknown_topic_id(services: FakeServices, replica: FakeReplica) -> None:
    part = only(Client(services).ask(1, 13, fetch(("", 0, 0), topic_id=b"x" * 16)))
    assert part.error_code == ErrorCode.UNKNOWN_TOPIC_ID


def test_read_committed_lists_no_aborted_transactions(
    services: FakeServices, replica: FakeReplica
) -> None:
    replica.store(1)
    client = Client(services)
    assert only(client.ask(1, 11, fetch(("t", 0, 0)))).aborted_transactions is None
    committed = only(client.ask(1, 11, fetch(("t", 0, 0), isolation_level=1)))
    assert list(committed.aborted_transactions) == []


def test_reading_needs_permission(services: FakeServices, replica: FakeReplica) -> None:
    replica.store(1)
    services.authorizer = Denying((Operation.READ, "t"))
    part = only(Client(services).ask(1, 12, fetch(("t", 0, 0))))
    assert part.error_code == ErrorCode.TOPIC_AUTHORIZATION_FAILED
    assert len(part.records) == 0


# --- sessions and replicas


@pytest.mark.parametrize("session_epoch, code", [(0, 0), (-1, 0), (1, 70)])
def test_fetch_sessions_are_not_kept(
    services: FakeServices, replica: FakeReplica, session_epoch: int, code: int
) -> None:
    replica.store(1)
    body = Client(services).ask(
        1, 12, fetch(("t", 0, 0), session_id=9, session_epoch=session_epoch)
    )
    assert (body.error_code, body.session_id) == (code, 0)


def test_a_new_session_is_declined(services: FakeServices, replica: FakeReplica) -> None:
    replica.store(1)
    body = Client(services).ask(1, 12, fetch(("t", 0, 0), session_epoch=0))
    assert (body.error_code, body.session_id) == (0, 0)
    assert sizes(body) == [len(replica.batches[0])]


def test_replicas_are_refused(services: FakeServices, replica: FakeReplica) -> None:
    replica.store(1)
    client = Client(services)
    body = client.ask(1, 12, fetch(("t", 0, 0), replica_id=2))
    assert body.error_code == only(body).error_code == ErrorCode.INVALID_REQUEST
    state = wire.messages(1).ReplicaState(replica_id=2)
    body = client.ask(1, 16, fetch(("t", 0, 0), topic_id=replica.topic_id, replica_state=state))
    assert body.error_code == ErrorCode.INVALID_REQUEST
    assert replica.reads == []


def test_the_number_of_partitions_is_bounded(services: FakeServices) -> None:
    services.add_topic("t", 3)
    services.settings = type(services.settings)(fetch_partitions_max=2)
    body = Client(services).ask(1, 12, fetch(*[("t", n, 0) for n in range(3)]))
    assert body.error_code == ErrorCode.INVALID_REQUEST


def test_a_partition_asked_for_twice_is_not_waited_for(
    services: FakeServices, replica: FakeReplica
) -> None:
    client = Client(services)
    for parts in ([("t", 0, 0), ("t", 0, 1)], [("t", 0, 0), ("u", 0, 0), ("t", 0, 0)]):
        answer = client.ask(1, 12, fetch(*parts, max_wait=500))
        assert answer.error_code == ErrorCode.INVALID_REQUEST
    assert replica.watchers == {}
    services.add_topic("u")
    client.send(1, 12, fetch(("t", 0, 0), ("u", 0, 0), max_wait=500))
    assert len(replica.watchers) == 1, "the same number in two topics is no repetition"
