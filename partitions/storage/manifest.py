"""A partition's snapshot: what a log is like at the point below which it has no entries.

The same bytes are a file (`log.snapshot`, replaced atomically), and the stream that a
follower is sent. A snapshot is always taken where the log begins: all batches at or above the
log start are still entries, and travel as entries, so that it carries no segment files (the
list of files is there, and empty). The producer table rides along in full.

Layout: 8 bytes of magic and version, u32 CRC32C and u32 length (little-endian) of a CBOR list
in which tags are refused and every number is checked.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct
from typing import Any, NamedTuple

import cbor2
from crc32c import crc32c

from metadata.codec import decode_plain
from metadata.errors import RecordError
from partitions.storage.producers import BATCHES_KEPT, KeptBatch, ProducerState
from raftlog.core import decode_configuration, encode_configuration
from raftlog.errors import CorruptLog
from raftlog.types import LogPosition, SnapshotMeta

MANIFEST_NAME = "log.snapshot"
RECENT_NAME = "log.producers"
MANIFEST_BYTES_MAX = 64 * 1024 * 1024
_MANIFEST_MAGIC = b"QSnap\x00\x00\x01"
_PRODUCERS_MAGIC = b"QProd\x00\x00\x01"
_RECENT_MAGIC = b"QRecp\x00\x00\x01"
_HEAD = Struct("<II")
_INT_MAX = 2**63


class ProducerSnapshot(NamedTuple):
    """A ProducerTable as of the log's end offset `offset`."""

    offset: int
    clock_ms: int
    states: dict[int, ProducerState]


class Manifest(NamedTuple):
    """See the module."""

    birth: tuple[int, int]
    """(index, term) at which the directory's log was created or installed: its identity."""
    meta: SnapshotMeta
    log_start: int
    epochs: tuple[tuple[int, int], ...]
    """(leader epoch, start offset) up to the snapshot's position."""
    producers: ProducerSnapshot


def encode_manifest(manifest: Manifest) -> bytes:
    """Framed bytes."""
    position = manifest.meta.position
    body = [
        *manifest.birth,
        *position,
        encode_configuration(manifest.meta.configuration),
        manifest.log_start,
        [list(pair) for pair in manifest.epochs],
        _pack_producers(manifest.producers),
        [],  # aborted transactions
        [],  # segment files
    ]
    return _frame(_MANIFEST_MAGIC, body)


def decode_manifest(data: bytes, name: str) -> Manifest:
    """What `encode_manifest` was given. Raises CorruptLog, its text begins with `name`."""
    body = _unframe(_MANIFEST_MAGIC, data, name)
    try:
        birth_index, birth_term, index, term, offset, config, start, epochs, table, *rest = body
        if rest != [[], []]:
            raise ValueError("it has parts that this release does not know")
        position = LogPosition(*_numbers([index, term, offset], 3))
        return Manifest(
            _pair(_numbers([birth_index, birth_term], 2)),
            SnapshotMeta(position, decode_configuration(_bytes(config))),
            _numbers([start], 1)[0],
            tuple(_pair(_numbers(row, 2)) for row in _list(epochs)),
            _unpack_producers(table),
        )
    except (ValueError, TypeError) as error:
        raise CorruptLog(f"{name}: not a partition snapshot: {error}") from None


def encode_producers(snapshot: ProducerSnapshot) -> bytes:
    """A `.producers` file."""
    return _frame(_PRODUCERS_MAGIC, _pack_producers(snapshot))


def decode_producers(data: bytes, name: str) -> ProducerSnapshot:
    """What `encode_producers` was given. Raises CorruptLog."""
    body = _unframe(_PRODUCERS_MAGIC, data, name)
    try:
        return _unpack_producers(body)
    except (ValueError, TypeError) as error:
        raise CorruptLog(f"{name}: not a producer table: {error}") from None


def encode_recent(position: LogPosition, clock_ms: int, states: dict[int, ProducerState]) -> bytes:
    """The `log.producers` file: the table at an entry.

    Index and term name the entry for good (log matching), so that the file needs no care when
    the log is cut: it counts if the log still has that entry.
    """
    table = ProducerSnapshot(position.offset, clock_ms, states)
    return _frame(_RECENT_MAGIC, [position.index, position.term, _pack_producers(table)])


def decode_recent(data: bytes, name: str) -> tuple[LogPosition, ProducerSnapshot]:
    """What `encode_recent` was given. Raises CorruptLog."""
    body = _unframe(_RECENT_MAGIC, data, name)
    try:
        index, term, raw = body
        table = _unpack_producers(raw)
        _numbers([index, term], 2)
        return LogPosition(index, term, table.offset), table
    except (ValueError, TypeError) as error:
        raise CorruptLog(f"{name}: not a producer table: {error}") from None


def _frame(magic: bytes, body: list[Any]) -> bytes:
    data: bytes = cbor2.dumps(body)
    return magic + _HEAD.pack(crc32c(data), len(data)) + data


def _unframe(magic: bytes, data: bytes, name: str) -> list[Any]:
    if data[: len(magic)] != magic or len(data) < len(magic) + _HEAD.size:
        raise CorruptLog(f"{name}: does not begin as a file of this kind and version must")
    crc, length = _HEAD.unpack_from(data, len(magic))
    body = data[len(magic) + _HEAD.size :]
    if len(body) != length or crc32c(body) != crc:
        raise CorruptLog(f"{name}: the checksum of its {length} bytes is wrong")
    try:
        return _list(decode_plain(body, MANIFEST_BYTES_MAX))
    except (RecordError, ValueError) as error:
        raise CorruptLog(f"{name}: {error}") from None


def _pack_producers(snapshot: ProducerSnapshot) -> list[Any]:
    rows = [
        [
            producer,
            state.epoch,
            0,  # had a meaning in earlier releases
            state.timestamp,
            state.offset,
            [list(batch) for batch in state.batches],
        ]
        for producer, state in sorted(snapshot.states.items())
    ]
    return [snapshot.offset, snapshot.clock_ms, rows]


def _unpack_producers(raw: object) -> ProducerSnapshot:
    offset, clock, rows = _list(raw)
    states: dict[int, ProducerState] = {}
    for row in _list(rows):
        producer, epoch, unused, timestamp, base, batches = _list(row)
        if len(_list(batches)) > BATCHES_KEPT:
            raise ValueError("a producer has too many batches")
        kept = tuple(KeptBatch(*_numbers(batch, 5)) for batch in batches)
        _numbers([producer, epoch, unused, timestamp, base], 5)
        states[producer] = ProducerState(epoch, kept, timestamp, base)
    _numbers([offset, clock], 2)
    return ProducerSnapshot(offset, clock, states)


def _list(raw: object) -> list[Any]:
    if type(raw) is not list:
        raise ValueError("a list was expected")
    return raw


def _bytes(raw: object) -> bytes:
    if type(raw) is not bytes:
        raise ValueError("bytes were expected")
    return raw


def _numbers(raw: object, count: int) -> list[int]:
    numbers = _list(raw)
    if len(numbers) != count:
        raise ValueError(f"{count} numbers were expected")
    for number in numbers:
        if type(number) is not int or not -_INT_MAX <= number < _INT_MAX:
            raise ValueError("a number was expected")
    return numbers


def _pair(numbers: Sequence[int]) -> tuple[int, int]:
    return numbers[0], numbers[1]
