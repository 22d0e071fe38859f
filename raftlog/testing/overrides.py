"""Options on the command line: what a run has in common with its seed's draw is left out.

Every field of `Options` has an argument of its name; `--quality` and `--timing` take a list of
fields. `arguments` and `override` are inverse to each other.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict, fields, replace
from typing import Any

from raftlog.testing.network import LinkQuality
from raftlog.testing.options import ALL_FAULTS, SECOND_US, Options

_ELSEWHERE = ("seed", "fault_phase_us", "disk")
"""Arguments that there are anyway."""
NAMES = tuple(item.name for item in fields(Options) if item.name not in _ELSEWHERE)
NONE = "none"
"""An empty list of faults."""
PLAIN = "plain"
"""Before the fields of a quality or a timing: the others are not as drawn, but as by default."""


def count(text: str) -> int:
    """At least 1: a run of nothing would hold, and show nothing."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text}: at least 1")
    return number


def arguments(options: Options) -> list[str]:
    """What to give `python -m raftlog.testing` to have exactly these options."""
    seconds = f"{options.fault_phase_us / SECOND_US:.6f}".rstrip("0").rstrip(".")
    given = ["--seed", str(options.seed), "--seconds", seconds, "--disk", options.disk]
    drawn = Options.draw(options.seed, seconds=float(seconds), disk=options.disk)
    for name in NAMES:
        text = _text(getattr(drawn, name), getattr(options, name))
        if text:
            given += [_argument(name), text]
    return given


def add_to(parser: argparse.ArgumentParser) -> None:
    """Let `parser` take an argument for every option."""
    group = parser.add_argument_group("with --seed, instead of what the seed draws")
    for name in NAMES:
        told = f"of {', '.join(ALL_FAULTS)}; or {NONE}" if name == "faults" else None
        example = _example(getattr(Options(seed=0), name))
        group.add_argument(_argument(name), metavar=example, help=told)


def override(options: Options, given: argparse.Namespace) -> Options:
    """`options`, but for what was given; ValueError names what cannot be read."""
    changed: dict[str, Any] = {}
    for name in NAMES:
        text = getattr(given, name)
        if text is not None:
            try:
                changed[name] = _value(getattr(options, name), text)
            except ValueError as error:
                raise ValueError(f"{_argument(name)} {text}: {error}") from None
    return _checked(replace(options, **changed))


def _checked(options: Options) -> Options:
    """Itself, or ValueError when nothing could run with it."""
    known = ALL_FAULTS
    unknown = [fault for fault in options.faults if fault not in known]
    if unknown:
        raise ValueError(f"there is no fault {unknown[0]!r}; known are {', '.join(known)}")
    if options.nodes < 1 or options.clients < 1 or options.writes_per_s < 1:
        raise ValueError("nodes, clients and writes-per-s must be at least 1")
    options.timing.validated()
    return options


def overridden(given: argparse.Namespace) -> bool:
    """True when any option was given."""
    return any(getattr(given, name) is not None for name in NAMES)


def _argument(name: str) -> str:
    return "--" + name.replace("_", "-")


def _example(value: Any) -> str:
    if isinstance(value, str | int | float):
        return type(value).__name__.upper()
    return "NAME,..." if type(value) is tuple else "FIELD=NUMBER,..."


def _text(drawn: Any, value: Any) -> str:
    """How to say `value`; empty when it is what was drawn."""
    if drawn == value:
        return ""
    if type(value) is tuple:
        return ",".join(value) or NONE
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, int | float | str):
        return str(value)
    plain = _fields(type(value)())
    changed = ",".join(_differences(_fields(drawn), _fields(value)))
    unusual = ",".join([PLAIN, *_differences(plain, _fields(value))])
    return min([changed, unusual], key=len)


def _differences(drawn: dict[str, Any], value: dict[str, Any]) -> Iterator[str]:
    for name, number in value.items():
        if number != drawn[name]:
            yield f"{name}={_text(None, number)}"


def _fields(value: Any) -> dict[str, Any]:
    fields: dict[str, Any] = asdict(value) if isinstance(value, LinkQuality) else value._asdict()
    return fields


def _value(old: Any, text: str) -> Any:
    """What `text` says, of the type of `old`."""
    if isinstance(old, bool):
        return bool(int(text))
    if isinstance(old, int | float):
        return type(old)(text)
    if type(old) is tuple:
        return () if text == NONE else tuple(text.split(","))
    known, items = _fields(old), text.split(",")
    if items[0] == PLAIN:
        known = _fields(type(old)())
        del items[0]
    for item in items:
        name, _, number = item.partition("=")
        if name not in known:
            raise ValueError(f"{name!r} is none of {', '.join(known)}")
        known[name] = _value(known[name], number)
    return type(old)(**known)
