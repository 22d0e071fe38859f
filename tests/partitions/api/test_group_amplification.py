"""What is asked of groups a thousand times is told once, and costs no more than it must."""

from __future__ import annotations

from typing import Any

import pytest

from partitions import wire
from partitions.coordinators.groups.appending import Appender
from partitions.coordinators.groups.schemas import Change, CommittedOffset, OffsetKey
from tests.partitions.api.client import Client
from tests.partitions.api.groupkit import (
    ask,
    commit_request,
    coordinating,
    fetched,
    group_record,
    offset_record,
    record,
)

TIMES = 300
NOTE = "x" * 4000


def noted() -> Any:
    """A committed offset with as long a text as is allowed."""
    return record(Change(OffsetKey("g", "t", 0), CommittedOffset(5, 3, NOTE, 1_000)))


def test_a_group_is_described_once() -> None:
    services, _ = coordinating(group_record("g"))
    m = wire.messages(15)
    answer = ask(services, 15, 5, m.DescribeGroupsRequest(groups=["g"] * TIMES))
    assert [group.group_id for group in answer.groups] == ["g"]


def test_an_offset_is_told_once_however_it_is_asked_for() -> None:
    services, _ = coordinating(noted())
    m = wire.messages(9)
    again = m.OffsetFetchRequestTopic(name="t", partition_indexes=[0, 1] * TIMES)
    answer = ask(services, 9, 5, m.OffsetFetchRequest(group_id="g", topics=[again] * 3))
    told = [(part.partition_index, part.metadata) for t in answer.topics for part in t.partitions]
    assert told == [(0, NOTE), (1, "")]


def test_a_group_is_told_once() -> None:
    services, _ = coordinating(noted())
    m = wire.messages(9)
    every = m.OffsetFetchRequestGroup(group_id="g", topics=None)
    answer = ask(services, 9, 8, m.OffsetFetchRequest(groups=[every] * TIMES))
    (group,) = answer.groups
    assert [part.metadata for topic in group.topics for part in topic.partitions] == [NOTE]


def test_an_offset_is_taken_away_once() -> None:
    services, replica = coordinating(offset_record("g", 0, 5))
    m = wire.messages(47)
    place = m.OffsetDeleteRequestPartition(partition_index=0)
    topic = m.OffsetDeleteRequestTopic(name="t", partitions=[place] * TIMES)
    before = replica.end_offset
    answer = ask(services, 47, 0, m.OffsetDeleteRequest(group_id="g", topics=[topic]))
    assert {part.error_code for part in answer.topics[0].partitions} == {0}
    assert replica.end_offset == before + 1
    assert fetched(services, "g") == {}


def test_a_deletion_does_not_look_at_what_others_have_on_their_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Thousands of groups deleted at once would each look at all before them."""
    services, _ = coordinating(*(offset_record(f"g{n}", 0, 5) for n in range(20)))

    def everything(appender: Appender) -> Any:
        raise AssertionError("all changes were looked at")

    monkeypatch.setattr(Appender, "waiting_keys", everything)
    monkeypatch.setattr(Appender, "appended_keys", everything)
    m = wire.messages(42)
    names = [f"g{n}" for n in range(20)]
    answer = ask(services, 42, 2, m.DeleteGroupsRequest(groups_names=names))
    assert {result.error_code for result in answer.results} == {0}
    assert fetched(services, "g7") == {}


def test_what_is_on_its_way_is_known_until_it_is_settled() -> None:
    services, replica = coordinating(group_record("other"))
    (coordinator,) = services.groups.all()
    appender = coordinator._appender
    assert appender.keys_of("g") == set()
    Client(services).send(8, 8, commit_request("g", (0, 5)))
    assert appender.keys_of("g") == {OffsetKey("g", "t", 0)}
    assert appender.keys_of("other") == set()
    services.reactor.settle()
    assert appender.keys_of("g") == {OffsetKey("g", "t", 0)}, "appended, not committed"
    replica.commit()
    assert appender.keys_of("g") == set()
    assert not appender._on_their_way
