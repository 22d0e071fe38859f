"""Which error codes a response tells its client, wherever in it they lie.

The way to them is compiled once per API from its schema, so that an ordinary response is
walked as fast as its structs can be visited: once per partition of it, never per record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from partitions.wire.schema import Schema, load_index, load_schema

_FIELD = "error_code"
Find = Callable[[Any], list[int]]


@cache
def error_finder(api_key: int) -> Find:
    """What gives every code in a response of the API that is not 0, in the order of the fields."""
    schema = load_schema(load_index()[api_key].name)
    lines = ["def find(body):", "    found = []"]
    lines += _lines(schema, schema.response, "body", 1)
    lines.append("    return found")
    scope: dict[str, Find] = {}
    exec(compile("\n".join(lines), f"<errors of {schema.name}>", "exec"), scope)
    return scope["find"]


def _lines(schema: Schema, struct: str, name: str, depth: int) -> Iterator[str]:
    """Statements that look at `struct`, which variable `name` holds, and at what is in it."""
    indent = "    " * depth
    for field in schema.structs[struct]:
        place = f"{name}.{field.name}"
        if field.name == _FIELD:
            yield f"{indent}if {place}:"
            yield f"{indent}    found.append({place})"
        elif field.element in schema.structs:
            inner = f"v{depth}"
            below = list(_lines(schema, field.element, inner, depth + 1))
            if below and field.is_array:
                yield f"{indent}for {inner} in {place} or ():"
                yield from below
            elif below:
                yield f"{indent}{inner} = {place}"
                yield f"{indent}if {inner} is not None:"
                yield from below
