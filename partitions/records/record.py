"""One record, and its encoding inside a batch: zigzag varints throughout (KIP-98)."""

from __future__ import annotations

from typing import NamedTuple

from partitions.errors import ErrorCode, KafkaError
from raftlog.types import Buffer

_VARINT_BYTES_MAX = 10


class Record(NamedTuple):
    """A record as a client sees it.

    When building a batch, `offset` -1 stands for the record's place in it and `timestamp` -1
    for the batch's base timestamp.
    """

    offset: int = -1
    timestamp: int = -1
    """Milliseconds since 1970."""
    key: bytes | None = None
    value: bytes | None = None
    headers: tuple[tuple[str, bytes | None], ...] = ()


def invalid(what: str) -> KafkaError:
    """The error for a record that breaks the format."""
    return KafkaError(ErrorCode.INVALID_RECORD, what)


def write_varint(out: bytearray, value: int) -> None:
    """Append a signed value, zigzag: small magnitudes take few bytes."""
    value = value << 1 if value >= 0 else ~(value << 1)
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)


def read_varint(buffer: Buffer, position: int) -> tuple[int, int]:
    """(value, position after it). Raises KafkaError(INVALID_RECORD), or IndexError at the end."""
    byte = buffer[position]
    position += 1
    value = byte & 0x7F
    shift = 7
    while byte >= 0x80:
        if shift >= 7 * _VARINT_BYTES_MAX:
            raise invalid("a varint in a record is longer than ten bytes")
        byte = buffer[position]
        position += 1
        value |= (byte & 0x7F) << shift
        shift += 7
    return (value >> 1) ^ -(value & 1), position


def encode_record(out: bytearray, record: Record, offset_delta: int, timestamp_delta: int) -> None:
    """Append one record with its length before it."""
    body = bytearray(b"\x00")
    write_varint(body, timestamp_delta)
    write_varint(body, offset_delta)
    _write_bytes(body, record.key)
    _write_bytes(body, record.value)
    write_varint(body, len(record.headers))
    for key, value in record.headers:
        _write_bytes(body, key.encode())
        _write_bytes(body, value)
    write_varint(out, len(body))
    out += body


def _write_bytes(out: bytearray, value: bytes | None) -> None:
    if value is None:
        out.append(1)
        return
    write_varint(out, len(value))
    out += value


def decode_record(
    data: Buffer, position: int, base_offset: int, base_timestamp: int
) -> tuple[Record, int]:
    """Read the record at `position`: (record, position after it).

    Raises KafkaError(INVALID_RECORD), or IndexError when `data` ends too early.
    """
    size, position = read_varint(data, position)
    end = position + size
    if size < 0 or end > len(data):
        raise invalid(f"a record's length {size} is impossible")
    timestamp_delta, position = read_varint(data, position + 1)
    offset_delta, position = read_varint(data, position)
    key, position = _read_bytes(data, position, end)
    value, position = _read_bytes(data, position, end)
    headers, position = _read_headers(data, position, end)
    if position != end:
        raise invalid(f"a record's content does not fill its length {size}")
    record = Record(
        base_offset + offset_delta, base_timestamp + timestamp_delta, key, value, headers
    )
    return record, end


def _read_bytes(data: Buffer, position: int, end: int) -> tuple[bytes | None, int]:
    size, position = read_varint(data, position)
    if size == -1:
        return None, position
    stop = position + size
    if size < 0 or stop > end:
        raise invalid(f"a length {size} inside a record is impossible")
    return bytes(data[position:stop]), stop


def _read_headers(
    data: Buffer, position: int, end: int
) -> tuple[tuple[tuple[str, bytes | None], ...], int]:
    count, position = read_varint(data, position)
    if count == 0:
        return (), position
    if count < 0 or count > end - position:
        raise invalid(f"a record's headers count {count} is impossible")
    headers = []
    for _ in range(count):
        key, position = _read_bytes(data, position, end)
        value, position = _read_bytes(data, position, end)
        headers.append((_header_key(key), value))
    return tuple(headers), position


def _header_key(key: bytes | None) -> str:
    if key is None:
        raise invalid("a record header's key is null")
    try:
        return key.decode()
    except UnicodeDecodeError:
        raise invalid("a record header's key is not UTF-8") from None
