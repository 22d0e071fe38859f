"""What a coordinator does over time: loading, expiry, deleted topics, members, the end."""

from __future__ import annotations

from typing import Any

import pytest

from partitions import wire
from partitions.coordinators.groups import appending, loading, removing
from partitions.coordinators.groups.answers import GroupSnapshot
from partitions.coordinators.groups.clients import CoordinatorSettings
from partitions.coordinators.groups.schemas import Change, GroupKey, GroupValue, encode_group
from partitions.errors import ErrorCode, KafkaError
from partitions.internal import CONSUMER_OFFSETS
from partitions.records import Record
from tests.partitions.api.client import Client
from tests.partitions.api.fakes import FakeServices
from tests.partitions.api.groupkit import (
    MEMBER,
    SESSION_MS,
    ask,
    commit_request,
    coordinating,
    fetched,
    go_on,
    group_record,
    offset_record,
    record,
)

DAY_US = 24 * 3600 * 1_000_000


def heartbeat(services: FakeServices, group: str = "g", member: str = MEMBER) -> ErrorCode:
    body = wire.messages(12).HeartbeatRequest(group_id=group, generation_id=1, member_id=member)
    return ErrorCode(Client(services).ask(12, 4, body).error_code)


def described(services: FakeServices, group: str = "g") -> Any:
    (found,) = ask(services, 15, 5, wire.messages(15).DescribeGroupsRequest(groups=[group])).groups
    return found


def test_nothing_is_answered_before_the_log_is_read_and_the_rest_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loading, "SLICE_BYTES", 100)
    services = FakeServices()
    services.add_topic("t", 2)
    (replica,) = services.add_topic(CONSUMER_OFFSETS)
    replica.keep([group_record("g")])
    for number in range(20):
        replica.keep([offset_record("g", 0, number)])
    services.groups.leadership(replica)
    passes = 0
    while heartbeat(services) is ErrorCode.COORDINATOR_LOAD_IN_PROGRESS:
        body = wire.messages(9).OffsetFetchRequest(group_id="g", topics=None)
        assert Client(services).ask(9, 5, body).error_code == heartbeat(services)
        soon, services.reactor._soon = services.reactor._soon, []
        for callback in soon:
            callback()
        passes += 1
    assert passes > 10, "the loop was held up"
    assert heartbeat(services) is ErrorCode.NONE
    assert fetched(services, "g") == {0: 19}


def test_a_leadership_that_is_lost_while_loading_leaves_nothing_behind() -> None:
    services = FakeServices()
    (replica,) = services.add_topic(CONSUMER_OFFSETS)
    replica.keep([group_record("g")])
    services.groups.leadership(replica)
    replica.is_leader = False
    services.groups.leadership(replica)
    services.reactor.settle()
    assert heartbeat(services) is ErrorCode.NOT_COORDINATOR
    assert services.reactor.armed == 0
    replica.is_leader, replica.leader_epoch = True, 6
    services.groups.leadership(replica)
    services.reactor.settle()
    assert heartbeat(services) is ErrorCode.NONE


def test_a_new_epoch_starts_over() -> None:
    """Leadership may come back before anybody heard that it was lost."""
    services, replica = coordinating(group_record("g"))
    client = Client(services)
    client.send(8, 8, commit_request("empty", (0, 5)))
    services.reactor.settle()
    replica.leader_epoch = 7
    services.groups.leadership(replica)
    ((_, answer),) = client.receive()
    assert answer.topics[0].partitions[0].error_code == ErrorCode.NOT_COORDINATOR
    assert heartbeat(services) is ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
    services.reactor.settle()
    assert heartbeat(services) is ErrorCode.NONE


def test_a_record_that_cannot_be_read_is_not_passed_over() -> None:
    services, _ = coordinating(Record(key=b"\x00\x01\x00", value=b""))
    assert heartbeat(services) is ErrorCode.COORDINATOR_NOT_AVAILABLE


