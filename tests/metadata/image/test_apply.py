from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metadata import records as r
from metadata.errors import ImageError
from metadata.image import (
    EMPTY_IMAGE,
    MetadataImage,
    apply_records,
    difference,
    state_hash,
)
from raftlog.types import LogPosition
from tests.metadata.histories import History, view_of
from tests.metadata.samples import CLUSTER, after, cluster, registered, replica, uuid


def entries(seed: int, count: int = 12) -> list[list[r.Record]]:
    history = History(seed)
    return [history.records(history.random.randint(1, 6)) for _ in range(count)]


@given(st.integers(0, 2**32))
@settings(max_examples=150, deadline=None)
def test_images_say_what_a_dictionary_oracle_says(seed: int) -> None:
    history = History(seed)
    image = EMPTY_IMAGE
    for _ in range(12):
        image = after(image, history.records(history.random.randint(1, 6)))
        assert view_of(image) == history.oracle.view()


@given(st.integers(0, 2**32))
@settings(max_examples=100, deadline=None)
def test_an_old_image_never_changes(seed: int) -> None:
    image = EMPTY_IMAGE
    kept: list[tuple[MetadataImage, bytes]] = []
    for records in entries(seed):
        kept.append((image, state_hash(image)))
        image = after(image, records)
    assert all(state_hash(old) == digest for old, digest in kept)


@given(st.integers(0, 2**32))
@settings(max_examples=100, deadline=None)
def test_how_records_are_grouped_does_not_matter(seed: int) -> None:
    in_entries, in_one = EMPTY_IMAGE, EMPTY_IMAGE
    for records in entries(seed):
        in_entries = after(in_entries, records)
    in_one = after(in_one, [record for records in entries(seed) for record in records])
    assert state_hash(in_entries) == state_hash(in_one)
    assert view_of(in_entries) == view_of(in_one)


@given(st.integers(0, 2**32))
@settings(max_examples=100, deadline=None)
def test_the_delta_of_an_entry_is_the_difference_of_its_images(seed: int) -> None:
    image = EMPTY_IMAGE
    for records in entries(seed):
        position = LogPosition(image.position.index + 1, 1, 0)
        new, delta = apply_records(image, records, position)
        assert delta == difference(image, new)
        image = new


@given(st.integers(0, 2**32))
@settings(max_examples=100, deadline=None)
def test_a_watcher_of_deltas_knows_the_partitions(seed: int) -> None:
    image, known = EMPTY_IMAGE, dict[int, object]()
    for records in entries(seed):
        image, delta = apply_records(image, records, image.position)
        for topic in delta.topics_deleted:
            for partition in topic.partitions:
                known.pop(partition.group)
        for change in delta.partitions_assigned:
            assert (change.before is None) == (change.after.group not in known)
            known[change.after.group] = change.after
        expected = {p.group: p for topic in image.topics.values() for p in topic.partitions}
        assert known == expected


def test_untouched_maps_are_shared() -> None:
    image = cluster([None, None])
    new = after(image, [r.TopicCreated(uuid(1), "t")])
    assert new.brokers is image.brokers
    assert new.configs is image.configs
    assert new.topics is not image.topics


def test_a_topic_that_comes_and_goes_in_one_entry_is_no_change() -> None:
    records: list[r.Record] = [
        r.TopicCreated(uuid(1), "t"),
        r.PartitionAssigned(uuid(1), 0, 1, (replica(0),), 0),
        r.ConfigSet(r.ResourceType.TOPIC, "t", "retention.ms", "1"),
        r.TopicDeleted(uuid(1)),
    ]
    image, delta = apply_records(cluster([None]), records, LogPosition(2, 1, 2))
    assert not delta
    assert not image.topics
    assert not image.groups
    assert not image.configs
    assert image.next_group_id == 2


def test_a_topic_recreated_under_its_name_is_both_deleted_and_created() -> None:
    image = after(
        cluster([None]),
        [
            r.TopicCreated(uuid(1), "t"),
            r.ConfigSet(r.ResourceType.TOPIC, "t", "retention.ms", "1"),
        ],
    )
    new, delta = apply_records(
        image, [r.TopicDeleted(uuid(1)), r.TopicCreated(uuid(2), "t")], LogPosition(3, 1, 3)
    )
    assert [t.topic_id for t in delta.topics_deleted] == [uuid(1)]
    assert [t.topic_id for t in delta.topics_created] == [uuid(2)]
    assert delta.configs_changed == (r.ConfigResource(r.ResourceType.TOPIC, "t"),)
    assert new.topic_config("t") == {}


def base() -> MetadataImage:
    return after(
        cluster([None, None]),
        [
            r.TopicCreated(uuid(1), "t"),
            r.PartitionAssigned(uuid(1), 0, 5, (replica(0),), 2),
            r.ProducerIdsAllotted(0, 0, 1000),
        ],
    )


CONTRADICTIONS: list[r.Record] = [
    r.ClusterCreated(CLUSTER, 1),
    r.FeatureLevelSet(1),
    registered(0, 1),
    r.BrokerFenced(0, 1),
    r.BrokerUnfenced(9, 0),
    r.BrokerRemoved(1, 0),
    r.TopicCreated(uuid(1), "other"),
    r.TopicCreated(uuid(2), "t"),
    r.TopicDeleted(uuid(2)),
    r.PartitionAssigned(uuid(2), 0, 6, (replica(0),), 0),
    r.PartitionAssigned(uuid(1), 2, 6, (replica(0),), 0),
    r.PartitionAssigned(uuid(1), 1, 5, (replica(0),), 0),
    r.PartitionAssigned(uuid(1), 1, 4, (replica(0),), 0),
    r.PartitionAssigned(uuid(1), 0, 6, (replica(0),), 3),
    r.PartitionAssigned(uuid(1), 0, 5, (replica(1),), 2),
    r.PartitionAssigned(uuid(1), 1, 6, (), 0),
    r.PartitionAssigned(uuid(1), 1, 6, (replica(0), replica(0)), 0),
    r.ConfigSet(r.ResourceType.TOPIC, "u", "retention.ms", "1"),
    r.ProducerIdsAllotted(0, 999, 1000),
    r.CountersSet(5, 1000, 2),
    r.CountersSet(6, 999, 2),
    r.CountersSet(6, 1000, 1),
]


@pytest.mark.parametrize("record", CONTRADICTIONS, ids=lambda record: type(record).__name__)
def test_a_record_that_contradicts_the_image_is_refused_with_its_entry(record: r.Record) -> None:
    image = base()
    digest = state_hash(image)
    with pytest.raises(ImageError):
        after(image, [r.TopicCreated(uuid(7), "first"), record])
    assert state_hash(image) == digest
    assert image.topic("first") is None


def test_lookups() -> None:
    image = base()
    topic = image.topic("t")
    assert topic is not None
    found = image.group(5)
    assert found is not None
    assert found == (topic, 0, topic.partitions[0])
    assert image.group(6) is None
    assert image.partition(uuid(1), 0) is topic.partitions[0]
    assert image.partition(uuid(1), 1) is None
    assert image.partition(uuid(1), -1) is None
    assert [broker.node for broker in image.unfenced()] == [0, 1]
    fenced = after(image, [r.BrokerFenced(0, 0)])
    assert [broker.node for broker in fenced.unfenced()] == [1]
