"""A broker's settings from its file (TOML), the environment and flags, in rising precedence.

The caller reads the file and the environment; this module only parses. All that is wrong is
reported at once, each with the place it was written.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from metadata.configs.addresses import Endpoint, Voter, parse_address
from metadata.configs.consistency import inconsistencies
from metadata.configs.definition import ConfigValue
from metadata.configs.table import ALIASES, BROKER_CONFIGS, broker_definition, suggestion
from metadata.errors import InvalidConfig
from raftlog.errors import Misconfigured

ENVIRONMENT_PREFIX = "QUORATE_"
FILE_CHARACTERS_MAX = 1024 * 1024
_PROBLEMS_SHOWN = 20
_DEPTH_MAX = 16


class InvalidSettings(Misconfigured):
    """The settings as a whole cannot be used; `problems` has one sentence for each fault."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        """Shows at most twenty problems."""
        shown = problems[:_PROBLEMS_SHOWN]
        more = len(problems) - len(shown)
        lines = [f"- {problem}" for problem in shown] + ([f"- and {more} more"] if more else [])
        super().__init__("\n".join(["the broker's settings cannot be used:", *lines]))
        self.problems = problems


class Origin(NamedTuple):
    """Where a setting was written."""

    place: str
    """The file's name, "environment" or "flag"."""
    key: str
    """The key as it was written there."""

    def __str__(self) -> str:
        """For error messages."""
        return f"{self.place}: {self.key}"


class _Given(NamedTuple):
    origin: Origin
    text: str


@dataclass(frozen=True, slots=True)
class BrokerSettings:
    """A broker's settings, every value checked. Asking for a name not in the table, or as
    another type, is the programmer's mistake: KeyError, TypeError."""

    static: Mapping[str, str]
    """What was given, as text by the broker's names: the static layer of `effective`."""
    origins: Mapping[str, Origin]
    """Where each of `static` was written."""
    values: Mapping[str, ConfigValue]
    """Every setting's value in force at the start, defaults included."""

    def integer(self, name: str) -> int:
        """A number."""
        value = self.values[name]
        if type(value) is not int:
            raise TypeError(f"{name} is not a number: {value!r}")
        return value

    def switch(self, name: str) -> bool:
        """A boolean."""
        value = self.values[name]
        if type(value) is not bool:
            raise TypeError(f"{name} is not a boolean: {value!r}")
        return value

    def text(self, name: str) -> str:
        """Text that is set."""
        value = self.values[name]
        if type(value) is not str:
            raise TypeError(f"{name} is not text: {value!r}")
        return value

    def optional_text(self, name: str) -> str | None:
        """Text, or None when it is not set."""
        return None if self.values[name] is None else self.text(name)

    @property
    def listeners(self) -> tuple[Endpoint, ...]:
        """Where clients are accepted, in the order given."""
        return self._endpoints("listeners")

    @property
    def advertised_listeners(self) -> tuple[Endpoint, ...]:
        """What clients are told, in the order of `listeners`. A port 0 there means the port
        that the listener got when it was bound."""
        given = {e.name: e for e in self._endpoints("advertised.listeners")}
        return tuple([given.get(e.name, e) for e in self.listeners])

    @property
    def security_protocols(self) -> dict[str, str]:
        """Security protocol by listener name."""
        pairs = self.values["listener.security.protocol.map"]
        return dict(str(pair).split(":") for pair in _items(pairs))

    @property
    def peer_listener(self) -> Endpoint:
        """Where peers are accepted."""
        return Endpoint("PEER", *parse_address(self.text("peer.listener")))

    @property
    def peer_advertised_listener(self) -> Endpoint:
        """What peers are told."""
        given = self.optional_text("peer.advertised.listener")
        return self.peer_listener if given is None else Endpoint("PEER", *parse_address(given))

    @property
    def admin_listener(self) -> Endpoint | None:
        """Where operators' HTTP requests are accepted; None: nowhere."""
        given = self.optional_text("admin.listener")
        return Endpoint("ADMIN", *parse_address(given)) if given else None

    @property
    def voters(self) -> tuple[Voter, ...]:
        """The founding quorum; empty when it is not given."""
        given = self.values["controller.quorum.voters"]
        return tuple([voter for voter in _items(given) if isinstance(voter, Voter)])

    def _endpoints(self, name: str) -> tuple[Endpoint, ...]:
        return tuple([e for e in _items(self.values[name]) if isinstance(e, Endpoint)])


def _items(value: ConfigValue) -> tuple[object, ...]:
    return value if isinstance(value, tuple) else ()


def load_settings(
    file_text: str | None = None,
    environment: Mapping[str, str] = MappingProxyType({}),
    flags: Mapping[str, str] = MappingProxyType({}),
    *,
    file_name: str = "the settings file",
    ignored_environment: tuple[str, ...] = (),
) -> BrokerSettings:
    """The settings of `file_text`, overridden by `environment` (variables that start with
    QUORATE_, except `ignored_environment`), overridden by `flags` (by setting name).

    Raises InvalidSettings with everything that is wrong.
    """
    problems: list[str] = []
    given: dict[str, _Given] = {}
    for layer in (
        _from_file(file_text or "", file_name, problems),
        _from_environment(environment, ignored_environment, problems),
        _from_flags(flags),
    ):
        given.update(_resolve(layer, problems))
    values = _parse(given, problems)
    if not problems:
        problems += inconsistencies(values)
    if problems:
        raise InvalidSettings(tuple(problems))
    return BrokerSettings(
        static=MappingProxyType({name: item.text for name, item in given.items()}),
        origins=MappingProxyType({name: item.origin for name, item in given.items()}),
        values=MappingProxyType(values),
    )


