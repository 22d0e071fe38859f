from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metadata import records as r
from metadata.codec import ENTRY_BYTES_MAX, encode_entry
from metadata.controller import (
    ConfigChange,
    ConfigOperation,
    NewPartitions,
    NewTopic,
    Pipeline,
    TopicDefaults,
    alter_configs,
    create_partitions,
    create_topic,
    delete_topic,
    reassign,
    topics,
)
from metadata.controller.topics import PARTITIONS_PER_REQUEST_MAX
from metadata.errors import ErrorCode, MetadataError
from metadata.image import EMPTY_IMAGE, MetadataImage
from tests.metadata.samples import after, cluster, registered, uuid

DEFAULTS = TopicDefaults(partitions=3, replication_factor=2)
SET, DELETE = ConfigOperation.SET, ConfigOperation.DELETE


def refused(code: ErrorCode, match: str = "") -> Any:
    return pytest.raises(MetadataError, match=f"{code.value}.*{match}")


def create(image: MetadataImage, name: str, number: int = 1, **fields: Any) -> MetadataImage:
    decision = create_topic(image, NewTopic(name, **fields), uuid(number), DEFAULTS)
    return after(image, decision.records)


def test_defaults_are_used() -> None:
    decision = create_topic(cluster([None] * 3), NewTopic("t"), uuid(1), DEFAULTS)
    result = decision.result
    assert (result.partitions, result.replication_factor, result.configs) == (3, 2, {})
    image = after(cluster([None] * 3), decision.records)
    topic = image.topic("t")
    assert topic is not None
    assert [p.group for p in topic.partitions] == [1, 2, 3]
    assert all(len(p.replicas) == 2 and p.assignment_epoch == 0 for p in topic.partitions)


def test_validate_only_writes_nothing_and_says_the_same() -> None:
    image = cluster([None] * 3)
    request = NewTopic("t", 4, 3, configs={"retention.ms": "5"})
    real = create_topic(image, request, uuid(1), DEFAULTS)
    checked = create_topic(image, request, uuid(1), DEFAULTS, validate_only=True)
    assert checked.records == ()
    assert checked.result == real.result
    with refused(ErrorCode.INVALID_CONFIG):
        bad = request._replace(configs={"retention.ms": "x"})
        create_topic(image, bad, uuid(1), DEFAULTS, validate_only=True)


def test_fenced_brokers_get_nothing() -> None:
    image = after(cluster([None] * 3), [r.BrokerFenced(1, 1)])
    topic = create(image, "t", partitions=10, replication_factor=2).topic("t")
    assert topic is not None
    assert {x.node for p in topic.partitions for x in p.replicas} == {0, 2}
    with refused(ErrorCode.INVALID_REPLICATION_FACTOR, "2 live brokers"):
        create(image, "u", replication_factor=3)


@given(st.integers(1, 5), st.data())
def test_successive_equal_topics_stay_balanced(brokers: int, data: st.DataObject) -> None:
    factor, partitions = data.draw(st.integers(1, brokers)), data.draw(st.integers(1, 6))
    pipeline = Pipeline(cluster([None] * brokers))
    for number in range(data.draw(st.integers(1, 8))):
        request = NewTopic(f"t{number}", partitions, factor)
        pipeline.proposed(create_topic(pipeline.image, request, uuid(number + 1), DEFAULTS))
    partitions_made = [p for t in pipeline.image.topics.values() for p in t.partitions]
    led = Counter(p.replicas[0].node for p in partitions_made)
    held = Counter(x.node for p in partitions_made for x in p.replicas)
    for counts in (led, held):
        numbers = [counts[node] for node in range(brokers)]
        assert max(numbers) - min(numbers) <= 1


@pytest.mark.parametrize("name", ["a", "A-b_c.9", "x" * 249, "...", "__consumer_offsets"])
def test_legal_names(name: str) -> None:
    assert create(cluster([None] * 2), name).topic(name) is not None


