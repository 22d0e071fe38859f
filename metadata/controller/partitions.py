"""More partitions for a topic, and new target assignments for those it has."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from metadata.controller.decision import Decision
from metadata.controller.placement import place
from metadata.controller.topics import (
    assigned,
    candidates,
    check_amount,
    explicit,
    require_topic,
)
from metadata.errors import ErrorCode, MetadataError
from metadata.image import MetadataImage
from metadata.records import PartitionAssigned

_NO_ASSIGNMENTS: Mapping[int, tuple[int, ...]] = MappingProxyType({})


class NewPartitions(NamedTuple):
    """Raise the topic's number of partitions to `total`."""

    topic: str
    total: int
    assignments: Mapping[int, tuple[int, ...]] = _NO_ASSIGNMENTS
    """Node ids for each of the new partitions; empty: the controller places."""


def create_partitions(
    image: MetadataImage, request: NewPartitions, *, validate_only: bool = False
) -> Decision[int]:
    """Add partitions, with as many replicas as partition 0 has; the new total.

    Raises UNKNOWN_TOPIC_OR_PARTITION, INVALID_PARTITIONS, INVALID_REPLICA_ASSIGNMENT,
    INVALID_REPLICATION_FACTOR or POLICY_VIOLATION.
    """
    topic = require_topic(image, request.topic)
    present = len(topic.partitions)
    added = request.total - present
    if added < 1:
        raise MetadataError(
            ErrorCode.INVALID_PARTITIONS,
            f"topic {topic.name} has {present} partitions; {request.total} is not more, and "
            "partitions cannot be taken away",
        )
    check_amount(image, added)
    factor = len(topic.partitions[0].replicas)
    if request.assignments:
        layout = explicit(image, request.assignments, present)
        if len(layout) != added or len(layout[0]) != factor:
            raise MetadataError(
                ErrorCode.INVALID_REPLICA_ASSIGNMENT,
                f"assignments: {added} new partitions need {factor} replicas each",
            )
    else:
        layout = place(candidates(image, factor), added, factor, image.next_group_id - 1)
    records = tuple(assigned(image, topic.topic_id, present, layout))
    return Decision(() if validate_only else records, request.total)


def reassign(
    image: MetadataImage, topic: str | bytes, partition: int, nodes: tuple[int, ...]
) -> Decision[int]:
    """Give a partition a new target assignment on `nodes`, preferred leader first.

    The group's leader then moves the group there; a node that is to leave stays a member
    until the new ones have caught up. The result is the assignment's epoch. Nodes whose
    directory was replaced since get their present one, so reassigning to the same nodes
    repairs a broker that lost its disk. Without records when nothing would change.
    """
    found = require_topic(image, topic)
    present = image.partition(found.topic_id, partition)
    if present is None:
        raise MetadataError(
            ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
            f"topic {found.name} has no partition {partition}",
        )
    if not nodes:
        raise MetadataError(
            ErrorCode.INVALID_REPLICA_ASSIGNMENT, "assignments: at least one replica is needed"
        )
    (replicas,) = explicit(image, {partition: nodes}, partition)
    if replicas == present.replicas:
        return Decision((), present.assignment_epoch)
    epoch = present.assignment_epoch + 1
    record = PartitionAssigned(found.topic_id, partition, present.group, replicas, epoch)
    return Decision((record,), epoch)