def environment_name(name: str) -> str:
    """The environment variable of a setting: `log.dirs` is QUORATE_LOG_DIRS."""
    return ENVIRONMENT_PREFIX + name.upper().replace(".", "_")


_BY_VARIABLE = {environment_name(name): name for name in (*BROKER_CONFIGS, *ALIASES)}


def _from_file(text: str, place: str, problems: list[str]) -> Iterator[tuple[str, _Given]]:
    yield from _flatten(_table(text, place), (), place, problems)


def _table(text: str, place: str) -> dict[str, object]:
    """The file's content. What cannot be read at all is the one problem to report."""
    if len(text) > FILE_CHARACTERS_MAX:
        raise InvalidSettings((f"{place}: larger than {FILE_CHARACTERS_MAX} characters",))
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        hint = ""
        if "overwrite" in str(error):
            hint = ' (write a name that begins another one in quotes: "max.connections" = 100)'
        raise InvalidSettings((f"{place}: {error}{hint}",)) from error
    except RecursionError as error:
        raise InvalidSettings((f"{place}: nested too deep",)) from error


def _flatten(
    table: Mapping[str, object], path: tuple[str, ...], place: str, problems: list[str]
) -> Iterator[tuple[str, _Given]]:
    for key, value in table.items():
        name = ".".join((*path, key))
        if isinstance(value, dict) and len(path) < _DEPTH_MAX:
            yield from _flatten(value, (*path, key), place, problems)
            continue
        text = _toml_text(value)
        if text is None:
            problems.append(
                f"{place}: {name} is neither text, a whole number, true/false nor a list of these"
            )
        else:
            yield name, _Given(Origin(place, name), text)


def _toml_text(value: object) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, str)):
        return str(value)
    if isinstance(value, list):
        parts = [_toml_text(item) for item in value if not isinstance(item, list)]
        texts = [part for part in parts if part is not None]
        return ",".join(texts) if len(texts) == len(value) else None
    return None


def _from_environment(
    environment: Mapping[str, str], ignored: tuple[str, ...], problems: list[str]
) -> Iterator[tuple[str, _Given]]:
    for variable, text in sorted(environment.items()):
        if not variable.startswith(ENVIRONMENT_PREFIX) or variable in ignored:
            continue
        name = _BY_VARIABLE.get(variable)
        if name is None:
            near = suggestion(_own_part(variable), map(_own_part, _BY_VARIABLE), ENVIRONMENT_PREFIX)
            problems.append(f"environment: {variable[:80]} is not a setting's variable.{near}")
        else:
            yield name, _Given(Origin("environment", variable), text)


def _own_part(variable: str) -> str:
    """Without what all variables have in common, which would make any two of them look alike."""
    return variable.removeprefix(ENVIRONMENT_PREFIX)


def _from_flags(flags: Mapping[str, str]) -> Iterator[tuple[str, _Given]]:
    for name, text in sorted(flags.items()):
        yield name, _Given(Origin("flag", name), text)


def _resolve(layer: Iterator[tuple[str, _Given]], problems: list[str]) -> dict[str, _Given]:
    """One layer by the broker's own names: aliases translated, doubles and strangers refused."""
    found: dict[str, _Given] = {}
    for written, item in layer:
        try:
            name, text = _canonical(written, item.text)
        except InvalidConfig as error:
            problems.append(f"{item.origin.place}: {error.message}")
            continue
        if name in found:
            problems.append(f"{item.origin}: {name} is already given by {found[name].origin.key}")
        found[name] = _Given(item.origin, text)
    return found


def _canonical(written: str, text: str) -> tuple[str, str]:
    if written not in ALIASES:
        return broker_definition(written).broker_name, text
    definition, alias = ALIASES[written]
    if alias.factor == 1:
        return definition.broker_name, text
    value = definition.parse(text, written)
    if isinstance(value, int) and value > 0:  # -1 means no limit in every unit
        text = str(value * alias.factor)
    return definition.broker_name, text


def _parse(given: Mapping[str, _Given], problems: list[str]) -> dict[str, ConfigValue]:
    values: dict[str, ConfigValue] = {}
    for name, definition in BROKER_CONFIGS.items():
        item = given.get(name)
        if item is None:
            values[name] = definition.default_value()
            if definition.required:
                problems.append(
                    f"{name} is not set: {definition.documentation} Set it in the file, as "
                    f"{environment_name(name)}, or as a flag."
                )
            continue
        try:
            values[name] = definition.parse(item.text, name)
        except InvalidConfig as error:
            problems.append(f"{item.origin.place}: {error.message}")
    return values