@pytest.mark.parametrize(
    "name", ["", ".", "..", "x" * 250, "a b", "a/b", "ä", "a\n", "a\x00", "x" * 100_000]
)
def test_illegal_names(name: str) -> None:
    with refused(ErrorCode.INVALID_TOPIC_EXCEPTION):
        create(cluster([None] * 2), name)


def test_existing_and_colliding_names() -> None:
    image = create(cluster([None] * 2), "a.b")
    with refused(ErrorCode.TOPIC_ALREADY_EXISTS):
        create(image, "a.b", 2)
    with refused(ErrorCode.INVALID_TOPIC_EXCEPTION, "collides with 'a.b'"):
        create(image, "a_b", 2)
    gone = after(image, delete_topic(image, "a.b").records)
    assert create(gone, "a_b", 2).topic("a_b") is not None


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"partitions": 0}, ErrorCode.INVALID_PARTITIONS),
        ({"partitions": -2}, ErrorCode.INVALID_PARTITIONS),
        ({"partitions": 10_001}, ErrorCode.POLICY_VIOLATION),
        ({"replication_factor": 0}, ErrorCode.INVALID_REPLICATION_FACTOR),
        ({"replication_factor": 4}, ErrorCode.INVALID_REPLICATION_FACTOR),
        ({"replication_factor": 32_767}, ErrorCode.INVALID_REPLICATION_FACTOR),
        ({"configs": {"retention.ms": None}}, ErrorCode.INVALID_CONFIG),
        ({"configs": {"retention": "1"}}, ErrorCode.INVALID_CONFIG),
        ({"configs": {"node.id": "1"}}, ErrorCode.INVALID_CONFIG),
        ({"configs": {"cleanup.policy": "compact"}}, ErrorCode.INVALID_CONFIG),
        ({"configs": {f"x{n}": "1" for n in range(101)}}, ErrorCode.INVALID_CONFIG),
        ({"assignments": {0: (0,)}, "partitions": 1}, ErrorCode.INVALID_REQUEST),
        ({"assignments": {0: (0,)}, "replication_factor": 1}, ErrorCode.INVALID_REQUEST),
        ({"assignments": {1: (0,)}}, ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        ({"assignments": {0: (0,), 2: (1,)}}, ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        ({"assignments": {0: (0, 0)}}, ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        ({"assignments": {0: (0, 1), 1: (0,)}}, ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        ({"assignments": {0: (9,)}}, ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        ({"assignments": {0: ()}}, ErrorCode.INVALID_REPLICA_ASSIGNMENT),
    ],
)
def test_requests_that_are_wrong_are_refused(fields: dict[str, Any], code: ErrorCode) -> None:
    with refused(code):
        create(cluster([None] * 3), "t", **fields)


def test_settings_are_stored_without_the_space_around_them() -> None:
    padded = " " * 30_000 + "5"
    image = create(cluster([None] * 2), "t", configs={"retention.ms": padded})
    assert image.config(TOPIC) == {"retention.ms": "5"}
    decision = alter_configs(image, TOPIC, [ConfigChange(SET, "segment.ms", padded)])
    assert after(image, decision.records).config(TOPIC)["segment.ms"] == "5"


def test_the_cluster_has_a_limit_of_partitions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topics, "PARTITIONS_MAX", 5)
    image = create(cluster([None] * 2), "t", partitions=3)
    with refused(ErrorCode.POLICY_VIOLATION, "cluster's limit of 5"):
        create(image, "u", 2, partitions=3)
    with refused(ErrorCode.POLICY_VIOLATION, "cluster's limit of 5"):
        create_partitions(image, NewPartitions("t", 6))
    create_partitions(create(image, "u", 2, partitions=1), NewPartitions("t", 4))


def test_topic_ids_are_checked() -> None:
    image = create(cluster([None] * 2), "t")
    for topic_id in (uuid(1), bytes(16), b"short"):
        with refused(ErrorCode.INVALID_REQUEST, "topic id"):
            create_topic(image, NewTopic("u"), topic_id, DEFAULTS)


def test_an_explicit_assignment_is_kept() -> None:
    image = create(cluster([None] * 3), "t", assignments={1: (2, 0), 0: (1, 2)})
    topic = image.topic("t")
    assert topic is not None
    assert [[x.node for x in p.replicas] for p in topic.partitions] == [[1, 2], [2, 0]]


def test_the_largest_topic_fits_in_an_entry() -> None:
    brokers: list[r.Record] = []
    for epoch in range(7):  # node and group ids of the greatest length
        record = replace(registered(epoch, epoch), node=2**31 - 1 - epoch)
        brokers += [record, r.BrokerUnfenced(record.node, epoch)]
    counters = r.CountersSet(2**62, 0, 7)
    image = after(EMPTY_IMAGE, [r.ClusterCreated("c", 1), *brokers, counters])
    configs: dict[str, str | None] = {"retention.ms": "5", "segment.bytes": "5000"}
    request = NewTopic("x" * 249, PARTITIONS_PER_REQUEST_MAX, 7, configs=configs)
    decision = create_topic(image, request, b"\xff" * 16, DEFAULTS)
    assert len(decision.records) == PARTITIONS_PER_REQUEST_MAX + 3
    assert len(encode_entry(decision.records)) <= ENTRY_BYTES_MAX


def test_topics_are_deleted_by_name_or_id() -> None:
    image = create(cluster([None] * 2), "t", configs={"retention.ms": "5"})
    assert delete_topic(image, "t") == delete_topic(image, uuid(1))
    gone = after(image, delete_topic(image, "t").records)
    assert (gone.topics, gone.groups, gone.configs, gone.next_group_id) == ({}, {}, {}, 4)
    with refused(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION):
        delete_topic(gone, "t")
    with refused(ErrorCode.UNKNOWN_TOPIC_ID):
        delete_topic(gone, uuid(1))


def test_partitions_are_added() -> None:
    image = create(cluster([None] * 3), "t")
    decision = create_partitions(image, NewPartitions("t", 5))
    assert decision.result == 5
    more = after(image, decision.records)
    topic, before = more.topic("t"), image.topic("t")
    assert topic is not None
    assert before is not None
    assert topic.partitions[:3] == before.partitions
    assert [p.group for p in topic.partitions] == [1, 2, 3, 4, 5]
    assert all(len(p.replicas) == 2 for p in topic.partitions)
    assert create_partitions(image, NewPartitions("t", 5), validate_only=True) == ((), 5)
    explicit = create_partitions(image, NewPartitions("t", 4, {3: (2, 1)}))
    assert [x.node for x in after(image, explicit.records).topics[uuid(1)].partitions[3].replicas]
    assert explicit.records[0].replicas[0].node == 2  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (NewPartitions("u", 5), ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
        (NewPartitions("t", 3), ErrorCode.INVALID_PARTITIONS),
        (NewPartitions("t", -1), ErrorCode.INVALID_PARTITIONS),
        (NewPartitions("t", 10_004), ErrorCode.POLICY_VIOLATION),
        (NewPartitions("t", 5, {3: (0, 1)}), ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        (NewPartitions("t", 4, {3: (0,)}), ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        (NewPartitions("t", 4, {0: (0, 1)}), ErrorCode.INVALID_REPLICA_ASSIGNMENT),
    ],
)
def test_additions_that_are_wrong_are_refused(request_: NewPartitions, code: ErrorCode) -> None:
    with refused(code):
        create_partitions(create(cluster([None] * 3), "t"), request_)


def test_partitions_are_reassigned_with_a_rising_epoch() -> None:
    image = create(cluster([None] * 3), "t", assignments={0: (0, 1)})
    assert reassign(image, "t", 0, (0, 1)) == ((), 0)
    decision = reassign(image, "t", 0, (2, 1))
    assert decision.result == 1
    moved = after(image, decision.records)
    partition = moved.partition(uuid(1), 0)
    assert partition is not None
    assert (partition.group, [x.node for x in partition.replicas]) == (1, [2, 1])
    assert reassign(moved, uuid(1), 0, (2,)).result == 2
    for nodes in ((), (9,), (1, 1)):
        with refused(ErrorCode.INVALID_REPLICA_ASSIGNMENT):
            reassign(image, "t", 0, nodes)
    with refused(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION):
        reassign(image, "t", 1, (0,))


def test_reassigning_repairs_a_node_that_lost_its_directory() -> None:
    image = create(cluster([None] * 2), "t", assignments={0: (0, 1)})
    old = image.brokers[0].registration
    replaced = replace(old, directory=uuid(77), epoch=9)
    image = after(image, [r.BrokerFenced(0, 0), replaced])
    (record,) = reassign(image, "t", 0, (0, 1)).records
    assert isinstance(record, r.PartitionAssigned)
    assert record.replicas[0] == (0, uuid(77))


TOPIC = r.ConfigResource(r.ResourceType.TOPIC, "t")
ALL = r.ConfigResource(r.ResourceType.BROKER, "")


def test_configs_are_set_deleted_and_replaced() -> None:
    image = create(cluster([None] * 2), "t", configs={"retention.ms": "5", "segment.ms": "6"})
    changes = [ConfigChange(SET, "segment.bytes", "2048"), ConfigChange(DELETE, "retention.ms")]
    changed = after(image, alter_configs(image, TOPIC, changes).records)
    assert changed.config(TOPIC) == {"segment.ms": "6", "segment.bytes": "2048"}
    replaced = alter_configs(changed, TOPIC, changes[:1], replace=True)
    assert after(changed, replaced.records).config(TOPIC) == {"segment.bytes": "2048"}
    assert alter_configs(image, TOPIC, changes, validate_only=True).records == ()
    cluster_wide = alter_configs(image, ALL, [ConfigChange(SET, "log.retention.ms", "9")])
    assert after(image, cluster_wide.records).config(ALL) == {"log.retention.ms": "9"}


@pytest.mark.parametrize(
    ("resource", "changes", "code"),
    [
        (TOPIC._replace(name="u"), [], ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
        (ALL._replace(name="7"), [], ErrorCode.INVALID_REQUEST),
        (ALL._replace(name="00"), [], ErrorCode.INVALID_REQUEST),
        (ALL, [ConfigChange(SET, "node.id", "1")], ErrorCode.INVALID_CONFIG),
        (ALL, [ConfigChange(SET, "retention.ms", "1")], ErrorCode.INVALID_CONFIG),
        (TOPIC, [ConfigChange(SET, "retention.ms", "-2")], ErrorCode.INVALID_CONFIG),
        (TOPIC, [ConfigChange(SET, "retention.ms")], ErrorCode.INVALID_REQUEST),
        (TOPIC, [ConfigChange(DELETE, "retention.mss")], ErrorCode.INVALID_CONFIG),
        (TOPIC, [ConfigChange(DELETE, "retention.ms")] * 2, ErrorCode.INVALID_REQUEST),
        (TOPIC, [ConfigChange(DELETE, f"k{n}") for n in range(101)], ErrorCode.INVALID_REQUEST),
    ],
)
def test_config_changes_that_are_wrong_are_refused(
    resource: r.ConfigResource, changes: list[ConfigChange], code: ErrorCode
) -> None:
    with refused(code):
        alter_configs(create(cluster([None] * 2), "t"), resource, changes)


def test_the_pipeline_decides_on_what_was_proposed() -> None:
    committed = cluster([None] * 3)
    pipeline = Pipeline(committed)
    pipeline.proposed(create_topic(pipeline.image, NewTopic("t"), uuid(1), DEFAULTS))
    with refused(ErrorCode.TOPIC_ALREADY_EXISTS):
        create_topic(pipeline.image, NewTopic("t"), uuid(2), DEFAULTS)
    result = create_topic(pipeline.image, NewTopic("u"), uuid(2), DEFAULTS)
    assert [x.group for x in result.records if isinstance(x, r.PartitionAssigned)] == [4, 5, 6]
    pipeline.start(committed)
    assert pipeline.image is committed
