"""What a setting is: its definition, and the rules that turn text into values."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import NamedTuple, Protocol

from metadata.configs.addresses import Endpoint, Voter
from metadata.errors import InvalidConfig

ConfigValue = bool | int | str | tuple[str, ...] | tuple[Endpoint, ...] | tuple[Voter, ...] | None
"""A parsed value; None for an optional setting that is not set."""

VALUE_CHARACTERS_MAX = 32_768
_INT = re.compile(r"[+-]?[0-9]{1,20}")


class ConfigType(IntEnum):
    """Kafka's types of settings, with DescribeConfigs' numbers."""

    BOOLEAN = 1
    STRING = 2
    INT = 3
    LONG = 5
    LIST = 7


class Scope(Enum):
    """Whose setting it is."""

    BROKER = "broker"
    TOPIC = "topic"
    BOTH = "topic and broker"
    """A topic's setting whose default a broker's setting gives."""


class Rule(Protocol):
    """Turns text into a value."""

    @property
    def allowed(self) -> str:
        """What is allowed, to end the sentence "... is not"."""

    def parse(self, text: str) -> ConfigValue:
        """The value; ValueError, with a reason or empty, when the text is not allowed."""


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number, both bounds included."""

    low: int
    high: int

    @property
    def allowed(self) -> str:
        """See Rule."""
        return f"a whole number from {self.low} to {self.high}"

    def parse(self, text: str) -> int:
        """See Rule."""
        if not _INT.fullmatch(text) or not self.low <= int(text) <= self.high:
            raise ValueError
        return int(text)


@dataclass(frozen=True, slots=True)
class Boolean:
    """true or false, in any case."""

    @property
    def allowed(self) -> str:
        """See Rule."""
        return "true or false"

    def parse(self, text: str) -> bool:
        """See Rule."""
        lowered = text.lower()
        if lowered not in ("true", "false"):
            raise ValueError
        return lowered == "true"


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of some words. `refused` gives the reason for words that Kafka knows and we refuse."""

    words: tuple[str, ...]
    refused: tuple[tuple[str, str], ...] = ()

    @property
    def allowed(self) -> str:
        """See Rule."""
        return " or ".join(self.words)

    def parse(self, text: str) -> str:
        """See Rule."""
        for word, reason in self.refused:
            if word in [part.strip() for part in text.split(",")]:
                raise ValueError(reason)
        if text not in self.words:
            raise ValueError
        return text


@dataclass(frozen=True, slots=True)
class Never:
    """A switch that Kafka has and that stays off here, with the reason."""

    reason: str

    @property
    def allowed(self) -> str:
        """See Rule."""
        return "false"

    def parse(self, text: str) -> bool:
        """See Rule."""
        if Boolean().parse(text):
            raise ValueError(self.reason)
        return False


@dataclass(frozen=True, slots=True)
class Pattern:
    """Text that matches a regular expression as a whole; `allowed` says it in words."""

    expression: str
    allowed: str

    def parse(self, text: str) -> str:
        """See Rule."""
        if not re.fullmatch(self.expression, text):
            raise ValueError
        return text


@dataclass(frozen=True, slots=True)
class Parsed:
    """Text with a parser of its own, whose ValueError carries the reason."""

    parser: Callable[[str], ConfigValue]
    allowed: str

    def parse(self, text: str) -> ConfigValue:
        """See Rule."""
        return self.parser(text)


class Alias(NamedTuple):
    """Another name for a broker's setting; a value under it is multiplied by `factor`."""

    name: str
    factor: int


@dataclass(frozen=True, slots=True)
class ConfigDef:
    """One setting."""

    name: str
    """The topic's name for it when the scope includes topics, otherwise the broker's."""
    type: ConfigType
    default: str | None
    """As text; None: not set. `required` ones have none."""
    scope: Scope
    rule: Rule
    documentation: str
    dynamic: bool = False
    """Can change while brokers run (a topic's always can)."""
    required: bool = False
    """The operator must give it: there is no sensible default."""
    synonym: str | None = None
    """The broker's name, when a topic's setting has another one there."""
    aliases: tuple[Alias, ...] = ()
    """Further names in the broker's file, for people who bring Kafka's."""
    kafka: bool = True
    """The name is Kafka's."""
    kafka_note: str = ""
    """Where the default or what is allowed differs from Kafka, and why."""

    @property
    def broker_name(self) -> str:
        """The name in a broker's file and in a broker's dynamic configuration."""
        return self.synonym or self.name

    @property
    def unit(self) -> str:
        """What a number counts: "ms", "bytes", or "" for a plain count."""
        last = self.name.rpartition(".")[2]
        return last if last in ("ms", "bytes") else ""

    def parse(self, text: str, name: str = "") -> ConfigValue:
        """The value of `text`; InvalidConfig says the setting, the value and what is allowed.

        `name` is the name the caller knows the setting by, if not `self.name`.
        """
        name = name or self.name
        if len(text) > VALUE_CHARACTERS_MAX:
            raise InvalidConfig(
                name,
                f"{name} has {len(text)} characters, at most {VALUE_CHARACTERS_MAX} are allowed",
            )
        try:
            return self.rule.parse(text.strip())
        except ValueError as error:
            reason = f": {error}" if str(error) else ""
            raise InvalidConfig(
                name, f"{name} = {text[:80]!r} is not {self.rule.allowed}{reason}"
            ) from error

    def normal(self, text: str, name: str = "") -> str:
        """`text` as it is stored: checked like `parse`, without the space around it. Space would
        let a value be thousands of characters long and still mean one number."""
        self.parse(text, name)
        return text.strip()

    def default_value(self) -> ConfigValue:
        """The default, parsed."""
        return None if self.default is None else self.parse(self.default)
