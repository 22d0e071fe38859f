"""Finding the replica that may serve a client's request for a partition, or saying why not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from metadata.image import Broker, MetadataImage, Partition, Topic
from metadata.leaders import Leader
from metadata.records import Listener
from partitions.api.services import Services
from partitions.errors import ErrorCode, KafkaError
from partitions.replicas.interface import Replica
from partitions.replicas.offline import storage_error
from raftlog.types import ReplicaId

NO_EPOCH = -1


def leading_replica(
    services: Services, topic: Topic | None, number: int, known_epoch: int = NO_EPOCH
) -> Replica:
    """This broker's replica of partition `number`, if it leads.

    `known_epoch` is the leader epoch the client believes in (KIP-320), NO_EPOCH for none.
    Raises KafkaError UNKNOWN_TOPIC_OR_PARTITION, NOT_LEADER_OR_FOLLOWER, KAFKA_STORAGE_ERROR
    (this broker's copy is offline), FENCED_LEADER_EPOCH (the client is behind) or
    UNKNOWN_LEADER_EPOCH (this broker is behind).
    """
    if topic is None or not 0 <= number < len(topic.partitions):
        raise _unknown(topic, number)
    replica = services.replica(topic.topic_id, number)
    if replica is None or not replica.is_leader:
        if services.is_offline(topic.partitions[number].group):
            raise storage_error(topic.name, number)
        raise KafkaError(
            ErrorCode.NOT_LEADER_OR_FOLLOWER,
            f"node {services.node_id} does not lead {topic.name}-{number}; refresh the metadata",
        )
    if known_epoch != NO_EPOCH and known_epoch != replica.leader_epoch:
        raise _wrong_epoch(topic, number, known_epoch, replica.leader_epoch)
    return replica


def current_leader(services: Services, topic: Topic | None, number: int) -> Leader | None:
    """Who leads the partition, by this broker's own replica or by what others told."""
    if topic is None or not 0 <= number < len(topic.partitions):
        return None
    replica = services.replica(topic.topic_id, number)
    if replica is not None and replica.is_leader:
        return Leader(replica.leader_epoch, services.node_id)
    return services.leader(topic.partitions[number].group)


class PartitionState(NamedTuple):
    """A partition as descriptions show it."""

    nodes: tuple[int, ...]
    """Of its replicas, preferred leader first."""
    offline: frozenset[int]
    """Nodes of replicas that are out of service, on brokers that are down, or lost with a
    directory in whose place their broker has another one now."""
    leader: Leader | None
    """None when there is none in service, as far as known."""

    @property
    def in_service(self) -> list[int]:
        """Nodes of the other replicas: what is shown for Kafka's in-sync replicas."""
        return [node for node in self.nodes if node not in self.offline]


def live_replicas(image: MetadataImage) -> dict[int, ReplicaId]:
    """The unfenced brokers' replica ids, by node."""
    return {broker.node: broker.replica for broker in image.unfenced()}


def partition_state(
    services: Services, live: Mapping[int, ReplicaId], partition: Partition
) -> PartitionState:
    """What this broker knows of a partition; `live` is from `live_replicas`."""
    is_offline, group = services.is_offline, partition.group
    offline = frozenset(
        [
            replica.node
            for replica in partition.replicas
            if live.get(replica.node) != replica or is_offline(group, replica)
        ]
    )
    leader = services.leader(group)
    if leader is not None and (leader.node not in live or leader.node in offline):
        leader = None
    return PartitionState(tuple([r.node for r in partition.replicas]), offline, leader)


def endpoint(broker: Broker, listener: str) -> Listener | None:
    """The broker's advertised address on the named listener."""
    for candidate in broker.registration.listeners:
        if candidate.name == listener:
            return candidate
    return None


def reachable(
    image: MetadataImage, node: int, listener: str
) -> tuple[Broker, Listener] | tuple[None, None]:
    """The unfenced broker `node` and its address for clients of `listener`."""
    broker = image.brokers.get(node)
    if broker is None or broker.fenced:
        return None, None
    address = endpoint(broker, listener)
    return (None, None) if address is None else (broker, address)


def _unknown(topic: Topic | None, number: int) -> KafkaError:
    if topic is None:
        return KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, "the topic does not exist")
    return KafkaError(
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        f"{topic.name} has partitions 0 to {len(topic.partitions) - 1}, not {number}",
    )


def _wrong_epoch(topic: Topic, number: int, known: int, actual: int) -> KafkaError:
    if known < actual:
        return KafkaError(
            ErrorCode.FENCED_LEADER_EPOCH,
            f"leader epoch {known} of {topic.name}-{number} is over; it is {actual} now",
        )
    return KafkaError(
        ErrorCode.UNKNOWN_LEADER_EPOCH,
        f"leader epoch {known} of {topic.name}-{number} is not known here yet; it is {actual}",
    )
