"""kio as the oracle: random instances of its classes, its bytes, and our messages for them."""

from __future__ import annotations

import dataclasses
import io
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from types import SimpleNamespace
from typing import Any

from kio.schema.errors import ErrorCode
from kio.schema.index import api_key_map, schema_name_map
from kio.serial import entity_writer
from kio.static.primitive import i16, i32

from partitions import wire
from partitions.wire.generate import entity
from partitions.wire.schema import Schema, load_schema

_BITS = {"int8": 8, "int16": 16, "int32": 32, "int64": 64}
_ERRORS = list(ErrorCode)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TEXTS = ("", "a", "topic-7", "größe ☃", "x" * 126, "y" * 127, "z" * 300)


def payloads() -> Iterator[tuple[int, str, int, str, Any]]:
    """(key, name, version, side, kio class) of every request and response."""
    for key, name in sorted(api_key_map.items()):
        for version in sorted(schema_name_map[name]):
            for side in ("request", "response"):
                yield key, name, version, side, entity(name, version, side)


def data_payloads() -> Iterator[tuple[str, int, Any]]:
    """(name, version, kio class) of every data schema."""
    for name in sorted(set(schema_name_map) - set(api_key_map.values())):
        if not name.endswith("_header"):
            for version in sorted(schema_name_map[name]):
                yield name, version, entity(name, version, "data")


def random_instance(cls: Any, random: Random) -> Any:
    """A random kio object; about a third of the fields that have a default keep it."""
    values = {}
    for field in dataclasses.fields(cls):
        if field.default is not dataclasses.MISSING and random.random() < 0.35:
            continue
        values[field.name] = _random_field(field, random)
    return cls(**values)


def _random_field(field: dataclasses.Field[Any], random: Random) -> Any:
    from partitions.wire.generate import _kind

    kind = _kind(field)
    if kind.nullable and "tag" not in field.metadata and random.random() < 0.3:
        return None
    if not kind.wire_type.startswith("[]"):
        return _random_value(field, kind.nested, random)
    size = random.choice((0, 1, 2, 3, 17))
    if kind.nested is None and random.random() < 0.05:
        size = 130
    elif kind.nested is not None:
        size = min(size, 2)
    return tuple(_random_value(field, kind.nested, random) for _ in range(size))


def _random_value(field: dataclasses.Field[Any], nested: Any, random: Random) -> Any:
    if nested is not None:
        return random_instance(nested, random)
    return _random_primitive(field.metadata["kafka_type"], random)


def _random_primitive(kind: str, random: Random) -> Any:
    if kind in _BITS:
        half = 1 << (_BITS[kind] - 1)
        return random.choice((0, -1, 1, -half, half - 1, random.randrange(-half, half)))
    if kind == "uint16":
        return random.randrange(1 << 16)
    if kind == "bool":
        return random.random() < 0.5
    if kind == "float64":
        return random.choice((0.0, -1.5, random.random()))
    if kind == "string":
        return random.choice(_TEXTS)
    if kind in ("bytes", "records"):
        return random.randbytes(random.choice((0, 1, 126, 127, 128, 5000)))
    if kind == "uuid":
        return uuid.UUID(bytes=random.randbytes(16))
    if kind == "error_code":
        return random.choice(_ERRORS)
    if kind.startswith("timedelta"):
        return timedelta(milliseconds=random.randrange(1 << 31))
    assert kind == "datetime_i64", kind
    return _EPOCH + timedelta(milliseconds=random.randrange(1 << 40))


def kio_frame(
    key: int, version: int, side: str, value: Any, correlation: int, client_id: str | None
) -> bytes:
    """kio's encoding of a whole frame with size prefix."""
    header_cls = value.__header_schema__
    if side == "request":
        header = header_cls(
            request_api_key=i16(key),
            request_api_version=i16(version),
            correlation_id=i32(correlation),
            client_id=client_id,
        )
    else:
        header = header_cls(correlation_id=i32(correlation))
    body = kio_bytes(header) + kio_bytes(value)
    return len(body).to_bytes(4, "big") + body


def kio_bytes(value: Any) -> bytes:
    """kio's encoding of one entity."""
    out = io.BytesIO()
    entity_writer(type(value))(out, value)
    return out.getvalue()


def to_message(value: Any, name: str, side: str) -> Any:
    """Our message for a kio object. A default tagged struct becomes None, as decoded."""
    schema = load_schema(name)
    classes = wire.data_messages(name) if side == "data" else wire.messages(schema.key)
    top = schema.response if side == "response" else schema.request
    return _message(value, schema, classes, top)


def _message(value: Any, schema: Schema, classes: SimpleNamespace, struct: str) -> Any:
    fields = {field.name: field for field in schema.structs[struct]}
    out = {}
    for kio_field in dataclasses.fields(value):
        field = fields[kio_field.name]
        raw = getattr(value, field.name)
        if field.element in schema.structs:
            out[field.name] = _nested(raw, field, schema, classes)
        elif isinstance(raw, tuple):
            out[field.name] = [_plain(item, field.element) for item in raw]
        else:
            out[field.name] = _plain(raw, field.type)
    return getattr(classes, struct)(**out)


def _nested(raw: Any, field: Any, schema: Schema, classes: SimpleNamespace) -> Any:
    if raw is None:
        return None
    if isinstance(raw, tuple):
        return [_message(item, schema, classes, field.element) for item in raw]
    if field.tag is not None and raw == _all_defaults(type(raw)):
        return None
    return _message(raw, schema, classes, field.element)


def _all_defaults(cls: Any) -> Any:
    from kio.serial._implicit_defaults import get_tagged_field_default

    return cls(**{f.name: get_tagged_field_default(f) for f in dataclasses.fields(cls)})


def _plain(value: Any, kind: str) -> Any:
    if value is None and kind == "uuid":
        return bytes(16)
    if value is None and kind == "int64":
        return -1
    if isinstance(value, timedelta):
        return round(value / timedelta(milliseconds=1))
    if isinstance(value, datetime):
        return round((value - _EPOCH) / timedelta(milliseconds=1))
    return value.bytes if isinstance(value, uuid.UUID) else value
