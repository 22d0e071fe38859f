"""The schemas as values, read from the data files beside this module.

There is one file per API (and per data schema that travels inside others' bytes fields). It
holds every struct merged over all versions; each field says in which versions it exists. The
files are written by `partitions.wire.generate` and are trusted, unlike the bytes they describe.
"""

from __future__ import annotations

import json
import pkgutil
import struct
from functools import cache
from typing import NamedTuple

FIXED = {
    "bool": "?",
    "int8": "b",
    "int16": "h",
    "uint16": "H",
    "int32": "i",
    "int64": "q",
    "float64": "d",
    "uuid": "16s",
}
"""Types of fixed size and their `struct` codes (big-endian)."""

LENGTH_CODE = {"string": "h", "bytes": "i", "records": "i"}
"""Types with a length before them and that length's `struct` code in inflexible versions."""

_IMPLICIT: dict[str, object] = {
    "bool": False,
    "float64": 0.0,
    "uuid": bytes(16),
    "string": "",
    "bytes": b"",
    "records": None,
}


class Field(NamedTuple):
    """One field of a struct, over all versions."""

    name: str
    type: str
    """A primitive's name, a struct's name, or either with `[]` before it."""
    first: int
    last: int
    nullable: tuple[int, int] | None
    """First and last version in which null is a legal value."""
    tag: int | None
    """Tag number (KIP-482); None: an ordinary field."""
    default: object

    @property
    def is_array(self) -> bool:
        """True when `type` begins with `[]`."""
        return self.type.startswith("[]")

    @property
    def element(self) -> str:
        """The type without `[]`."""
        return self.type.removeprefix("[]")

    def nullable_in(self, version: int) -> bool:
        """May the value be null in `version`?"""
        return self.nullable is not None and self.nullable[0] <= version <= self.nullable[1]


class Schema(NamedTuple):
    """An API's request and response (or one data schema, whose `key` is -1)."""

    key: int
    name: str
    first: int
    last: int
    flexible: int
    """First flexible version (KIP-482); above `last` when there is none."""
    request: str
    """Name of the request's struct; of the only struct for a data schema."""
    response: str
    structs: dict[str, tuple[Field, ...]]

    def fields(self, struct: str, version: int) -> list[Field]:
        """The struct's fields in `version`: ordinary ones in wire order, then by tag."""
        present = [f for f in self.structs[struct] if f.first <= version <= f.last]
        return sorted(present, key=lambda f: -1 if f.tag is None else f.tag)

    def least_bytes(self, kind: str, version: int) -> int:
        """The fewest bytes a value of type `kind` can take; at least one."""
        flexible = version >= self.flexible
        if kind in FIXED:
            return struct.calcsize(">" + FIXED[kind])
        if kind.startswith("[]"):
            return 1 if flexible else 4
        if kind in LENGTH_CODE:
            return 1 if flexible else struct.calcsize(">" + LENGTH_CODE[kind])
        total = 1 if flexible else 0
        for f in self.fields(kind, version):
            if f.tag is None:
                bare = f.type in self.structs and f.nullable_in(version)
                total += 1 if bare else self.least_bytes(f.type, version)
        return max(total, 1)


class ApiRange(NamedTuple):
    """What the index knows of an API without reading its schema."""

    name: str
    first: int
    last: int
    flexible: int


def implicit_default(kind: str) -> object:
    """The default of a field that names none (Kafka's message format, "default values")."""
    if kind.startswith("[]"):
        return ()
    if kind in _IMPLICIT:
        return _IMPLICIT[kind]
    return 0 if kind in FIXED else None


def _read(name: str) -> dict[str, object]:
    data = pkgutil.get_data(__package__, f"schemas/{name}.json")
    if data is None:
        raise FileNotFoundError(f"partitions/wire/schemas/{name}.json is missing: reinstall")
    loaded: dict[str, object] = json.loads(data)
    return loaded


def load_index() -> dict[int, ApiRange]:
    """Every API by key, ascending."""
    rows = _read("index")["apis"]
    assert isinstance(rows, list)
    return {key: ApiRange(name, first, last, flexible) for name, key, first, last, flexible in rows}


@cache
def load_schema(name: str) -> Schema:
    """Read one schema by its snake_case name, for example `list_offsets`. Cached."""
    raw = _read(name)
    structs = raw.pop("structs")
    assert isinstance(structs, dict)
    fields = {struct: tuple(_field(row) for row in rows) for struct, rows in structs.items()}
    return Schema(structs=fields, **raw)  # type: ignore[arg-type]


def _field(row: dict[str, object]) -> Field:
    kind, versions, null = row["type"], row["versions"], row.get("nullable")
    assert isinstance(kind, str)
    assert isinstance(versions, list)
    nullable = (null[0], null[1]) if isinstance(null, list) else None
    default = row["default"] if "default" in row else implicit_default(kind)
    tag = row.get("tag")
    assert tag is None or isinstance(tag, int)
    return Field(str(row["name"]), kind, versions[0], versions[1], nullable, tag, default)
