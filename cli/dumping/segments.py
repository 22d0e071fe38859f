"""A partition's `.log` and `.raft` files: batches with their verdicts, and what stands beside."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from cli.dumping.lines import Line, content, plain
from cli.dumping.readonly import ReadOnlyFile
from partitions.errors import KafkaError
from partitions.records import Codec, crc_matches, iter_records, parse_header
from partitions.records.header import HEADER_BYTES, LENGTH_PREFIX_BYTES, MAGIC, BatchHeader
from partitions.replicas.trim import decode_trim
from partitions.storage import sidecar
from partitions.storage.points import POINT_BYTES
from raftlog.core.membership import decode_configuration
from raftlog.errors import CorruptLog
from raftlog.types import EntryKind

BATCH_BYTES_MAX = 256 * 1024 * 1024
"""A length beyond this is taken for wrong bytes rather than read into memory."""
UNSETTLED = "unsettled"


def batches(
    name: str, file: ReadOnlyFile, base: int, durable: int, *, records: bool
) -> Iterator[Line]:
    """Every batch of a segment whose first `durable` bytes must be valid.

    Goes on behind a batch whose checksum is wrong, if it can be seen where that ends.
    """
    position, size, expected = 0, file.size(), base
    while position < size:
        header = _header(file, position, size)
        if header is None:
            yield wrong(name, position, size, durable, f"no batch begins here, {size} bytes end")
            return
        data = file.pread(header.size, position)
        why = _verdict(data, header, expected)
        if why and position >= durable:
            yield wrong(name, position, size, durable, why)
            return
        yield Line(name, position, "batch", facts_of(header), why)
        if records:
            yield from _records(name, position, data, header, readable=not why)
        position += header.size
        expected = header.next_offset
    if size < durable < 2**63:
        yield Line(name, size, "end", {}, f"{durable} bytes had been durable: it was cut short")


def wrong(name: str, position: int, size: int, durable: int, why: str) -> Line:
    """Bytes from `position` on that are not what they should be."""
    if position >= durable:
        return Line(name, position, UNSETTLED, {"bytes": size - position, "why": why})
    return Line(name, position, "bytes", {"bytes": size - position}, why)


def _header(file: ReadOnlyFile, position: int, size: int) -> BatchHeader | None:
    """None: not one that can be, in a file of `size` bytes."""
    raw = file.pread(HEADER_BYTES, position)
    if len(raw) < HEADER_BYTES:
        return None
    header = parse_header(raw)
    if header.magic != MAGIC or header.length < HEADER_BYTES - LENGTH_PREFIX_BYTES:
        return None
    return header if header.size <= min(BATCH_BYTES_MAX, size - position) else None


def _verdict(data: bytes, header: BatchHeader, expected: int) -> str | None:
    if not crc_matches(data, header):
        return "the checksum is wrong"
    if header.base_offset != expected:
        return f"offset {expected} should come here"
    return None


def facts_of(header: BatchHeader) -> dict[str, Any]:
    """A batch's header."""
    idempotent = header.producer_id >= 0
    kinds = [("transactional", header.transactional), ("control", header.control)]
    return {
        "first": header.base_offset,
        "last": header.last_offset,
        "epoch": header.leader_epoch,
        "records": header.records_count,
        "bytes": header.size,
        "compression": _codec(header.attributes & 7),
        "producer": header.producer_id if idempotent else None,
        "producer_epoch": header.producer_epoch if idempotent else None,
        "sequences": [header.base_sequence, header.last_sequence] if idempotent else None,
        "first_time": _time(header.base_timestamp),
        "max_time": _time(header.max_timestamp),
        "append_time": header.append_time,
        "flags": [text for text, holds in kinds if holds],
    }


def _codec(number: int) -> str:
    try:
        return Codec(number).name.lower()
    except ValueError:
        return str(number)


def _time(milliseconds: int) -> str | None:
    """UTC; the number itself when no calendar has it."""
    if milliseconds < 0:
        return None
    try:
        moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return str(milliseconds)
    return moment.isoformat(timespec="milliseconds")


def _records(
    name: str, position: int, data: bytes, header: BatchHeader, *, readable: bool
) -> Iterator[Line]:
    if not readable:
        return  # bytes that changed are not to be expanded
    try:
        for record in iter_records(data):
            facts = {
                "offset": record.offset,
                "time": _time(record.timestamp),
                "key": content(record.key),
                "value": content(record.value),
                "headers": [[key, content(value)] for key, value in record.headers],
            }
            yield Line(name, position, "record", facts)
    except KafkaError as error:
        yield Line(name, position, "record", {}, f"records cannot be read: {error}")


def sidecar_lines(name: str, data: bytes, base: int, durable: int) -> Iterator[Line]:
    """Every record of a `.raft` file."""
    position, size = len(sidecar.MAGIC), len(data)
    if data[:position] != sidecar.MAGIC:
        yield wrong(name, 0, size, durable, "it does not begin as a sidecar must")
        return
    start = position
    for end, record in sidecar.decode(data, sidecar.salt_of(base), position):
        yield Line(name, start, type(record).__name__.lower(), _sidecar_facts(record))
        start = end
    if start < size:
        yield wrong(name, start, size, durable, "no valid record begins here")
    elif size < durable < 2**63:
        yield Line(name, size, "end", {}, f"{durable} bytes had been durable: it was cut short")


def _sidecar_facts(record: sidecar.Record) -> dict[str, Any]:
    if isinstance(record, sidecar.Points):
        return {"points": len(record.columns) // POINT_BYTES}
    facts: dict[str, Any] = plain(record)
    if isinstance(record, sidecar.ZeroEntry):
        del facts["payload"]
        facts["body"] = zero_body(record.kind, record.payload)
    if isinstance(record, sidecar.Start):
        facts["configuration"] = _configuration(record.configuration)
    return facts


def zero_body(kind: EntryKind, payload: bytes) -> Any:
    """What an entry says that spans no offsets."""
    if kind is EntryKind.CONFIG:
        return _configuration(payload)
    if kind is EntryKind.CONTROL:
        try:
            return {"log_start": decode_trim(payload)}
        except CorruptLog:
            return {"unknown": payload.hex()}
    return None


def _configuration(data: bytes) -> Any:
    try:
        found = decode_configuration(data)
    except ValueError:
        return {"unknown": data.hex()}
    return {
        "voters": [voter.node for voter in found.voters],
        "outgoing": [voter.node for voter in found.outgoing],
        "learners": [voter.node for voter in found.learners],
    }
