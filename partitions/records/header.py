"""The fixed head of a version 2 record batch, and cutting a request's record data into batches.

Layout (KIP-98), big-endian, byte position first: 0 base offset, 8 length of what follows it,
12 leader epoch, 16 magic, 17 CRC32C of all from 21 on, 21 attributes, 23 last offset delta,
27 base timestamp, 35 maximum timestamp, 43 producer id, 51 producer epoch, 53 base sequence,
57 records count, 61 records.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from partitions.errors import ErrorCode, KafkaError
from raftlog.types import Buffer

HEADER_BYTES = 61
LENGTH_PREFIX_BYTES = 12
"""Base offset and length: what the length field does not count."""
LEADER_EPOCH_AT = 12
MAGIC_AT = 16
CRC_AT = 17
ATTRIBUTES_AT = 21
"""Also where the CRC's coverage starts: what lies before it may be stamped freely."""
MAX_TIMESTAMP_AT = 35
MAGIC = 2
NO_TIMESTAMP = -1

CODEC_MASK = 0x07
APPEND_TIME = 0x08
TRANSACTIONAL = 0x10
CONTROL = 0x20
DELETE_HORIZON = 0x40
KNOWN_ATTRIBUTES = 0x7F

_HEAD = struct.Struct(">qiibIhiqqqhii").unpack_from


class BatchHeader(NamedTuple):
    """All fields of the header, as read."""

    base_offset: int
    length: int
    """Bytes after the length field; the whole batch is 12 more."""
    leader_epoch: int
    magic: int
    crc: int
    attributes: int
    last_offset_delta: int
    base_timestamp: int
    max_timestamp: int
    producer_id: int
    producer_epoch: int
    base_sequence: int
    records_count: int

    @property
    def size(self) -> int:
        """Bytes of the whole batch."""
        return self.length + LENGTH_PREFIX_BYTES

    @property
    def span(self) -> int:
        """Offsets the batch takes."""
        return self.last_offset_delta + 1

    @property
    def last_offset(self) -> int:
        """Offset of the last record."""
        return self.base_offset + self.last_offset_delta

    @property
    def next_offset(self) -> int:
        """The offset after the batch."""
        return self.base_offset + self.last_offset_delta + 1

    @property
    def last_sequence(self) -> int:
        """Sequence number of the last record; sequences wrap to 0 after 2**31 - 1."""
        if self.base_sequence < 0:
            return self.base_sequence
        return (self.base_sequence + self.last_offset_delta) & 0x7FFF_FFFF

    @property
    def codec(self) -> int:
        """Compression codec number, see `compression.Codec`."""
        return self.attributes & CODEC_MASK

    @property
    def append_time(self) -> bool:
        """True when `max_timestamp` is the broker's clock and holds for all records."""
        return bool(self.attributes & APPEND_TIME)

    @property
    def transactional(self) -> bool:
        """Is the batch part of a transaction?"""
        return bool(self.attributes & TRANSACTIONAL)

    @property
    def control(self) -> bool:
        """Does it hold control records (a transaction's marker) rather than data?"""
        return bool(self.attributes & CONTROL)


def parse_header(buffer: Buffer, position: int = 0) -> BatchHeader:
    """Read the 61 bytes at `position`. Raises KafkaError(CORRUPT_MESSAGE) when there are fewer."""
    try:
        return tuple.__new__(BatchHeader, _HEAD(buffer, position))
    except struct.error:
        raise _too_short(len(buffer) - position) from None


def split_batches(records: Buffer) -> list[tuple[BatchHeader, memoryview]]:
    """Cut record data into batches; they must fill it exactly. Nothing is copied.

    Raises KafkaError: UNSUPPORTED_FOR_MESSAGE_FORMAT for message sets of magic 0 and 1,
    CORRUPT_MESSAGE when a length is wrong or bytes are left over.
    """
    view = memoryview(records)
    end = len(view)
    position = 0
    batches = []
    while position < end:
        if end - position <= MAGIC_AT:
            raise _too_short(end - position)
        check_magic(view[position + MAGIC_AT])
        header = parse_header(view, position)
        stop = position + header.length + LENGTH_PREFIX_BYTES
        if stop > end or header.length < HEADER_BYTES - LENGTH_PREFIX_BYTES:
            raise KafkaError(
                ErrorCode.CORRUPT_MESSAGE,
                f"batch length {header.length} at byte {position} of {end} is impossible",
            )
        batches.append((header, view[position:stop]))
        position = stop
    return batches


def check_magic(magic: int) -> None:
    """Raise KafkaError unless the format is version 2."""
    if magic in (0, 1):
        raise KafkaError(
            ErrorCode.UNSUPPORTED_FOR_MESSAGE_FORMAT,
            f"magic {magic}: message sets of before Kafka 0.11 are not accepted; use format v2",
        )
    if magic != MAGIC:
        raise KafkaError(ErrorCode.CORRUPT_MESSAGE, f"magic {magic} is unknown")


def _too_short(size: int) -> KafkaError:
    return KafkaError(
        ErrorCode.CORRUPT_MESSAGE, f"{max(size, 0)} bytes are too few for a batch header"
    )
