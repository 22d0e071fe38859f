"""The values an image is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeVar

from metadata.records import BrokerRegistered, ConfigResource, ResourceType
from raftlog.types import ZERO_POSITION, LogPosition, ReplicaId

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Cluster:
    """Facts about the cluster as a whole."""

    cluster_id: str
    feature_level: int


@dataclass(frozen=True, slots=True)
class Broker:
    """A registered broker. `registration` is the record as it was written."""

    registration: BrokerRegistered
    fenced: bool

    @property
    def node(self) -> int:
        """Node id."""
        return self.registration.node

    @property
    def epoch(self) -> int:
        """Epoch of the registration; requests with another one are stale."""
        return self.registration.epoch

    @property
    def replica(self) -> ReplicaId:
        """The (node, directory) that copies placed on this broker get."""
        return ReplicaId(self.registration.node, self.registration.directory)


@dataclass(frozen=True, slots=True)
class Partition:
    """A partition's Raft group and its target assignment."""

    group: int
    replicas: tuple[ReplicaId, ...]
    """Preferred leader first."""
    assignment_epoch: int


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic; `partitions[n]` is partition n."""

    topic_id: bytes
    name: str
    partitions: tuple[Partition, ...] = ()


@dataclass(frozen=True, slots=True)
class PartitionRef:
    """Which partition a Raft group carries."""

    topic_id: bytes
    partition: int


NOTHING: Mapping[str, str] = MappingProxyType({})
"""The configuration of a resource that has none."""


@dataclass(frozen=True, slots=True)
class MetadataImage:
    """Everything the metadata log says up to and including `position`."""

    position: LogPosition = ZERO_POSITION
    cluster: Cluster | None = None
    """None only before the log's first record."""
    brokers: Mapping[int, Broker] = field(default_factory=dict)
    topics: Mapping[bytes, Topic] = field(default_factory=dict)
    """By topic id."""
    topic_ids: Mapping[str, bytes] = field(default_factory=dict)
    """Topic id by name."""
    collision_names: Mapping[str, str] = field(default_factory=dict)
    """Topic name by its name with '.' replaced by '_'; derived, for the naming rule."""
    groups: Mapping[int, PartitionRef] = field(default_factory=dict)
    """Partition by Raft group id."""
    configs: Mapping[ConfigResource, Mapping[str, str]] = field(default_factory=dict)
    """Dynamic configurations; a resource without any is absent."""
    next_group_id: int = 1
    next_producer_id: int = 0
    next_broker_epoch: int = 0

    def topic(self, name: str) -> Topic | None:
        """The topic called `name`."""
        topic_id = self.topic_ids.get(name)
        return None if topic_id is None else self.topics[topic_id]

    def partition(self, topic_id: bytes, number: int) -> Partition | None:
        """Partition `number` of the topic, None when either does not exist."""
        topic = self.topics.get(topic_id)
        if topic is None or not 0 <= number < len(topic.partitions):
            return None
        return topic.partitions[number]

    def group(self, group: int) -> tuple[Topic, int, Partition] | None:
        """The topic, partition number and partition that Raft group `group` carries."""
        ref = self.groups.get(group)
        if ref is None:
            return None
        topic = self.topics[ref.topic_id]
        return topic, ref.partition, topic.partitions[ref.partition]

    def config(self, resource: ConfigResource) -> Mapping[str, str]:
        """The resource's dynamic configuration, possibly empty."""
        return self.configs.get(resource, NOTHING)

    def topic_config(self, name: str) -> Mapping[str, str]:
        """The dynamic configuration of the topic called `name`."""
        return self.config(ConfigResource(ResourceType.TOPIC, name))

    def unfenced(self) -> tuple[Broker, ...]:
        """The live brokers, by node id: where new replicas may be placed."""
        return tuple([b for _, b in sorted(self.brokers.items()) if not b.fenced])


EMPTY_IMAGE = MetadataImage()
