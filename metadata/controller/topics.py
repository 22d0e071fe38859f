"""Creating and deleting topics (Kafka's CreateTopics and DeleteTopics)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from metadata.configs.table import topic_definition
from metadata.controller.decision import Decision
from metadata.controller.placement import Candidate, Replicas, place
from metadata.errors import ErrorCode, InvalidConfig, MetadataError
from metadata.image import MetadataImage, Topic
from metadata.image.draft import collision_name
from metadata.records import (
    ConfigResource,
    ConfigSet,
    PartitionAssigned,
    Record,
    ResourceType,
    TopicCreated,
    TopicDeleted,
)

NAME_CHARACTERS_MAX = 249
"""Kafka's limit: a partition's directory name, with number and suffix, must fit 255."""
PARTITIONS_PER_REQUEST_MAX = 10_000
PARTITIONS_MAX = 200_000
"""In the cluster: every broker holds the facts of each in memory, and a snapshot holds all."""
REPLICATION_FACTOR_MAX = 7
"""So that a topic of 10,000 partitions fits in one entry (codec.ENTRY_BYTES_MAX)."""
CONFIGS_PER_REQUEST_MAX = 100
_NAME = re.compile(r"[a-zA-Z0-9._-]+")
_NO_ASSIGNMENTS: Mapping[int, tuple[int, ...]] = MappingProxyType({})
_NO_CONFIGS: Mapping[str, str | None] = MappingProxyType({})


class NewTopic(NamedTuple):
    """A topic to create. -1 leaves a number to the cluster's default, or to `assignments`."""

    name: str
    partitions: int = -1
    replication_factor: int = -1
    assignments: Mapping[int, tuple[int, ...]] = _NO_ASSIGNMENTS
    """Node ids by partition, preferred leader first; empty: the controller places."""
    configs: Mapping[str, str | None] = _NO_CONFIGS


class TopicDefaults(NamedTuple):
    """Numbers for creators who give none (num.partitions, default.replication.factor)."""

    partitions: int
    replication_factor: int


class CreatedTopic(NamedTuple):
    """The answer to a creation (or to `validate_only`, with the id it would have had)."""

    topic_id: bytes
    name: str
    partitions: int
    replication_factor: int
    configs: Mapping[str, str]
    """The topic's own settings."""


def create_topic(
    image: MetadataImage,
    request: NewTopic,
    topic_id: bytes,
    defaults: TopicDefaults,
    *,
    validate_only: bool = False,
) -> Decision[CreatedTopic]:
    """Create a topic with `topic_id`, 16 random bytes that the caller drew.

    Raises INVALID_TOPIC_EXCEPTION, TOPIC_ALREADY_EXISTS, INVALID_PARTITIONS,
    INVALID_REPLICATION_FACTOR, INVALID_REPLICA_ASSIGNMENT, INVALID_CONFIG, INVALID_REQUEST or
    POLICY_VIOLATION.
    """
    _check_name(image, request.name)
    if len(topic_id) != 16 or topic_id in image.topics or topic_id == bytes(16):
        raise MetadataError(ErrorCode.INVALID_REQUEST, f"topic id {topic_id.hex()} is not usable")
    configs = _checked_configs(request.configs)
    layout = _layout(image, request, defaults)
    created = CreatedTopic(topic_id, request.name, len(layout), len(layout[0]), configs)
    if validate_only:
        return Decision((), created)
    settings = [
        ConfigSet(ResourceType.TOPIC, request.name, key, value) for key, value in configs.items()
    ]
    records: list[Record] = [TopicCreated(topic_id, request.name), *settings]
    records += assigned(image, topic_id, 0, layout)
    return Decision(tuple(records), created)


def delete_topic(image: MetadataImage, topic: str | bytes) -> Decision[Topic]:
    """Delete a topic by name (str) or id (bytes); the topic as it was.

    Raises UNKNOWN_TOPIC_OR_PARTITION or UNKNOWN_TOPIC_ID.
    """
    found = require_topic(image, topic)
    return Decision((TopicDeleted(found.topic_id),), found)


def require_topic(image: MetadataImage, topic: str | bytes) -> Topic:
    """The topic by name (str) or id (bytes)."""
    if isinstance(topic, str):
        found = image.topic(topic)
        if found is None:
            raise MetadataError(
                ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"there is no topic {topic[:249]!r}"
            )
        return found
    found = image.topics.get(topic)
    if found is None:
        raise MetadataError(ErrorCode.UNKNOWN_TOPIC_ID, f"there is no topic id {topic.hex()[:64]}")
    return found


def assigned(
    image: MetadataImage, topic_id: bytes, first: int, layout: list[Replicas]
) -> list[PartitionAssigned]:
    """Records for new partitions `first`, `first + 1`, ... with groups allotted in order."""
    return [
        PartitionAssigned(topic_id, first + at, image.next_group_id + at, replicas, 0)
        for at, replicas in enumerate(layout)
    ]


def candidates(image: MetadataImage, wanted: int) -> list[Candidate]:
    """The live brokers, as places for replicas; without those that drain, if `wanted` others
    are there."""
    live = [Candidate(broker.replica, broker.registration.rack) for broker in image.unfenced()]
    staying = [each for each in live if not _drains(image, each.replica.node)]
    return staying if len(staying) >= wanted else live


def _drains(image: MetadataImage, node: int) -> bool:
    """Was this very broker asked to drain? What its own file says is not known here."""
    own = image.config(ConfigResource(ResourceType.BROKER, str(node)))
    return own.get("broker.drain.enable") == "true"


