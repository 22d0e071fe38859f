"""What the broker checks of a batch before it appends it, and what it writes into it.

All of it costs per batch, not per record. Base offset and leader epoch lie outside the CRC and
are stamped in place; a log-append timestamp lies inside it.
"""

from __future__ import annotations

import struct

from crc32c import crc32c

from partitions.errors import ErrorCode, KafkaError
from partitions.records.compression import LAST_CODEC
from partitions.records.header import (
    APPEND_TIME,
    ATTRIBUTES_AT,
    CODEC_MASK,
    CONTROL,
    CRC_AT,
    DELETE_HORIZON,
    HEADER_BYTES,
    KNOWN_ATTRIBUTES,
    LEADER_EPOCH_AT,
    LENGTH_PREFIX_BYTES,
    MAGIC,
    MAX_TIMESTAMP_AT,
    BatchHeader,
    check_magic,
)
from raftlog.types import Buffer

_PUT_OFFSET = struct.Struct(">q").pack_into
_PUT_EPOCH = struct.Struct(">i").pack_into
_PUT_CRC = struct.Struct(">I").pack_into
_PUT_ATTRIBUTES = struct.Struct(">h").pack_into
_GET_ATTRIBUTES = struct.Struct(">h").unpack_from


def validate_batch(batch: memoryview, header: BatchHeader, *, from_client: bool = True) -> None:
    """Check that `header`, read from `batch`, is consistent with it and with itself.

    `from_client` also refuses what only brokers may write: control batches, and the delete
    horizon of compaction. Records are not looked at. Raises KafkaError: CORRUPT_MESSAGE,
    INVALID_RECORD, INVALID_TIMESTAMP, UNSUPPORTED_FOR_MESSAGE_FORMAT or
    UNSUPPORTED_COMPRESSION_TYPE.
    """
    if header.magic != MAGIC:
        check_magic(header.magic)
    size = len(batch)
    if header.length != size - LENGTH_PREFIX_BYTES or size < HEADER_BYTES:
        raise KafkaError(
            ErrorCode.CORRUPT_MESSAGE, f"batch length {header.length} in a batch of {size} bytes"
        )
    if crc32c(batch[ATTRIBUTES_AT:]) != header.crc:
        raise KafkaError(ErrorCode.CORRUPT_MESSAGE, "the batch's CRC does not match its content")
    _check_attributes(header.attributes, from_client)
    _check_counts(header, size)
    if header.base_timestamp < -1 or header.max_timestamp < -1:
        raise KafkaError(
            ErrorCode.INVALID_TIMESTAMP,
            f"base timestamp {header.base_timestamp} or max timestamp {header.max_timestamp}"
            " is negative",
        )
    _check_producer(header)


def _check_attributes(attributes: int, from_client: bool) -> None:
    if attributes & CODEC_MASK > LAST_CODEC:
        raise KafkaError(
            ErrorCode.UNSUPPORTED_COMPRESSION_TYPE,
            f"compression codec {attributes & CODEC_MASK} is unknown",
        )
    if attributes & ~KNOWN_ATTRIBUTES:
        raise KafkaError(ErrorCode.INVALID_RECORD, f"attributes {attributes:#x} has unknown bits")
    if from_client and attributes & (CONTROL | DELETE_HORIZON):
        raise KafkaError(
            ErrorCode.INVALID_RECORD,
            f"attributes {attributes:#x}: control batches and delete horizons are the broker's",
        )


def _check_counts(header: BatchHeader, size: int) -> None:
    count = header.records_count
    if count <= 0:
        raise KafkaError(ErrorCode.INVALID_RECORD, f"records count {count} is not positive")
    if header.last_offset_delta != count - 1:
        raise KafkaError(
            ErrorCode.INVALID_RECORD,
            f"last offset delta {header.last_offset_delta} with records count {count}",
        )
    if not header.attributes & CODEC_MASK and count > size - HEADER_BYTES:
        raise KafkaError(
            ErrorCode.INVALID_RECORD, f"records count {count} in {size - HEADER_BYTES} bytes"
        )


def _check_producer(header: BatchHeader) -> None:
    """A producer id comes with an epoch, and with sequence numbers unless it is a marker."""
    if header.producer_id < 0:
        if header.attributes & (CONTROL | 0x10):
            raise KafkaError(ErrorCode.INVALID_RECORD, "a transactional batch has no producer id")
        return
    if header.producer_epoch < 0 or (header.base_sequence < 0 and not header.control):
        raise KafkaError(
            ErrorCode.INVALID_RECORD,
            f"producer id {header.producer_id} with epoch {header.producer_epoch}"
            f" and base sequence {header.base_sequence}",
        )


def stamp(batch: bytearray | memoryview, base_offset: int, leader_epoch: int) -> None:
    """Write base offset and leader epoch in place; `batch` must be writable."""
    _PUT_OFFSET(batch, 0, base_offset)
    _PUT_EPOCH(batch, LEADER_EPOCH_AT, leader_epoch)


def set_append_time(batch: bytearray | memoryview, timestamp_ms: int) -> None:
    """Mark the batch with the broker's time (LogAppendTime) and recompute its CRC in place."""
    (attributes,) = _GET_ATTRIBUTES(batch, ATTRIBUTES_AT)
    _PUT_ATTRIBUTES(batch, ATTRIBUTES_AT, attributes | APPEND_TIME)
    _PUT_OFFSET(batch, MAX_TIMESTAMP_AT, timestamp_ms)
    write_crc(batch)


def write_crc(batch: bytearray | memoryview) -> None:
    """Compute the CRC32C of all that follows it and write it in place."""
    _PUT_CRC(batch, CRC_AT, crc32c(memoryview(batch)[ATTRIBUTES_AT:]))


def crc_matches(batch: Buffer, header: BatchHeader) -> bool:
    """Does the stored CRC fit the content? For recovery, where nothing else is in doubt."""
    return bool(crc32c(memoryview(batch)[ATTRIBUTES_AT : header.size]) == header.crc)
