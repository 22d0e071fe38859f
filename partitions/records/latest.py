"""The last value of every key in a batch, for logs in which only that one counts.

What `iter_records` would tell, for those who need no offsets, timestamps and headers of single
records: a fifth of the time, since nothing is made for a record but its key and its value.
"""

from __future__ import annotations

from partitions.records.compression import DECOMPRESSED_BYTES_MAX, decompress
from partitions.records.header import HEADER_BYTES, BatchHeader
from partitions.records.record import invalid, read_varint
from raftlog.types import Buffer


def last_values(
    batch: Buffer,
    header: BatchHeader,
    into: dict[bytes | None, bytes | None],
    *,
    max_bytes: int = DECOMPRESSED_BYTES_MAX,
) -> None:
    """Set `into[key]` to the value of each record in turn; None: a tombstone.

    `header` is the batch's; both are taken as validated, and offsets as ascending. Raises
    KafkaError as `iter_records` does, after some of the records perhaps.
    """
    data = bytes(decompress(header.codec, memoryview(batch)[HEADER_BYTES : header.size], max_bytes))
    try:
        at = _read(data, header.records_count, into)
    except IndexError:
        raise invalid(f"fewer records than the count {header.records_count}") from None
    if at != len(data):
        raise invalid(f"{len(data) - at} bytes follow the {header.records_count} records")


def _read(data: bytes, count: int, into: dict[bytes | None, bytes | None]) -> int:
    """The position after `count` records. One loop, because a call takes as long as a record.

    A size is an even number of one byte mostly: twice itself (zigzag), and 1 stands for null.
    """
    at = 0
    for _ in range(count):
        size, at = (data[at] >> 1, at + 1) if not data[at] & 0x81 else _size(data, at)
        stop = at + size
        at += 1
        while data[at] > 0x7F:  # the timestamp
            at += 1
        at += 1
        while data[at] > 0x7F:  # the offset
            at += 1
        at += 1
        size, at = (data[at] >> 1, at + 1) if not data[at] & 0x81 else _size(data, at)
        key = value = None
        if size >= 0:
            key = data[at : at + size]
            at += size
        size, at = (data[at] >> 1, at + 1) if not data[at] & 0x81 else _size(data, at)
        if size >= 0:
            value = data[at : at + size]
            at += size
        if at >= stop or stop > len(data):
            raise invalid("a record's content does not fit its length")
        into[key] = value
        at = stop  # what follows are headers
    return at


def _size(data: bytes, at: int) -> tuple[int, int]:
    """(size, position after it) of any size; -1: null."""
    size, at = read_varint(data, at)
    if size < -1:
        raise invalid(f"a length {size} in a record is impossible")
    return size, at
