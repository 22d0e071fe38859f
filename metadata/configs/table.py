"""The table of all settings, its indices, and what to say to a name that is not in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from types import MappingProxyType

from metadata.configs.brokers import BROKERS
from metadata.configs.consensus import CONSENSUS
from metadata.configs.definition import Alias, ConfigDef, Scope
from metadata.configs.topics import TOPICS
from metadata.errors import InvalidConfig

CONFIGS: tuple[ConfigDef, ...] = tuple(
    sorted(TOPICS + BROKERS + CONSENSUS, key=lambda definition: definition.name)
)
"""Every setting, by name."""

TOPIC_CONFIGS: Mapping[str, ConfigDef] = MappingProxyType(
    {d.name: d for d in CONFIGS if d.scope is not Scope.BROKER}
)
"""Settings that a topic can have, by the topic's name for them."""

BROKER_CONFIGS: Mapping[str, ConfigDef] = MappingProxyType(
    {d.broker_name: d for d in CONFIGS if d.scope is not Scope.TOPIC}
)
"""Settings that a broker can have, by the broker's name for them."""

ALIASES: Mapping[str, tuple[ConfigDef, Alias]] = MappingProxyType(
    {alias.name: (d, alias) for d in CONFIGS for alias in d.aliases}
)
"""Further names of brokers' settings."""

_NAME_CHARACTERS_MAX = 128


def topic_definition(name: str) -> ConfigDef:
    """The topic's setting called `name`; InvalidConfig with a suggestion when there is none."""
    definition = TOPIC_CONFIGS.get(name)
    if definition is not None:
        return definition
    for other in TOPIC_CONFIGS.values():
        if name == other.broker_name:
            raise InvalidConfig(
                name, f"{name} is a setting of brokers; a topic's is called {other.name}"
            )
    raise _stranger(name, "a topic", TOPIC_CONFIGS)


def broker_definition(name: str) -> ConfigDef:
    """The broker's setting called `name`; InvalidConfig with a suggestion when there is none."""
    definition = BROKER_CONFIGS.get(name)
    if definition is not None:
        return definition
    if name in ALIASES:
        raise InvalidConfig(
            name, f"{name} is for a broker's file only; set {ALIASES[name][0].broker_name}"
        )
    topics = TOPIC_CONFIGS.get(name)
    if topics is not None:
        raise InvalidConfig(
            name, f"{name} is a setting of topics; a broker's default is {topics.broker_name}"
        )
    raise _stranger(name, "a broker", (*BROKER_CONFIGS, *ALIASES))


def suggestion(name: str, known: Iterable[str], before: str = "") -> str:
    """ " Did you mean X?" for the nearest known name, or nothing when none is near.

    `before` is put before the name that is shown.
    """
    near = get_close_matches(name[:_NAME_CHARACTERS_MAX], list(known), n=1, cutoff=0.6)
    return f" Did you mean {before}{near[0]}?" if near else ""


def _stranger(name: str, whose: str, known: Iterable[str]) -> InvalidConfig:
    return InvalidConfig(
        name, f"{name[:80]!r} is not a setting of {whose}.{suggestion(name, known)}"
    )
