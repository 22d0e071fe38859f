"""Unsigned varints and tagged fields: the run-time helpers of compiled codecs (KIP-482)."""

from __future__ import annotations

from partitions.wire.errors import MalformedFrame
from raftlog.types import Buffer

_LAST_SHIFT = 28


def read_uvarint(buffer: Buffer, position: int) -> tuple[int, int]:
    """Decode at `position`: (value, position after it). At most five bytes.

    Raises MalformedFrame for a longer one, IndexError at the buffer's end.
    """
    value = shift = 0
    while True:
        byte = buffer[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
        if shift > _LAST_SHIFT:
            raise MalformedFrame("a varint is longer than five bytes")


def write_uvarint(out: bytearray, value: int) -> None:
    """Append `value` (not negative) to `out`."""
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)


def skip_tags(buffer: Buffer, position: int) -> int:
    """Step over a section of tagged fields none of which is known; the position after it."""
    end = len(buffer)
    count, position = read_uvarint(buffer, position)
    for _ in range(count):
        _, position = read_uvarint(buffer, position)
        size, position = read_uvarint(buffer, position)
        position += size
        if position > end:
            raise MalformedFrame("a tagged field is longer than what is left of the frame")
    return position
