"""One finding of a dump, and its forms for people and for programs."""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Mapping
from enum import Enum
from typing import Any, NamedTuple

TEXT_MAX = 200
"""Characters of one value in a table; JSON has all of it."""


class Line(NamedTuple):
    """What was found at one place."""

    file: str
    at: int | None
    """Byte in the file; None: it is of the whole file."""
    what: str
    facts: Mapping[str, Any]
    damage: str | None = None
    """What is wrong with it; None when it is as it was written."""

    def json(self) -> str:
        """One JSON object."""
        found = {"file": self.file, "at": self.at, "what": self.what, **self.facts}
        return json.dumps({**found, "damage": self.damage}, ensure_ascii=False)

    def text(self) -> str:
        """One line, below its file's."""
        facts = " ".join(f"{key}={_shown(value)}" for key, value in self.facts.items())
        place = "" if self.at is None else str(self.at)
        said = f"{place:>10}  {self.what:<10}  {facts}".rstrip()
        return said if self.damage is None else f"{said}  DAMAGED: {self.damage}"


def plain(value: Any) -> Any:
    """Any value of ours in JSON's types: bytes in hexadecimal, records by their fields."""
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, bytes):
        return value.hex()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {each.name: plain(getattr(value, each.name)) for each in dataclasses.fields(value)}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {key: plain(each) for key, each in value._asdict().items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return value


def content(data: bytes | None) -> Any:
    """Somebody's bytes: text when they are UTF-8, else {"base64": ...}; as `quorate consume`."""
    if data is None:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, str):
        text = value if value.isprintable() and " " not in value and value else json.dumps(value)
    elif isinstance(value, dict | list):
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    else:
        text = str(value)
    return text if len(text) <= TEXT_MAX else f"{text[:TEXT_MAX]}..."
