"""Request bodies made from the schemas, for tests that try every API and version."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

from partitions import wire
from partitions.wire.schema import Field, Schema, load_index, load_schema

Path = tuple[str, ...]
Value = Callable[[Field, str], Any]
"""(field, primitive type) -> a value of it."""
Count = Callable[[Path], int]
"""Path of an array in the body -> how many elements it shall have."""


def schema_of(key: int) -> Schema:
    """The schema of an API."""
    return load_schema(load_index()[key].name)


def request_body(key: int, version: int, value: Value, count: Count) -> Any:
    """A request of the API with these values in every field that the version has; no tagged ones.

    The elements of one array are the same object.
    """
    schema = schema_of(key)
    return _struct(schema, wire.messages(key), schema.request, version, value, count, ())


def _struct(
    schema: Schema,
    classes: SimpleNamespace,
    name: str,
    version: int,
    value: Value,
    count: Count,
    path: Path,
) -> Any:
    values = {}
    for field in schema.fields(name, version):
        if field.tag is not None:
            continue
        here = (*path, field.name)
        if field.element in schema.structs:
            made = _struct(schema, classes, field.element, version, value, count, here)
        else:
            made = value(field, field.element)
        values[field.name] = [made] * count(here) if field.is_array else made
    return getattr(classes, name)(**values)


def arrays(key: int, version: int) -> Iterator[Path]:
    """Every array in requests of the API."""
    schema = schema_of(key)
    yield from _arrays(schema, schema.request, version, ())


def _arrays(schema: Schema, name: str, version: int, path: Path) -> Iterator[Path]:
    for field in schema.fields(name, version):
        here = (*path, field.name)
        if field.is_array:
            yield here
        if field.element in schema.structs:
            yield from _arrays(schema, field.element, version, here)
