"""Which value is in force, and where it comes from (KIP-226).

A topic's setting is looked for in the topic's own configuration, then as the broker's setting
in the broker's dynamic configuration, the one for all brokers, the broker's file, and at last
in the table's default.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import IntEnum
from types import MappingProxyType
from typing import Any, NamedTuple

from metadata.configs.definition import ConfigDef, ConfigValue
from metadata.configs.table import BROKER_CONFIGS, TOPIC_CONFIGS

_EMPTY: Mapping[str, str] = MappingProxyType({})


class ConfigSource(IntEnum):
    """Where a value comes from; the numbers are DescribeConfigs'."""

    DYNAMIC_TOPIC = 1
    DYNAMIC_BROKER = 2
    DYNAMIC_DEFAULT_BROKER = 3
    STATIC_BROKER = 4
    DEFAULT = 5


class BrokerLayers(NamedTuple):
    """A broker's settings as text, by the broker's names, strongest first."""

    dynamic: Mapping[str, str] = _EMPTY
    """Of this node (ConfigResource BROKER, its id)."""
    dynamic_default: Mapping[str, str] = _EMPTY
    """Of all nodes (ConfigResource BROKER, "")."""
    static: Mapping[str, str] = _EMPTY
    """`BrokerSettings.static`: file, environment and flags."""


class Synonym(NamedTuple):
    """One place where a value for the setting is given."""

    name: str
    text: str | None
    source: ConfigSource


@dataclass(frozen=True, slots=True)
class ConfigEntry:
    """A setting with the value in force."""

    name: str
    definition: ConfigDef
    text: str | None
    value: ConfigValue
    source: ConfigSource
    read_only: bool
    synonyms: tuple[Synonym, ...]
    """All places that give a value, the one in force first."""


def topic_entries(overrides: Mapping[str, str], layers: BrokerLayers) -> dict[str, ConfigEntry]:
    """Every setting of a topic whose own configuration is `overrides`, by name."""
    return {name: _topic_entry(name, d, overrides, layers) for name, d in TOPIC_CONFIGS.items()}


def broker_entries(layers: BrokerLayers) -> dict[str, ConfigEntry]:
    """Every setting of a broker, by the broker's name for it."""
    return {
        name: _entry(name, d, _broker_synonyms(d, layers), not d.dynamic)
        for name, d in BROKER_CONFIGS.items()
    }


def cluster_entries(settings: Mapping[str, str]) -> dict[str, ConfigEntry]:
    """What is set for all brokers (ConfigResource BROKER, ""), and nothing else: what is not set
    there may differ from broker to broker."""
    entries = broker_entries(BrokerLayers(dynamic_default=settings))
    return {name: entry for name, entry in entries.items() if name in settings}


def broker_value(name: str, layers: BrokerLayers) -> ConfigValue:
    """The value in force of the broker's setting called `name`."""
    return _in_force(BROKER_CONFIGS[name], _EMPTY, layers)


@dataclass(frozen=True, slots=True)
class TopicConfig:
    """A topic's settings in force, typed, for code that acts on them. Units as in the names."""

    cleanup_policy: str
    compression_type: str
    index_interval_bytes: int
    max_message_bytes: int
    message_timestamp_after_max_ms: int
    message_timestamp_before_max_ms: int
    message_timestamp_type: str
    min_insync_replicas: int
    retention_bytes: int
    """-1: no limit."""
    retention_ms: int
    """-1: no limit."""
    segment_bytes: int
    segment_ms: int
    unclean_leader_election_enable: bool


_ATTRIBUTES = {field.name: field.name.replace("_", ".") for field in fields(TopicConfig)}


def topic_config(overrides: Mapping[str, str], layers: BrokerLayers) -> TopicConfig:
    """The settings in force for a topic whose own configuration is `overrides`."""
    values: dict[str, Any] = {
        attribute: _in_force(TOPIC_CONFIGS[name], overrides, layers)
        for attribute, name in _ATTRIBUTES.items()
    }
    return TopicConfig(**values)


def _in_force(d: ConfigDef, overrides: Mapping[str, str], layers: BrokerLayers) -> ConfigValue:
    if d.name in overrides:
        return d.parse(overrides[d.name])
    for layer in layers:
        if d.broker_name in layer:
            return d.parse(layer[d.broker_name], d.broker_name)
    return d.default_value()


def _topic_entry(
    name: str, d: ConfigDef, overrides: Mapping[str, str], layers: BrokerLayers
) -> ConfigEntry:
    synonyms = _broker_synonyms(d, layers)
    if name in overrides:
        synonyms.insert(0, Synonym(name, overrides[name], ConfigSource.DYNAMIC_TOPIC))
    return _entry(name, d, synonyms, read_only=False)


def _entry(name: str, d: ConfigDef, synonyms: list[Synonym], read_only: bool) -> ConfigEntry:
    first = synonyms[0]
    value = None if first.text is None else d.parse(first.text, first.name)
    return ConfigEntry(name, d, first.text, value, first.source, read_only, tuple(synonyms))


def _broker_synonyms(d: ConfigDef, layers: BrokerLayers) -> list[Synonym]:
    name = d.broker_name
    sources = (
        ConfigSource.DYNAMIC_BROKER,
        ConfigSource.DYNAMIC_DEFAULT_BROKER,
        ConfigSource.STATIC_BROKER,
    )
    found = [
        Synonym(name, layer[name], source)
        for layer, source in zip(layers, sources, strict=True)
        if name in layer
    ]
    return [*found, Synonym(name, d.default, ConfigSource.DEFAULT)]
