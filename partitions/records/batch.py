"""Whole batches: building one from records and reading its records.

Not on the produce and fetch path, which never looks at single records: for the broker's own
topics, compaction, timestamp look-ups and tests.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

from partitions.records.compression import DECOMPRESSED_BYTES_MAX, Codec, compress, decompress
from partitions.records.header import (
    CONTROL,
    HEADER_BYTES,
    LENGTH_PREFIX_BYTES,
    MAGIC,
    TRANSACTIONAL,
    parse_header,
)
from partitions.records.record import Record, decode_record, encode_record, invalid
from partitions.records.validation import write_crc
from raftlog.types import Buffer

_PUT_HEAD = struct.Struct(">qiibIhiqqqhii").pack_into


def build_batch(
    records: Iterable[Record],
    *,
    base_timestamp: int,
    codec: Codec = Codec.NONE,
    producer_id: int = -1,
    producer_epoch: int = -1,
    base_sequence: int = -1,
    transactional: bool = False,
    control: bool = False,
    base_offset: int = 0,
    leader_epoch: int = -1,
    last_offset_delta: int | None = None,
) -> bytearray:
    """A complete batch with its CRC.

    `base_timestamp` is ms since 1970. `last_offset_delta` is for compaction, which keeps a
    batch's span when its last records go. Raises ValueError when there are no records and no
    `last_offset_delta`.
    """
    data = bytearray()
    count, last_delta, max_timestamp = 0, -1, base_timestamp
    for count, record in enumerate(records, 1):
        last_delta = count - 1 if record.offset < 0 else record.offset - base_offset
        timestamp = base_timestamp if record.timestamp < 0 else record.timestamp
        max_timestamp = max(max_timestamp, timestamp) if count > 1 else timestamp
        encode_record(data, record, last_delta, timestamp - base_timestamp)
    if last_offset_delta is None:
        if not count:
            raise ValueError("a batch needs at least one record")
        last_offset_delta = last_delta
    batch = bytearray(HEADER_BYTES)
    batch += compress(codec, data)
    attributes = codec | (TRANSACTIONAL if transactional else 0) | (CONTROL if control else 0)
    _PUT_HEAD(
        batch, 0, base_offset, len(batch) - LENGTH_PREFIX_BYTES, leader_epoch, MAGIC, 0,
        attributes, last_offset_delta, base_timestamp, max_timestamp, producer_id,
        producer_epoch, base_sequence, count,
    )  # fmt: skip
    write_crc(batch)
    return batch


def iter_records(batch: Buffer, *, max_bytes: int = DECOMPRESSED_BYTES_MAX) -> Iterator[Record]:
    """The batch's records in order, expanding at most `max_bytes` of compressed data.

    Header and CRC are taken as validated. Raises KafkaError: CORRUPT_MESSAGE,
    INVALID_RECORD, MESSAGE_TOO_LARGE or UNSUPPORTED_COMPRESSION_TYPE.
    """
    header = parse_header(batch)
    data = memoryview(batch)[HEADER_BYTES : header.size]
    body = decompress(header.codec, data, max_bytes)
    position, previous = 0, header.base_offset - 1
    for _ in range(header.records_count):
        try:
            record, position = decode_record(
                body, position, header.base_offset, header.base_timestamp
            )
        except IndexError:
            raise invalid(f"fewer records than the count {header.records_count}") from None
        if not previous < record.offset <= header.last_offset:
            raise invalid(
                f"record offset {record.offset} follows {previous}"
                f" in a batch that ends at {header.last_offset}"
            )
        previous = record.offset
        yield record._replace(timestamp=header.max_timestamp) if header.append_time else record
    if position != len(body):
        raise invalid(f"{len(body) - position} bytes follow the {header.records_count} records")


def find_timestamp(
    batch: Buffer, timestamp: int, *, max_bytes: int = DECOMPRESSED_BYTES_MAX
) -> tuple[int, int] | None:
    """(timestamp, offset) of the first record at or after `timestamp` (ms), if there is one."""
    if parse_header(batch).max_timestamp < timestamp:
        return None
    for record in iter_records(batch, max_bytes=max_bytes):
        if record.timestamp >= timestamp:
            return record.timestamp, record.offset
    return None
