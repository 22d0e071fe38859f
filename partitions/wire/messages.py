"""One class per struct, for all versions of its API.

Fields that a version lacks hold their default after decoding and are left out when encoding.
Absent tagged structs are None: a default object would be shared and could be changed by
accident.
"""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace
from typing import Any

from partitions.wire.schema import Field, Schema


class Message:
    """Base of all structs: keyword construction, comparison field by field, a short repr."""

    __slots__: tuple[str, ...] = ()

    def __init__(self, **values: Any) -> None:
        raise TypeError(f"{type(self).__name__} is made from a schema only")

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(
            _plain(getattr(self, name)) == _plain(getattr(other, name)) for name in self.__slots__
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__slots__)
        return f"{type(self).__name__}({values})"


def _plain(value: object) -> object:
    """A tuple of messages equals a list of them: the default of arrays is ()."""
    return list(value) if isinstance(value, tuple) else value


@cache
def message_classes(schema_name: str) -> SimpleNamespace:
    """The classes of one schema, by struct name."""
    from partitions.wire.schema import load_schema

    return build_classes(load_schema(schema_name))


def build_classes(schema: Schema) -> SimpleNamespace:
    """Make a class for each struct of `schema`."""
    return SimpleNamespace(
        **{name: _message_class(name, fields) for name, fields in schema.structs.items()}
    )


def _message_class(name: str, fields: tuple[Field, ...]) -> type[Message]:
    """A slotted class whose `__init__` is compiled: one assignment per field, no loop."""
    names = [field.name for field in fields]
    defaults = {f"_{field.name}": field.default for field in fields}
    parameters = ", ".join(f"{n}=_{n}" for n in names)
    body = "".join(f"    self.{n} = {n}\n" for n in names) or "    pass\n"
    star = "*, " if names else ""
    source = f"def __init__(self, {star}{parameters}):\n{body}"
    scope: dict[str, Any] = dict(defaults)
    exec(compile(source, f"<{name}.__init__>", "exec"), scope)
    members = {
        "__slots__": tuple(names),
        "__init__": scope["__init__"],
        "__module__": __name__,
        "__doc__": None,
    }
    return type(name, (Message,), members)
