"""CBOR from other nodes, as far as it is plain data: the shape is checked before it is built.

Allowed are whole numbers of 64 bits, text, byte strings, booleans, null, lists and maps with
text keys. Tags (so bignums too), floats, other simple values and indefinite lengths are
refused, as are lengths beyond the end, more than `items_max` values, and nesting deeper than
`depth_max`. Nothing is allocated for what is refused, so a frame costs memory in proportion
to its bytes and its allowed items only.
"""

from __future__ import annotations

from typing import Any, Final

import cbor2

_UNSIGNED, _NEGATIVE, _BYTES, _TEXT, _LIST, _MAP, _TAG = range(7)
_SIMPLE: Final = frozenset([0xF4, 0xF5, 0xF6])
"""The heads of false, true and null."""
_INT64_MAX = 2**63 - 1


class NotPlain(ValueError):
    """The bytes are not one value of plain data within the bounds; the text says why."""


def decode_plain(data: bytes, *, items_max: int, depth_max: int) -> Any:
    """The one value that `data` encodes; NotPlain for anything else."""
    _scan(data, items_max, depth_max)
    try:
        return cbor2.loads(data, allow_duplicate_keys=False, allow_indefinite=False)
    except (cbor2.CBORError, ValueError) as error:
        raise NotPlain(f"malformed: {error}") from error


def _scan(data: bytes, items_max: int, depth_max: int) -> None:
    """Walk the heads of all values; see the module for what is refused."""
    at, end, items = 0, len(data), 0
    missing, in_map = 1, False  # of the innermost container: values to come, keys included
    outer: list[tuple[int, bool]] = []
    while True:
        while not missing:
            if not outer:
                if at != end:
                    raise NotPlain(f"{end - at} bytes follow the value")
                return
            missing, in_map = outer.pop()
        if at >= end:
            raise NotPlain("the bytes end inside a value")
        items += 1
        if items > items_max:
            raise NotPlain(f"more than {items_max} values")
        kind = data[at] >> 5
        if in_map and not missing & 1 and kind != _TEXT:
            raise NotPlain("a map has a key that is not text")
        missing -= 1
        if kind > _TAG:
            if data[at] not in _SIMPLE:
                raise NotPlain("floats and simple values are not allowed here")
            at += 1
            continue
        argument, at = _argument(data, at)
        if kind in (_BYTES, _TEXT):
            if argument > end - at:
                raise NotPlain(f"a string of {argument} bytes where {end - at} are left")
            at += argument
        elif kind in (_LIST, _MAP):
            if argument > end - at:
                raise NotPlain(f"{argument} items where {end - at} bytes are left")
            outer.append((missing, in_map))
            if len(outer) > depth_max:
                raise NotPlain(f"nested deeper than {depth_max}")
            missing, in_map = (2 * argument, True) if kind == _MAP else (argument, False)
        elif kind == _TAG:
            raise NotPlain("tags are not allowed here")
        elif argument > _INT64_MAX:
            raise NotPlain("a number needs more than 64 bits")


def _argument(data: bytes, at: int) -> tuple[int, int]:
    """(the head's argument, position after the head)."""
    info = data[at] & 31
    if info < 24:
        return info, at + 1
    if info > 27:
        raise NotPlain("indefinite and reserved lengths are not allowed here")
    after = at + 1 + (1 << (info - 24))
    if after > len(data):
        raise NotPlain("the bytes end inside a value")
    return int.from_bytes(data[at + 1 : after], "big"), after