def test_a_member_that_falls_silent_is_dropped_and_the_group_is_written_as_empty() -> None:
    services, replica = coordinating(group_record("g"))
    assert described(services).group_state == "Stable"
    (member,) = described(services).members
    assert (member.member_id, member.member_assignment) == (MEMBER, b"assigned")
    services.reactor.advance(SESSION_MS * 1000 // 2)
    assert heartbeat(services) is ErrorCode.NONE
    services.reactor.advance(SESSION_MS * 1000 * 3 // 4)
    assert described(services).group_state == "Stable"
    services.reactor.advance(SESSION_MS * 1000)
    go_on(services)
    assert described(services).group_state == "Empty"
    assert heartbeat(services) is ErrorCode.UNKNOWN_MEMBER_ID
    replica.leader_epoch += 1
    services.groups.leadership(replica)
    go_on(services)
    assert described(services).group_state == "Empty", "so the next leader knows it too"


def test_a_join_whose_client_has_left_is_forgotten_and_one_that_lost_its_leader_is_told() -> None:
    services, replica = coordinating()
    m = wire.messages(11)
    body = m.JoinGroupRequest(
        group_id="g",
        session_timeout=SESSION_MS,
        rebalance_timeout=SESSION_MS,
        protocol_type="consumer",
        protocols=[m.JoinGroupRequestProtocol(name="range", metadata=b"")],
    )
    gone, waits = Client(services, connection_id=1), Client(services, connection_id=2)
    gone.send(11, 2, body)
    waits.send(11, 2, body)
    gone.session.close()
    replica.is_leader = False
    services.groups.leadership(replica)
    ((_, answer),) = waits.receive()
    assert answer.error_code == ErrorCode.NOT_COORDINATOR
    assert gone.receive() == []
    assert services.reactor.armed == 0


def expiring(*records: Record) -> FakeServices:
    services, _ = coordinating(*records)
    services.group_settings = CoordinatorSettings(retention_ms=DAY_US // 1000)
    services.groups.start()
    return services


def pass_a_day(services: FakeServices) -> None:
    services.reactor.advance(DAY_US + 700_000_000)
    go_on(services)


def test_offsets_expire_when_nobody_has_been_there_for_long() -> None:
    services = expiring()
    ask(services, 8, 8, commit_request("g", (0, 5)))
    services.reactor.advance(DAY_US // 2)
    ask(services, 8, 8, commit_request("g", (1, 6)))
    services.reactor.advance(DAY_US * 3 // 4)
    go_on(services)
    assert fetched(services, "g") == {1: 6}
    pass_a_day(services)
    assert fetched(services, "g") == {}
    assert described(services).group_state == "Dead", "nothing is left of the group"


def test_what_members_read_does_not_expire_and_the_rest_does() -> None:
    services = expiring(
        group_record("g"), offset_record("g", 0, 5), offset_record("g", 0, 9, topic="left")
    )
    for _ in range(2 * DAY_US // (SESSION_MS * 1000 // 2)):
        services.reactor.advance(SESSION_MS * 1000 // 2)
        assert heartbeat(services) is ErrorCode.NONE
    go_on(services)
    answer = ask(services, 9, 5, wire.messages(9).OffsetFetchRequest(group_id="g", topics=None))
    assert [topic.name for topic in answer.topics] == ["t"]


def test_a_group_whose_offsets_have_expired_goes_with_them() -> None:
    services = expiring(group_record("g"), offset_record("g", 0, 5))
    services.reactor.advance(SESSION_MS * 2000)
    go_on(services)
    assert described(services).group_state == "Empty"
    services.reactor.advance(DAY_US // 2)
    go_on(services)
    assert fetched(services, "g") == {0: 5}, "it counts from when the last member had left"
    pass_a_day(services)
    pass_a_day(services)
    assert fetched(services, "g") == {}
    assert described(services).group_state == "Dead"


def test_groups_are_listed_by_state_and_type() -> None:
    services, _ = coordinating(group_record("g"), offset_record("idle", 0, 5))
    m = wire.messages(16)

    def listed(**filters: Any) -> list[tuple[str, str, str]]:
        answer = ask(services, 16, 5, m.ListGroupsRequest(**filters))
        return [(g.group_id, g.group_state, g.group_type) for g in answer.groups]

    both = [("g", "Stable", "classic"), ("idle", "Empty", "classic")]
    assert listed() == both
    assert listed(states_filter=["stable"]) == both[:1]
    assert listed(types_filter=["Classic"]) == both
    assert listed(types_filter=["consumer"]) == []


def test_only_groups_without_members_are_deleted_with_all_their_offsets() -> None:
    services, _ = coordinating(group_record("g"), offset_record("idle", 0, 5))
    names = ["g", "idle", "none"]
    client = Client(services)
    client.send(8, 8, commit_request("idle", (1, 6)))  # on its way when the group is deleted
    client.send(42, 2, wire.messages(42).DeleteGroupsRequest(groups_names=names))
    go_on(services)
    (_, _), (_, answer) = client.receive()
    assert [(r.group_id, ErrorCode(r.error_code)) for r in answer.results] == [
        ("g", ErrorCode.NON_EMPTY_GROUP),
        ("idle", ErrorCode.NONE),
        ("none", ErrorCode.GROUP_ID_NOT_FOUND),
    ]
    assert fetched(services, "idle") == {}
    assert described(services, "idle").group_state == "Dead"


def test_a_group_without_offsets_is_deleted() -> None:
    services, _ = coordinating(group_record("g"))
    services.reactor.advance(SESSION_MS * 2000)
    go_on(services)
    answer = ask(services, 42, 2, wire.messages(42).DeleteGroupsRequest(groups_names=["g"]))
    assert [r.error_code for r in answer.results] == [0]
    assert described(services).group_state == "Dead"


def test_a_group_is_deleted_however_many_offsets_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(appending, "WAITING_BYTES_MAX", 4_000)
    monkeypatch.setattr(removing, "APPEND_BYTES", 1_000)
    services, _ = coordinating(*[offset_record("g", n, 5) for n in range(500)])
    client = Client(services)
    client.send(42, 2, wire.messages(42).DeleteGroupsRequest(groups_names=["g"]))
    while not (answers := client.receive()):
        go_on(services)
    assert [r.error_code for r in answers[0][1].results] == [0]
    assert fetched(services, "g") == {}
    assert described(services).group_state == "Dead"


def test_a_deletion_that_is_refused_leaves_the_group_as_it_was() -> None:
    services, replica = coordinating(group_record("g"), offset_record("g", 0, 5))
    services.reactor.advance(SESSION_MS * 2000)
    go_on(services)
    assert described(services).group_state == "Empty"
    replica.refusal = KafkaError(ErrorCode.NOT_ENOUGH_REPLICAS, "no")
    client = Client(services)
    client.send(42, 2, wire.messages(42).DeleteGroupsRequest(groups_names=["g"]))
    join = wire.messages(11).JoinGroupRequest(
        group_id="g",
        session_timeout=SESSION_MS,
        rebalance_timeout=SESSION_MS,
        protocol_type="consumer",
        protocols=[wire.messages(11).JoinGroupRequestProtocol(name="range", metadata=b"")],
    )
    late = Client(services, connection_id=2)
    assert late.ask(11, 2, join).error_code == ErrorCode.COORDINATOR_NOT_AVAILABLE
    go_on(services)
    ((_, answer),) = client.receive()
    assert answer.results[0].error_code == ErrorCode.COORDINATOR_NOT_AVAILABLE
    replica.refusal = None
    assert fetched(services, "g") == {0: 5}
    late.send(11, 2, join)
    services.reactor.advance(4_000_000)
    ((_, joined),) = late.receive()
    assert (joined.error_code, joined.generation_id) == (0, 3), "generations go on"


def test_members_are_heard_before_a_stall_is_held_against_them() -> None:
    """A broker that stood still finds timers and heartbeats at once, timers first."""
    services, _ = coordinating(group_record("g"))
    services.reactor._now += 10 * SESSION_MS * 1000
    services.reactor.advance(0)
    assert heartbeat(services) is ErrorCode.NONE
    services.reactor.advance(2_000_000)
    assert described(services).group_state == "Stable"


def test_what_members_may_have_a_broker_keep_is_bounded() -> None:
    services, replica = coordinating(group_record("g"))
    loaded = services.groups.held.used
    assert loaded > 0
    services.groups.held.limit = 100_000
    m = wire.messages(11)
    clients = [Client(services, connection_id=number) for number in range(100)]
    for number, client in enumerate(clients):
        body = m.JoinGroupRequest(
            group_id=f"g{number % 3}",
            session_timeout=SESSION_MS,
            rebalance_timeout=SESSION_MS,
            protocol_type="consumer",
            protocols=[m.JoinGroupRequestProtocol(name="range", metadata=bytes(5_000))],
        )
        client.send(11, 2, body)
    refused = [answer.error_code for client in clients for _, answer in client.receive()]
    assert refused == [ErrorCode.GROUP_MAX_SIZE_REACHED] * len(refused)
    assert 80 < len(refused) < 90
    assert services.groups.held.used <= 101_000
    for client in clients:
        client.session.close()
    services.reactor.advance(20 * SESSION_MS * 1000)
    go_on(services)
    assert services.groups.held.used == 0, "those who are gone count no more"
    replica.is_leader = False
    services.groups.leadership(replica)
    assert services.groups.held.used == 0


def test_a_group_whose_own_tombstone_is_refused_is_not_reported_as_deleted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    snapshot = GroupSnapshot("consumer", 3, None, None, ())
    empty = encode_group(GroupValue(snapshot, 1_000))
    services, _ = coordinating(record(Change(GroupKey("g"), empty)))
    request = wire.messages(42).DeleteGroupsRequest(groups_names=["g"])
    with monkeypatch.context() as patch:
        patch.setattr(appending, "WAITING_BYTES_MAX", 10)
        (result,) = ask(services, 42, 2, request).results
    assert result.error_code == ErrorCode.COORDINATOR_NOT_AVAILABLE
    (result,) = ask(services, 42, 2, request).results
    assert result.error_code == ErrorCode.NONE
    (result,) = ask(services, 42, 2, request).results
    assert result.error_code == ErrorCode.GROUP_ID_NOT_FOUND
