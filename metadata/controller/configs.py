"""Changing dynamic configurations (Kafka's IncrementalAlterConfigs and AlterConfigs)."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

from metadata.configs.definition import ConfigDef
from metadata.configs.table import broker_definition, topic_definition
from metadata.controller.decision import Decision
from metadata.controller.topics import CONFIGS_PER_REQUEST_MAX, require_topic
from metadata.errors import ErrorCode, InvalidConfig, MetadataError
from metadata.image import MetadataImage
from metadata.records import ConfigResource, ConfigSet, ResourceType


class ConfigOperation(Enum):
    """What to do with one setting. Kafka's APPEND and SUBTRACT are for lists; the one list
    that is dynamic here (cleanup.policy) has a single allowed value."""

    SET = "set"
    DELETE = "delete"


class ConfigChange(NamedTuple):
    """One setting to change."""

    operation: ConfigOperation
    name: str
    value: str | None = None
    """For SET."""


def alter_configs(
    image: MetadataImage,
    resource: ConfigResource,
    changes: Sequence[ConfigChange],
    *,
    replace: bool = False,
    validate_only: bool = False,
) -> Decision[ConfigResource]:
    """Change some settings of a topic or of brokers; with `replace`, delete all others.

    Records are only written for what changes. Raises UNKNOWN_TOPIC_OR_PARTITION,
    INVALID_REQUEST or INVALID_CONFIG; then nothing of the request is done.
    """
    _check_resource(image, resource)
    if len(changes) > CONFIGS_PER_REQUEST_MAX:
        raise MetadataError(
            ErrorCode.INVALID_REQUEST,
            f"{len(changes)} settings, at most {CONFIGS_PER_REQUEST_MAX} are allowed",
        )
    present = image.config(resource)
    wanted: dict[str, str | None] = dict.fromkeys(present) if replace else {}
    seen: dict[str, None] = {}
    for change in changes:
        if change.name in seen:
            raise MetadataError(ErrorCode.INVALID_REQUEST, f"{change.name} is given twice")
        seen[change.name] = None
        wanted[change.name] = _checked(resource, change)
    records = tuple(
        [
            ConfigSet(resource.type, resource.name, key, value)
            for key, value in sorted(wanted.items())
            if present.get(key) != value
        ]
    )
    return Decision(() if validate_only else records, resource)


def _check_resource(image: MetadataImage, resource: ConfigResource) -> None:
    if resource.type is ResourceType.TOPIC:
        require_topic(image, resource.name)
    elif resource.name and not _is_broker(image, resource.name):
        raise MetadataError(
            ErrorCode.INVALID_REQUEST,
            f"{resource.name[:80]!r} is not a registered broker's node id, nor empty for all",
        )


def _is_broker(image: MetadataImage, name: str) -> bool:
    return name in [str(node) for node in image.brokers]


def _checked(resource: ConfigResource, change: ConfigChange) -> str | None:
    try:
        definition = _definition(resource, change)
        if change.operation is ConfigOperation.DELETE:
            return None
        if change.value is None:
            raise InvalidConfig(change.name, f"{change.name} has no value to set")
        return definition.normal(change.value, change.name)
    except InvalidConfig as error:
        raise MetadataError(ErrorCode.INVALID_CONFIG, error.message) from error


def _definition(resource: ConfigResource, change: ConfigChange) -> ConfigDef:
    if resource.type is ResourceType.TOPIC:
        return topic_definition(change.name)
    definition = broker_definition(change.name)
    if not definition.dynamic:
        raise InvalidConfig(
            change.name,
            f"{change.name} cannot change while brokers run: set it in the broker's file",
        )
    return definition
