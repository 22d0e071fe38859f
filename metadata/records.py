"""The facts that the metadata log is made of.

A record says what became true, never what was asked: it is written after the controller has
decided, and applying it cannot fail on a replica whose image is right. The records of one
decision are one Raft entry, so they become true together or not at all.

Frozen dataclasses and not NamedTuples, because two facts of different types with the same
fields (`BrokerFenced(1, 7)`, `BrokerUnfenced(1, 7)`) must not be equal.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from raftlog.types import ReplicaId


class Listener(NamedTuple):
    """One advertised address of a broker, as clients of that listener are told."""

    name: str
    host: str
    port: int
    security_protocol: str
    """PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL."""


class FeatureRange(NamedTuple):
    """The levels of a feature that a broker can work at, both ends included."""

    name: str
    low: int
    high: int


class ResourceType(IntEnum):
    """What a dynamic configuration belongs to; the numbers are Kafka's (ConfigResource.Type)."""

    TOPIC = 2
    BROKER = 4


class ConfigResource(NamedTuple):
    """Whose configuration: a topic's name, a node id in decimal, or "" for all brokers."""

    type: ResourceType
    name: str


@dataclass(frozen=True, slots=True)
class ClusterCreated:
    """The first record of every metadata log."""

    cluster_id: str
    feature_level: int


@dataclass(frozen=True, slots=True)
class FeatureLevelSet:
    """From here on, brokers write and speak what `feature_level` allows. Never lowered."""

    feature_level: int


@dataclass(frozen=True, slots=True)
class BrokerRegistered:
    """A broker's process joined, fenced; replaces any earlier registration of the node."""

    node: int
    directory: bytes
    """16 bytes: the data directory's id, half of the node's ReplicaId."""
    incarnation: bytes
    """16 random bytes, new with every start of the process."""
    listeners: tuple[Listener, ...]
    peer_host: str
    peer_port: int
    rack: str | None
    features: tuple[FeatureRange, ...]
    epoch: int
    """Unique in the cluster and rising: fences requests of earlier incarnations."""


@dataclass(frozen=True, slots=True)
class BrokerFenced:
    """The broker stopped sending heartbeats (or asked): nothing new is placed on it."""

    node: int
    epoch: int


@dataclass(frozen=True, slots=True)
class BrokerUnfenced:
    """The broker is live and its image holds its own registration."""

    node: int
    epoch: int


@dataclass(frozen=True, slots=True)
class BrokerRemoved:
    """An operator took the broker out of the cluster; its node id may be used again."""

    node: int
    epoch: int


@dataclass(frozen=True, slots=True)
class TopicCreated:
    """A topic without partitions; its PartitionAssigned records follow in the same entry."""

    topic_id: bytes
    """16 bytes, random, never reused."""
    name: str


@dataclass(frozen=True, slots=True)
class TopicDeleted:
    """The topic, its partitions and its configuration are gone."""

    topic_id: bytes


@dataclass(frozen=True, slots=True)
class PartitionAssigned:
    """A new partition, or a new target assignment of one that exists.

    The assignment is a target: the Raft group's own configuration is the fact, and the
    group's leader moves it here.
    """

    topic_id: bytes
    partition: int
    group: int
    """The partition's Raft group: allotted once, rising, never reused."""
    replicas: tuple[ReplicaId, ...]
    """Preferred leader first; the rest in order of placement."""
    assignment_epoch: int
    """0 for a new partition, higher with every reassignment."""


@dataclass(frozen=True, slots=True)
class ConfigSet:
    """A dynamic configuration was set, or deleted when `value` is None."""

    resource_type: ResourceType
    resource_name: str
    key: str
    value: str | None


@dataclass(frozen=True, slots=True)
class ProducerIdsAllotted:
    """`node` may hand out producer ids `first` to `first + count - 1`; nobody else ever may."""

    node: int
    first: int
    count: int


@dataclass(frozen=True, slots=True)
class CountersSet:
    """What a snapshot must keep of records that left no other trace (deleted topics' groups)."""

    next_group_id: int
    next_producer_id: int
    next_broker_epoch: int


Record = (
    ClusterCreated
    | FeatureLevelSet
    | BrokerRegistered
    | BrokerFenced
    | BrokerUnfenced
    | BrokerRemoved
    | TopicCreated
    | TopicDeleted
    | PartitionAssigned
    | ConfigSet
    | ProducerIdsAllotted
    | CountersSet
)
