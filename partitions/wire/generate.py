"""Writes the schema data files from kio's schema classes: `python -m partitions.wire.generate`.

kio is needed here and in tests only; a broker never imports it. kio has one class per struct
and version; what differs between versions is folded into version ranges, so that the files
hold every struct once. A test holds the files equal to a fresh generation.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from types import UnionType
from typing import Any, NamedTuple, get_args, get_origin

from partitions.wire.schema import implicit_default

_WIRE_TYPES = {
    "error_code": "int16",
    "timedelta_i32": "int32",
    "timedelta_i64": "int64",
    "datetime_i64": "int64",
}
_NEVER_NULL = ("int64", "uuid")
"""kio shows -1 timestamps and zero uuids as None; on the wire they are ordinary values."""

Row = dict[str, Any]
Structs = dict[str, dict[str, Row]]


class _Kind(NamedTuple):
    wire_type: str
    nullable: bool
    nested: type | None


def entity(name: str, version: int, side: str) -> Any:
    """kio's class for a schema; `side` is request, response, header or data."""
    from kio.schema.index import schema_name_map

    sides = {kind.name: path for kind, path in schema_name_map[name][version].items()}
    module, _, cls = sides[side].partition(":")
    return getattr(importlib.import_module(module), cls)


def generate() -> dict[str, str]:
    """The text of every data file by name (without `.json`)."""
    from kio.schema.index import api_key_map, schema_name_map

    files, index = {}, []
    for key, name in sorted(api_key_map.items()):
        schema = _api(key, name, sorted(schema_name_map[name]))
        files[name] = _render(schema)
        index.append([name, key, schema["first"], schema["last"], schema["flexible"]])
    for name in sorted(set(schema_name_map) - set(api_key_map.values())):
        if not name.endswith("_header"):
            files[name] = _render(_data(name, sorted(schema_name_map[name])))
    rows = ",\n".join(json.dumps(row) for row in index)
    files["index"] = f'{{"apis": [\n{rows}\n]}}\n'
    return files


def _api(key: int, name: str, versions: list[int]) -> Row:
    sides: dict[str, Structs] = {"request": {}, "response": {}}
    for version in versions:
        for side, structs in sides.items():
            _merge(structs, entity(name, version, side), version)
    renames = _conflicts(sides["request"], sides["response"])
    structs = {}
    for side, found in sides.items():
        prefix = {struct: f"{side.capitalize()}{struct}" for struct in renames}
        structs.update(_renamed(found, prefix))
    return {
        "key": key,
        "name": name,
        "first": versions[0],
        "last": versions[-1],
        "flexible": _flexible(entity(name, v, "request") for v in versions),
        "request": entity(name, versions[-1], "request").__name__,
        "response": entity(name, versions[-1], "response").__name__,
        "structs": structs,
    }


def _data(name: str, versions: list[int]) -> Row:
    structs: Structs = {}
    for version in versions:
        _merge(structs, entity(name, version, "data"), version)
    return {
        "key": -1,
        "name": name,
        "first": versions[0],
        "last": versions[-1],
        "flexible": _flexible(entity(name, v, "data") for v in versions),
        "request": entity(name, versions[-1], "data").__name__,
        "response": "",
        "structs": structs,
    }


def _flexible(entities: Iterable[Any]) -> int:
    """First flexible version, or one past the last; also checks the header rule."""
    flags = [(e.__version__, e.__flexible__) for e in entities]
    first = min((int(v) for v, flexible in flags if flexible), default=int(flags[-1][0]) + 1)
    assert all(flexible == (v >= first) for v, flexible in flags)
    return first


def _merge(structs: Structs, cls: Any, version: int) -> None:
    """Fold one version of a struct, and what it nests, into `structs`."""
    rows = structs.setdefault(cls.__name__, {})
    position = 0
    for field in dataclasses.fields(cls):
        kind = _kind(field)
        if kind.nested is not None:
            _merge(structs, kind.nested, version)
        position = _merge_field(rows, _row(field, kind, version), position)


def _merge_field(rows: dict[str, Row], new: Row, position: int) -> int:
    """Fold a field in; one that is new goes to `position`. Returns the place after it."""
    old = rows.get(new["name"])
    if old is None:
        items = list(rows.items())
        rows.clear()
        rows.update([*items[:position], (new["name"], new), *items[position:]])
        return position + 1
    assert all(old.get(k) == new.get(k) for k in ("type", "tag", "default")), (old, new)
    version = new["versions"][0]
    assert old["versions"][1] in (version - 1, version), f"gap before {version}: {old}"
    old["versions"][1] = version
    if "nullable" in new:
        nullable = old.setdefault("nullable", [version, version])
        assert nullable[1] in (version - 1, version), f"null gap before {version}: {old}"
        nullable[1] = version
    place = list(rows).index(new["name"])
    assert place >= position, f"order of fields changed: {old}"
    return place + 1


