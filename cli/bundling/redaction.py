"""What must not leave the machine, hidden; pure."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

HIDDEN = "(redacted)"
PROBLEM_LINES_MAX = 1000

_WORDS = "pass|pwd|secret|token|credential|jaas"
"""`pass` is in password, passwd and passphrase, and in names that are no secrets: so be it."""
_SECRET = re.compile(rf"{_WORDS}|key", re.IGNORECASE)
_USER = re.compile(r"://[^\s\"']{1,200}@")
"""Up to the last one: a password may hold slashes, commas, and further ones."""
_PEM = re.compile(r"(-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----)[^-]*")
_SPOKEN = re.compile(
    rf"((?:{_WORDS}|authorization)[\w.\-]{{0,64}}\\{{0,4}}[\"']?"
    r"\s{0,4}[=:]\s{0,4})"
    r"((?:basic|bearer)\s\S+|\[[^\]\n]*\]?|\\{1,4}\"[^\"\n]*\"?"
    r"|b?\"(?:[^\"\\\n]|\\.)*\"?|b?'(?:[^'\\\n]|\\.)*'?|\S+)",
    re.IGNORECASE,
)
"""In a log. `key` alone is too common a word there. What is not quoted goes on to the next space: a
comma or a bracket may belong to the secret."""
_LINE = re.compile(r"\s*[\"']?([\w.\-]{1,100})[\"']?\s*=\s*(.{0,200})")


def is_secret(name: str) -> bool:
    """Does the setting's name say that its value is nobody else's business?"""
    return _SECRET.search(name) is not None


def value_of(name: str, value: Any) -> Any:
    """The value as it may be shown: hidden, or without the user and password of an address."""
    if is_secret(name) and value is not None:
        return HIDDEN
    if isinstance(value, Mapping):
        return {key: value_of(str(key), each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [value_of(name, each) for each in value]
    if isinstance(value, bool | int | float) or value is None:
        return value
    return _USER.sub(f"://{HIDDEN}@", str(value))


def log_text(text: str) -> str:
    """A log's lines, without what follows a word for a secret."""
    text = _PEM.sub(rf"\g<1>{HIDDEN}", text)
    return _USER.sub(f"://{HIDDEN}@", _SPOKEN.sub(rf"\g<1>{HIDDEN}", text))


def settings(text: str, known: Mapping[str, object]) -> dict[str, Any]:
    """What a TOML file sets, by dotted name: {"settings": ..., "problem": None or why not TOML}.

    Of a file that cannot be parsed nobody can tell where a secret ends: only the lines that begin
    with one of the `known` names are taken, and comments never are.
    """
    try:
        table = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        found = {name: value_of(name, value) for name, value in _lines(text) if name in known}
        return {"settings": found, "problem": f"not TOML: {error}"}
    shown = {name: value_of(name, value) for name, value in flat(table)}
    return {"settings": shown, "problem": None}


def flat(table: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted name, value) of every setting in a table and the tables in it."""
    for key, value in table.items():
        name = f"{above}.{key}" if above else str(key)
        if isinstance(value, Mapping):
            yield from flat(value, name)
        else:
            yield name, value


def _lines(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines()[:PROBLEM_LINES_MAX]:
        found = _LINE.match(line)
        if found is not None:
            yield found[1], found[2].strip()
