"""Changing dynamic configurations (Kafka's IncrementalAlterConfigs and AlterConfigs)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import NamedTuple

from metadata.configs.definition import ConfigDef, ConfigType
from metadata.configs.table import broker_definition, topic_definition
from metadata.controller.decision import Decision
from metadata.controller.topics import CONFIGS_PER_REQUEST_MAX, require_topic
from metadata.errors import ErrorCode, InvalidConfig, MetadataError
from metadata.image import MetadataImage
from metadata.internal import KEPT_CONFIGS, is_internal
from metadata.records import ConfigResource, ConfigSet, ResourceType


class ConfigOperation(Enum):
    """What to do with one setting. APPEND and SUBTRACT are for lists: they add and take away
    items of what the resource has, or of the default while it has none (as in Kafka)."""

    SET = "set"
    DELETE = "delete"
    APPEND = "append"
    SUBTRACT = "subtract"


class ConfigChange(NamedTuple):
    """One setting to change."""

    operation: ConfigOperation
    name: str
    value: str | None = None
    """Of DELETE it is ignored, of the others required."""


def alter_configs(
    image: MetadataImage,
    resource: ConfigResource,
    changes: Sequence[ConfigChange],
    *,
    replace: bool = False,
    validate_only: bool = False,
) -> Decision[ConfigResource]:
    """Change some settings of a topic or of brokers; with `replace`, delete all others.

    Records are only written for what changes; where nothing does, for all that is asked: `image`
    may be ahead of what is committed, or that of a controller that was deposed, and then only the
    commit of an entry makes the answer true. Raises UNKNOWN_TOPIC_OR_PARTITION, INVALID_REQUEST
    or INVALID_CONFIG; then nothing of the request is done.
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
        wanted[change.name] = _checked(resource, change, present)
    changed = {key: value for key, value in sorted(wanted.items()) if present.get(key) != value}
    _check_kept(resource, changed)
    records = tuple(
        [
            ConfigSet(resource.type, resource.name, key, value)
            for key, value in (changed or wanted).items()
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


def _check_kept(resource: ConfigResource, changed: Mapping[str, str | None]) -> None:
    if resource.type is not ResourceType.TOPIC or not is_internal(resource.name):
        return
    for name in changed:
        if name in KEPT_CONFIGS:
            raise MetadataError(
                ErrorCode.INVALID_CONFIG,
                f"{name} of {resource.name} stays as the brokers set it: they keep their state in "
                "this topic",
            )


def _checked(
    resource: ConfigResource, change: ConfigChange, present: Mapping[str, str]
) -> str | None:
    """The value that the resource is to have, None for no value of its own."""
    deletion = change.operation is ConfigOperation.DELETE
    if deletion and change.name in present:
        return None  # also what an earlier release allowed and this one does not
    try:
        definition = _definition(resource, change.name)
        if deletion:
            return None
        if change.value is None:
            raise MetadataError(
                ErrorCode.INVALID_REQUEST, f"{change.name} has no value to {change.operation.value}"
            )
        text = change.value
        if change.operation is not ConfigOperation.SET:
            text = _edited(definition, change, present.get(change.name))
        return definition.normal(text, change.name)
    except InvalidConfig as error:
        raise MetadataError(ErrorCode.INVALID_CONFIG, error.message) from error


def _edited(definition: ConfigDef, change: ConfigChange, present: str | None) -> str:
    """A list with the items of `change` added or taken away."""
    if definition.type is not ConfigType.LIST:
        raise InvalidConfig(
            change.name,
            f"{change.name} is no list: set a value instead of a {change.operation.value}",
        )
    items = _items(definition.default if present is None else present)
    given = _items(change.value)
    if change.operation is ConfigOperation.APPEND:
        return ",".join(dict.fromkeys([*items, *given]))
    return ",".join([item for item in items if item not in given])


def _items(text: str | None) -> list[str]:
    return [item.strip() for item in (text or "").split(",") if item.strip()]


def _definition(resource: ConfigResource, name: str) -> ConfigDef:
    if resource.type is ResourceType.TOPIC:
        return topic_definition(name)
    definition = broker_definition(name)
    if not definition.dynamic:
        raise InvalidConfig(name, f"{name} needs a restart: set it in the broker's file")
    return definition