def _row(field: dataclasses.Field[Any], kind: _Kind, version: int) -> Row:
    row: Row = {"name": field.name, "type": kind.wire_type, "versions": [version, version]}
    if kind.nullable:
        row["nullable"] = [version, version]
    if "tag" in field.metadata:
        row["tag"] = field.metadata["tag"]
    default = _default(field, kind)
    if default != implicit_default(kind.wire_type):
        row["default"] = default
    return row


def _kind(field: dataclasses.Field[Any]) -> _Kind:
    declared, null = _without_none(field.type)
    prefix = ""
    if get_origin(declared) is tuple:
        prefix = "[]"
        declared, _ = _without_none(get_args(declared)[0])
    if dataclasses.is_dataclass(declared):
        assert isinstance(declared, type)
        return _Kind(prefix + declared.__name__, null, declared)
    raw = field.metadata["kafka_type"]
    wire = _WIRE_TYPES.get(raw, raw)
    return _Kind(prefix + wire, null and prefix + wire not in _NEVER_NULL, None)


def _without_none(declared: Any) -> tuple[Any, bool]:
    if get_origin(declared) is not UnionType:
        return declared, False
    inner = [arg for arg in get_args(declared) if arg is not type(None)]
    assert len(inner) == 1, declared
    return inner[0], True


def _default(field: dataclasses.Field[Any], kind: _Kind) -> Any:
    """The JSON form of kio's default; the type's implicit one when there is none."""
    value = field.default
    if value is dataclasses.MISSING or (kind.nested is not None and value is not None):
        assert value is dataclasses.MISSING or value == () or not kind.wire_type.startswith("[]")
        return implicit_default(kind.wire_type)
    if value is None and not kind.nullable:
        return -1 if kind.wire_type == "int64" else implicit_default(kind.wire_type)
    if isinstance(value, timedelta):
        return round(value.total_seconds() * 1000)
    assert value is None or value == () or isinstance(value, int | float | str), value
    return value if value is None or isinstance(value, bool | tuple) else _plain(value)


def _plain(value: Any) -> int | float | str:
    for base in (int, float, str):
        if isinstance(value, base):
            return base(value)
    raise AssertionError(value)


def _conflicts(request: Structs, response: Structs) -> list[str]:
    """Names that mean different structs in request and response, nested ones considered."""
    found: list[str] = []
    common = [name for name in request if name in response]
    while True:
        more = [
            name
            for name in common
            if name not in found
            and (request[name] != response[name] or _mentions(request[name], found))
        ]
        if not more:
            return found
        found += more


def _mentions(rows: Mapping[str, Row], names: list[str]) -> bool:
    return any(row["type"].removeprefix("[]") in names for row in rows.values())


def _renamed(structs: Structs, renames: Mapping[str, str]) -> Structs:
    out: Structs = {}
    for struct, rows in structs.items():
        out[renames.get(struct, struct)] = {
            name: {**row, "type": _renamed_type(row["type"], renames)} for name, row in rows.items()
        }
    return out


def _renamed_type(kind: str, renames: Mapping[str, str]) -> str:
    element = kind.removeprefix("[]")
    return kind.removesuffix(element) + renames.get(element, element)


def _render(schema: Row) -> str:
    """JSON with one field per line, so that a change of schema reads well as a diff."""
    head = ", ".join(f'"{k}": {json.dumps(v)}' for k, v in schema.items() if k != "structs")
    structs = []
    for name, rows in schema["structs"].items():
        fields = ",\n  ".join(json.dumps(row, separators=(",", ":")) for row in rows.values())
        structs.append(f'"{name}": [\n  {fields}]')
    return f'{{{head},\n"structs": {{\n' + ",\n".join(structs) + "\n}}\n"


def write(directory: Path) -> None:
    """Replace the data files in `directory`."""
    files = generate()
    for stale in directory.glob("*.json"):
        if stale.stem not in files:
            stale.unlink()
    for name, text in files.items():
        (directory / f"{name}.json").write_text(text)


if __name__ == "__main__":
    write(Path(__file__).parent / "schemas")
