"""Applying an entry: a draft of the next image that copies a map on its first change."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Generic

from metadata import records as r
from metadata.errors import ImageError
from metadata.image.delta import ImageDelta, Touched, compare
from metadata.image.state import (
    Broker,
    Cluster,
    K,
    MetadataImage,
    Partition,
    PartitionRef,
    Topic,
    V,
)
from raftlog.types import LogPosition


def collision_name(name: str) -> str:
    """Topic names that differ only in '.' and '_' share this (Kafka's metric names collide)."""
    return name.replace(".", "_")


def apply_records(
    image: MetadataImage, records: Iterable[r.Record], position: LogPosition
) -> tuple[MetadataImage, ImageDelta]:
    """The image after one entry that ends at `position`, and what changed.

    Raises ImageError when a record contradicts what is there; `image` is unaffected.
    """
    draft = _Draft(image)
    for record in records:
        _APPLY[type(record)](draft, record)
    after = draft.finish(position)
    return after, compare(image, after, draft.touched())


class _DraftMap(Generic[K, V]):
    """A mapping under change: the old one until the first write, then one copy of it."""

    __slots__ = ("_base", "_copy", "touched")

    def __init__(self, base: Mapping[K, V]) -> None:
        self._base = base
        self._copy: dict[K, V] | None = None
        self.touched: dict[K, None] = {}

    def get(self, key: K) -> V | None:
        return (self._base if self._copy is None else self._copy).get(key)

    def set(self, key: K, value: V) -> None:
        self._writable(key)[key] = value

    def remove(self, key: K) -> None:
        self._writable(key).pop(key, None)

    def result(self) -> Mapping[K, V]:
        return self._base if self._copy is None else self._copy

    def _writable(self, key: K) -> dict[K, V]:
        self.touched[key] = None
        if self._copy is None:
            self._copy = dict(self._base)
        return self._copy


class _Draft:
    """The next image, under construction. One method per record type."""

    def __init__(self, image: MetadataImage) -> None:
        self._cluster = image.cluster
        self._brokers = _DraftMap(image.brokers)
        self._topics = _DraftMap(image.topics)
        self._topic_ids = _DraftMap(image.topic_ids)
        self._collisions = _DraftMap(image.collision_names)
        self._groups = _DraftMap(image.groups)
        self._configs = _DraftMap(image.configs)
        self._partitions: dict[bytes, list[Partition]] = {}
        """Partitions of topics touched; folded into tuples once, at the end."""
        self._settings: dict[r.ConfigResource, dict[str, str]] = {}
        self._next_group_id = image.next_group_id
        self._next_producer_id = image.next_producer_id
        self._next_broker_epoch = image.next_broker_epoch

    def finish(self, position: LogPosition) -> MetadataImage:
        for topic_id, partitions in self._partitions.items():
            topic = self._topic(topic_id)
            self._topics.set(topic_id, replace(topic, partitions=tuple(partitions)))
        for resource, settings in self._settings.items():
            if settings:
                self._configs.set(resource, settings)
            else:
                self._configs.remove(resource)
        return MetadataImage(
            position=position,
            cluster=self._cluster,
            brokers=self._brokers.result(),
            topics=self._topics.result(),
            topic_ids=self._topic_ids.result(),
            collision_names=self._collisions.result(),
            groups=self._groups.result(),
            configs=self._configs.result(),
            next_group_id=self._next_group_id,
            next_producer_id=self._next_producer_id,
            next_broker_epoch=self._next_broker_epoch,
        )

    def touched(self) -> Touched:
        return Touched(self._brokers.touched, self._topics.touched, self._configs.touched)

    # The cluster

    def cluster_created(self, record: r.ClusterCreated) -> None:
        if self._cluster is not None:
            raise ImageError(f"cluster {self._cluster.cluster_id} already exists: {record}")
        self._cluster = Cluster(record.cluster_id, record.feature_level)

    def feature_level_set(self, record: r.FeatureLevelSet) -> None:
        if self._cluster is None or record.feature_level <= self._cluster.feature_level:
            raise ImageError(f"the feature level can only rise: {record}")
        self._cluster = replace(self._cluster, feature_level=record.feature_level)

    def counters_set(self, record: r.CountersSet) -> None:
        present = (self._next_group_id, self._next_producer_id, self._next_broker_epoch)
        wanted = (record.next_group_id, record.next_producer_id, record.next_broker_epoch)
        if any(new < old for new, old in zip(wanted, present, strict=True)):
            raise ImageError(f"counters never go back from {present}: {record}")
        self._next_group_id, self._next_producer_id, self._next_broker_epoch = wanted

    def producer_ids_allotted(self, record: r.ProducerIdsAllotted) -> None:
        if record.first < self._next_producer_id:
            raise ImageError(f"producer ids below {self._next_producer_id} are taken: {record}")
        self._next_producer_id = record.first + record.count

    # Brokers

    def broker_registered(self, record: r.BrokerRegistered) -> None:
        if record.epoch < self._next_broker_epoch:
            raise ImageError(f"broker epochs below {self._next_broker_epoch} are taken: {record}")
        self._next_broker_epoch = record.epoch + 1
        self._brokers.set(record.node, Broker(record, fenced=True))

    def broker_fenced(self, record: r.BrokerFenced) -> None:
        self._brokers.set(record.node, replace(self._broker(record), fenced=True))

    def broker_unfenced(self, record: r.BrokerUnfenced) -> None:
        self._brokers.set(record.node, replace(self._broker(record), fenced=False))

    def broker_removed(self, record: r.BrokerRemoved) -> None:
        self._broker(record)
        self._brokers.remove(record.node)
        self._drop_settings(r.ConfigResource(r.ResourceType.BROKER, str(record.node)))

    def _broker(self, record: r.BrokerFenced | r.BrokerUnfenced | r.BrokerRemoved) -> Broker:
        broker = self._brokers.get(record.node)
        if broker is None or broker.epoch != record.epoch:
            raise ImageError(f"no broker is registered with that node and epoch: {record}")
        return broker

    # Topics

    def topic_created(self, record: r.TopicCreated) -> None:
        if self._topics.get(record.topic_id) or self._topic_ids.get(record.name):
            raise ImageError(f"the topic already exists: {record}")
        self._topics.set(record.topic_id, Topic(record.topic_id, record.name))
        self._topic_ids.set(record.name, record.topic_id)
        self._collisions.set(collision_name(record.name), record.name)

    def topic_deleted(self, record: r.TopicDeleted) -> None:
        topic = self._topic(record.topic_id)
        for partition in self._partitions_of(topic):
            self._groups.remove(partition.group)
        del self._partitions[topic.topic_id]
        self._topics.remove(topic.topic_id)
        self._topic_ids.remove(topic.name)
        self._collisions.remove(collision_name(topic.name))
        self._drop_settings(r.ConfigResource(r.ResourceType.TOPIC, topic.name))

    def partition_assigned(self, record: r.PartitionAssigned) -> None:
        if not record.replicas or len({x.node for x in record.replicas}) < len(record.replicas):
            raise ImageError(f"replicas must be on one or more different nodes: {record}")
        partitions = self._partitions_of(self._topic(record.topic_id))
        assigned = Partition(record.group, record.replicas, record.assignment_epoch)
        if record.partition == len(partitions):
            self._add_partition(record, partitions, assigned)
            return
        if record.partition > len(partitions):
            raise ImageError(f"the topic has only {len(partitions)} partitions: {record}")
        present = partitions[record.partition]
        if present.group != record.group or present.assignment_epoch >= record.assignment_epoch:
            raise ImageError(f"the group is fixed and the epoch rises from {present}: {record}")
        partitions[record.partition] = assigned

    def _add_partition(
        self, record: r.PartitionAssigned, partitions: list[Partition], assigned: Partition
    ) -> None:
        if record.group < self._next_group_id:
            raise ImageError(f"group ids below {self._next_group_id} are taken: {record}")
        self._next_group_id = record.group + 1
        self._groups.set(record.group, PartitionRef(record.topic_id, record.partition))
        partitions.append(assigned)

    def _topic(self, topic_id: bytes) -> Topic:
        topic = self._topics.get(topic_id)
        if topic is None:
            raise ImageError(f"there is no topic {topic_id.hex()}")
        return topic

    def _partitions_of(self, topic: Topic) -> list[Partition]:
        if topic.topic_id not in self._partitions:
            self._partitions[topic.topic_id] = list(topic.partitions)
        return self._partitions[topic.topic_id]

    # Configurations

    def config_set(self, record: r.ConfigSet) -> None:
        resource = r.ConfigResource(record.resource_type, record.resource_name)
        if resource.type is r.ResourceType.TOPIC and self._topic_ids.get(resource.name) is None:
            raise ImageError(f"there is no such topic: {record}")
        settings = self._settings_of(resource)
        if record.value is None:
            settings.pop(record.key, None)
        else:
            settings[record.key] = record.value

    def _settings_of(self, resource: r.ConfigResource) -> dict[str, str]:
        if resource not in self._settings:
            self._settings[resource] = dict(self._configs.get(resource) or {})
        return self._settings[resource]

    def _drop_settings(self, resource: r.ConfigResource) -> None:
        if self._configs.get(resource) is not None or resource in self._settings:
            self._settings[resource] = {}


_APPLY: Mapping[type[Any], Callable[[_Draft, Any], None]] = {
    r.ClusterCreated: _Draft.cluster_created,
    r.FeatureLevelSet: _Draft.feature_level_set,
    r.BrokerRegistered: _Draft.broker_registered,
    r.BrokerFenced: _Draft.broker_fenced,
    r.BrokerUnfenced: _Draft.broker_unfenced,
    r.BrokerRemoved: _Draft.broker_removed,
    r.TopicCreated: _Draft.topic_created,
    r.TopicDeleted: _Draft.topic_deleted,
    r.PartitionAssigned: _Draft.partition_assigned,
    r.ConfigSet: _Draft.config_set,
    r.ProducerIdsAllotted: _Draft.producer_ids_allotted,
    r.CountersSet: _Draft.counters_set,
}
