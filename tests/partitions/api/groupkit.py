"""A broker of fakes that coordinates groups: one that has a member, and one that has none."""

from __future__ import annotations

from typing import Any

from partitions import wire
from partitions.coordinators.groups import GroupSnapshot, MemberSnapshot
from partitions.coordinators.groups.schemas import (
    Change,
    CommittedOffset,
    GroupKey,
    GroupValue,
    OffsetKey,
    encode_group,
    encode_key,
    encode_value,
)
from partitions.internal import CONSUMER_OFFSETS
from partitions.records import Record
from tests.partitions.api.client import Client
from tests.partitions.api.fakes import FakeReplica, FakeServices

MEMBER = "member-1"
SESSION_MS = 10_000
SUBSCRIPTION = b"\x00\x01" + b"\x00\x00\x00\x01" + b"\x00\x01t" + b"\xff\xff\xff\xff"
"""Of a consumer that reads topic `t`."""


def record(change: Change) -> Record:
    """As it lies in the log."""
    return Record(key=encode_key(change.key), value=encode_value(change.value))


def offset_record(
    group: str, partition: int, offset: int, topic: str = "t", topic_id: bytes = b""
) -> Record:
    """A committed offset."""
    value = CommittedOffset(offset, 3, "note", 1_000, topic_id=topic_id)
    return record(Change(OffsetKey(group, topic, partition), value))


def group_record(group: str, generation: int = 1) -> Record:
    """A group with MEMBER, who leads it."""
    member = MemberSnapshot(
        member_id=MEMBER,
        group_instance_id=None,
        client_id="client",
        client_host="/10.0.0.1",
        rebalance_timeout_ms=SESSION_MS,
        session_timeout_ms=SESSION_MS,
        subscription=SUBSCRIPTION,
        assignment=b"assigned",
    )
    snapshot = GroupSnapshot("consumer", generation, "range", MEMBER, (member,))
    return record(Change(GroupKey(group), encode_group(GroupValue(snapshot, 1_000))))


def coordinating(*records: Record, partitions: int = 1) -> tuple[FakeServices, FakeReplica]:
    """A broker whose only partition of groups holds `records`, and is loaded; topic `t`."""
    services = FakeServices()
    services.add_topic("t", 2)
    replicas = services.add_topic(CONSUMER_OFFSETS, partitions)
    if records:
        replicas[0].keep(list(records))
    for replica in replicas:
        services.groups.leadership(replica)
    services.reactor.settle()
    return services, replicas[0]


def go_on(services: FakeServices) -> None:
    """Whatever waits for a commit or a confirmation has it."""
    for _ in range(2):
        services.reactor.settle()
        for replica in services.replicas.values():
            replica.commit()
            confirms, replica.confirms = replica.confirms, []
            for confirmed in confirms:
                confirmed(True)


def ask(services: FakeServices, key: int, version: int, body: Any) -> Any:
    """The answer once everything went well."""
    client = Client(services)
    client.send(key, version, body)
    go_on(services)
    ((_, answer),) = client.receive()
    assert client.log.errors == []
    return answer


def commit_request(group: str, *offsets: tuple[int, int], **fields: Any) -> Any:
    """An OffsetCommit of (partition, offset) in topic `t`."""
    m = wire.messages(8)
    parts = [
        m.OffsetCommitRequestPartition(
            partition_index=partition, committed_offset=offset, committed_metadata="note"
        )
        for partition, offset in offsets
    ]
    topics = [m.OffsetCommitRequestTopic(name="t", partitions=parts)]
    return m.OffsetCommitRequest(group_id=group, topics=topics, **fields)


def fetched(services: FakeServices, group: str, version: int = 5) -> dict[int, int]:
    """Committed offsets in topic `t`, by partition."""
    answer = ask(
        services, 9, version, wire.messages(9).OffsetFetchRequest(group_id=group, topics=None)
    )
    assert answer.error_code == 0
    return {
        part.partition_index: part.committed_offset
        for topic in answer.topics
        if topic.name == "t"
        for part in topic.partitions
    }
