"""Kinds of fields that a record can have, each with its bounds.

A kind packs a Python value to what CBOR holds (int, str, bytes, bool, None, list) and unpacks
what a decoder returned, checking type and bounds of everything. `where` names the field in
errors. Packing checks the same bounds: what this broker writes, every broker can read.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from metadata.errors import RecordError

_SHOWN = 80
_SURROGATE = re.compile("[\ud800-\udfff]")
"""Code points that Python's str can hold and UTF-8 cannot."""


def shown(value: object) -> str:
    """`value` for an error message, cut to a line's length."""
    text = repr(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."


class Kind(Protocol):
    """How one field is packed and unpacked."""

    def pack(self, value: Any, where: str) -> object:
        """`value` as CBOR holds it; RecordError when it is out of bounds."""

    def unpack(self, raw: object, where: str) -> Any:
        """The field's value; RecordError when `raw` is of another type or out of bounds."""


@dataclass(frozen=True, slots=True)
class Int:
    """A whole number, both bounds included."""

    low: int
    high: int

    def pack(self, value: int, where: str) -> int:
        """See Kind."""
        return self.unpack(value, where)

    def unpack(self, raw: object, where: str) -> int:
        """See Kind."""
        if type(raw) is not int or not self.low <= raw <= self.high:
            raise RecordError(
                f"{where}: {shown(raw)} is not a whole number from {self.low} to {self.high}"
            )
        return raw


@dataclass(frozen=True, slots=True)
class Text:
    """Text of `low` to `high` characters."""

    high: int
    low: int = 0

    def pack(self, value: str, where: str) -> str:
        """See Kind."""
        return self.unpack(value, where)

    def unpack(self, raw: object, where: str) -> str:
        """See Kind."""
        if type(raw) is not str or not self.low <= len(raw) <= self.high:
            raise RecordError(
                f"{where}: {shown(raw)} is not text of {self.low} to {self.high} characters"
            )
        if _SURROGATE.search(raw):
            raise RecordError(f"{where}: {shown(raw)} has half a surrogate pair")
        return raw


@dataclass(frozen=True, slots=True)
class Id:
    """Exactly `size` bytes."""

    size: int

    def pack(self, value: bytes, where: str) -> bytes:
        """See Kind."""
        return self.unpack(value, where)

    def unpack(self, raw: object, where: str) -> bytes:
        """See Kind."""
        if type(raw) is not bytes or len(raw) != self.size:
            raise RecordError(f"{where}: {shown(raw)} is not {self.size} bytes")
        return raw


@dataclass(frozen=True, slots=True)
class Maybe:
    """A field that can be None."""

    kind: Kind

    def pack(self, value: Any, where: str) -> object:
        """See Kind."""
        return None if value is None else self.kind.pack(value, where)

    def unpack(self, raw: object, where: str) -> Any:
        """See Kind."""
        return None if raw is None else self.kind.unpack(raw, where)


@dataclass(frozen=True, slots=True)
class Items:
    """A tuple of at most `high` items of one kind."""

    kind: Kind
    high: int

    def pack(self, value: tuple[Any, ...], where: str) -> list[object]:
        """See Kind."""
        if not isinstance(value, tuple):
            raise RecordError(f"{where}: {shown(value)} is not a tuple")
        self._bound(len(value), where)
        return [self.kind.pack(item, f"{where}[{at}]") for at, item in enumerate(value)]

    def unpack(self, raw: object, where: str) -> tuple[Any, ...]:
        """See Kind."""
        if type(raw) is not list:
            raise RecordError(f"{where}: {shown(raw)} is not a list")
        self._bound(len(raw), where)
        return tuple([self.kind.unpack(item, f"{where}[{at}]") for at, item in enumerate(raw)])

    def _bound(self, length: int, where: str) -> None:
        if length > self.high:
            raise RecordError(f"{where}: {length} items, at most {self.high} are allowed")


@dataclass(frozen=True, slots=True)
class Struct:
    """A fixed list of named fields; `make` builds the value from them in order."""

    make: Callable[..., Any]
    fields: tuple[tuple[str, Kind], ...]

    def pack(self, value: Any, where: str) -> list[object]:
        """See Kind."""
        return [kind.pack(getattr(value, name), f"{where}.{name}") for name, kind in self.fields]

    def unpack(self, raw: object, where: str) -> Any:
        """See Kind."""
        if type(raw) is not list or len(raw) != len(self.fields):
            raise RecordError(f"{where}: {shown(raw)} is not a list of {len(self.fields)} fields")
        return self.make(
            *[
                kind.unpack(item, f"{where}.{name}")
                for item, (name, kind) in zip(raw, self.fields, strict=True)
            ]
        )
