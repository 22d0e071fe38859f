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

_NEGATIVE, _TEXT, _MAP = 1, 3, 5
"""Major types; numbers come before strings, strings before containers, lists before maps."""
_SIMPLE: Final = frozenset([0xF4, 0xF5, 0xF6])
"""The heads of false, true and null."""
_INT64_MAX = 2**63 - 1


class NotPlain(ValueError):
    """The bytes are not one value of plain data within the bounds; the text says why."""


def decode_plain(data: bytes, *, items_max: int, depth_max: int) -> Any:
    """The one value that `data` encodes; NotPlain for anything else."""
    _Scan(data, items_max, depth_max).run()
    try:
        return cbor2.loads(data, allow_duplicate_keys=False, allow_indefinite=False)
    except (cbor2.CBORError, ValueError) as error:
        raise NotPlain(f"malformed: {error}") from error


class _Scan:
    """A walk over the heads of all values of `data`."""

    __slots__ = ("_at", "_data", "_depth_left", "_items_left")

    def __init__(self, data: bytes, items_max: int, depth_max: int) -> None:
        self._data = data
        self._at = 0
        self._items_left = items_max
        self._depth_left = depth_max

    def run(self) -> None:
        """NotPlain unless `data` is one plain value and nothing else."""
        try:
            self._values(1, -1)
        except IndexError as error:
            raise NotPlain("the bytes end inside a value") from error
        if self._at != len(self._data):
            raise NotPlain(f"{len(self._data) - self._at} bytes follow the value")

    def _values(self, count: int, key_parity: int) -> None:
        """Pass `count` values; those whose number has `key_parity` must be text."""
        data = self._data
        self._items_left -= count
        if self._items_left < 0:
            raise NotPlain("too many values")
        for number in range(count):
            head = data[self._at]
            kind = head >> 5
            if number & 1 == key_parity and kind != _TEXT:
                raise NotPlain("a map has a key that is not text")
            if kind > _MAP:
                if head not in _SIMPLE:
                    raise NotPlain("tags, floats and other simple values are not allowed here")
                self._at += 1
            else:
                self._value(kind, self._argument(head & 31))

    def _value(self, kind: int, argument: int) -> None:
        """Pass what follows the head of a number, string or container."""
        if kind <= _NEGATIVE:
            if argument > _INT64_MAX:
                raise NotPlain("a number needs more than 64 bits")
            return
        left = len(self._data) - self._at
        if argument > left:
            raise NotPlain(f"a length of {argument} where {left} bytes are left")
        if kind <= _TEXT:
            self._at += argument
            return
        if not self._depth_left:
            raise NotPlain("nested too deep")
        self._depth_left -= 1
        if kind == _MAP:
            self._values(2 * argument, 0)
        else:
            self._values(argument, -1)
        self._depth_left += 1

    def _argument(self, info: int) -> int:
        """The head's argument; passes the head."""
        start = self._at + 1
        if info < 24:
            self._at = start
            return info
        if info > 27:
            raise NotPlain("indefinite and reserved lengths are not allowed here")
        self._at = start + (1 << (info - 24))
        if self._at > len(self._data):
            raise NotPlain("the bytes end inside a value")
        return int.from_bytes(self._data[start : self._at], "big")