def explicit(
    image: MetadataImage, assignments: Mapping[int, tuple[int, ...]], first: int
) -> list[Replicas]:
    """An operator's assignment, checked: partitions `first`, `first + 1`, ..., equally many
    different nodes each, all registered. Raises INVALID_REPLICA_ASSIGNMENT."""
    numbers = sorted(assignments)
    if numbers != list(range(first, first + len(numbers))):
        raise _misassigned(f"partitions must be {first}, {first + 1}, ... without a gap")
    widths = {len(nodes) for nodes in assignments.values()}
    if len(widths) != 1:
        raise _misassigned("all partitions must have the same number of replicas")
    _check_width(widths.pop(), ErrorCode.INVALID_REPLICA_ASSIGNMENT)
    return [replicas_on(image, number, assignments[number]) for number in numbers]


def replicas_on(image: MetadataImage, number: int, nodes: tuple[int, ...]) -> Replicas:
    """The replicas on `nodes`, each node registered and given once."""
    if len(set(nodes)) < len(nodes):
        raise _misassigned(f"partition {number}: {list(nodes)} names a node twice")
    for node in nodes:
        if node not in image.brokers:
            raise _misassigned(f"partition {number}: there is no broker with node id {node}")
    return tuple([image.brokers[node].replica for node in nodes])


def check_amount(image: MetadataImage, partitions: int) -> None:
    """POLICY_VIOLATION when one request would create more partitions than fit in an entry, or
    more than the cluster can have."""
    if partitions > PARTITIONS_PER_REQUEST_MAX:
        raise MetadataError(
            ErrorCode.POLICY_VIOLATION,
            f"{partitions} partitions in one request, at most {PARTITIONS_PER_REQUEST_MAX} are "
            "allowed: create the rest with further requests",
        )
    present = len(image.groups)
    if present + partitions > PARTITIONS_MAX:
        raise MetadataError(
            ErrorCode.POLICY_VIOLATION,
            f"{partitions} partitions more than the {present} that there are would pass the "
            f"cluster's limit of {PARTITIONS_MAX}: delete topics that nobody needs first",
        )


def _check_name(image: MetadataImage, name: str) -> None:
    reason = _name_fault(name)
    if reason:
        raise MetadataError(
            ErrorCode.INVALID_TOPIC_EXCEPTION, f"topic name {name[:260]!r} {reason}"
        )
    if name in image.topic_ids:
        raise MetadataError(ErrorCode.TOPIC_ALREADY_EXISTS, f"topic {name} already exists")
    other = image.collision_names.get(collision_name(name))
    if other is not None:
        raise MetadataError(
            ErrorCode.INVALID_TOPIC_EXCEPTION,
            f"topic name {name!r} collides with {other!r}: names must differ in more than '.' "
            "and '_'",
        )


def _name_fault(name: str) -> str:
    if not 1 <= len(name) <= NAME_CHARACTERS_MAX:
        return f"must have 1 to {NAME_CHARACTERS_MAX} characters"
    if name in (".", ".."):
        return "must not be '.' or '..'"
    if not _NAME.fullmatch(name):
        return "may only have the characters a-z A-Z 0-9 . _ -"
    return ""


def _checked_configs(configs: Mapping[str, str | None]) -> dict[str, str]:
    if len(configs) > CONFIGS_PER_REQUEST_MAX:
        raise MetadataError(
            ErrorCode.INVALID_CONFIG,
            f"{len(configs)} settings, at most {CONFIGS_PER_REQUEST_MAX} are allowed",
        )
    checked = {}
    for name, value in sorted(configs.items()):
        try:
            definition = topic_definition(name)
            if value is None:
                raise InvalidConfig(name, f"{name} has no value")
            checked[name] = definition.normal(value)
        except InvalidConfig as error:
            raise MetadataError(ErrorCode.INVALID_CONFIG, error.message) from error
    return checked


def _layout(image: MetadataImage, request: NewTopic, defaults: TopicDefaults) -> list[Replicas]:
    if request.assignments:
        if request.partitions != -1 or request.replication_factor != -1:
            raise MetadataError(
                ErrorCode.INVALID_REQUEST,
                "with assignments, partitions and replication factor must both be -1",
            )
        check_amount(image, len(request.assignments))
        return explicit(image, request.assignments, 0)
    partitions = _number(
        request.partitions, defaults.partitions, ErrorCode.INVALID_PARTITIONS, "partitions"
    )
    factor = _number(
        request.replication_factor,
        defaults.replication_factor,
        ErrorCode.INVALID_REPLICATION_FACTOR,
        "replication factor",
    )
    check_amount(image, partitions)
    _check_width(factor, ErrorCode.INVALID_REPLICATION_FACTOR)
    return place(candidates(image, factor), partitions, factor, image.next_group_id - 1)


def _number(given: int, default: int, code: ErrorCode, what: str) -> int:
    if given == -1:
        return default
    if given < 1:
        raise MetadataError(code, f"{what} {given} must be at least 1, or -1 for the default")
    return given


def _check_width(width: int, code: ErrorCode) -> None:
    if not 1 <= width <= REPLICATION_FACTOR_MAX:
        raise MetadataError(
            code, f"{width} replicas per partition, allowed are 1 to {REPLICATION_FACTOR_MAX}"
        )


def _misassigned(message: str) -> MetadataError:
    return MetadataError(ErrorCode.INVALID_REPLICA_ASSIGNMENT, f"assignments: {message}")
