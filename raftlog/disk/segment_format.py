"""The bytes of a SegmentLog's files. All integers are little-endian, every CRC is CRC-32C.

segment   header (magic, version, first index, CRC), then frames
frame     CRC, payload bytes, index, term, base, span, kind; then the payload
snapshot  header (magic, version, position, lengths, CRC of the header and of what follows),
          then the encoded configuration, then the application's bytes
"""

from __future__ import annotations

from struct import Struct
from struct import error as StructError
from typing import Final, NamedTuple

from crc32c import crc32c

from raftlog.core.membership import decode_configuration, encode_configuration
from raftlog.errors import CorruptLog
from raftlog.types import Buffer, Entry, EntryKind, LogPosition, SnapshotMeta

VERSION: Final = 1
SEGMENT_MAGIC: Final = b"QRSG"
SNAPSHOT_MAGIC: Final = b"QRSN"
PAYLOAD_BYTES_MAX: Final = 2**31 - 1

_SEGMENT: Final = Struct("<4sIQ")
_FRAME: Final = Struct("<IQQQQB")
_CRC: Final = Struct("<I")
_SNAPSHOT: Final = Struct("<4sIQQQIIQ")
SEGMENT_HEADER_BYTES: Final = _SEGMENT.size + _CRC.size
FRAME_BYTES: Final = _CRC.size + _FRAME.size
SNAPSHOT_HEADER_BYTES: Final = _SNAPSHOT.size + _CRC.size


class Frame(NamedTuple):
    """A frame's header: everything of an entry but its payload."""

    crc: int
    length: int
    index: int  # type: ignore[assignment]  # hides tuple.index
    term: int
    base: int
    span: int
    kind: int

    @property
    def end(self) -> int:
        """Offset after the entry."""
        return self.base + self.span


def encode_segment_header(first: int) -> bytes:
    """What a segment that begins with entry `first` starts with."""
    fixed = _SEGMENT.pack(SEGMENT_MAGIC, VERSION, first)
    return fixed + _CRC.pack(crc32c(fixed))


def segment_header_is_valid(data: bytes, first: int) -> bool:
    """True when `data` is exactly the header of segment `first`."""
    return data == encode_segment_header(first)


def encode_frame(entry: Entry) -> bytes:
    """The frame's header; the payload is written behind it as it is."""
    index, term, kind, base, span, payload = entry
    fixed = _FRAME.pack(len(payload), index, term, base, span, kind)
    return _CRC.pack(crc32c(payload, crc32c(fixed))) + fixed


def decode_frame(data: Buffer, at: int = 0) -> Frame | None:
    """The frame's header at `at`, or None when `data` ends before it does."""
    try:
        length, index, term, base, span, kind = _FRAME.unpack_from(data, at + _CRC.size)
    except StructError:
        return None
    return Frame(_CRC.unpack_from(data, at)[0], length, index, term, base, span, kind)


def frame_is_valid(frame: Frame, payload: Buffer) -> bool:
    """True when the checksum fits and the kind is known."""
    if len(payload) != frame.length or frame.kind not in _KINDS:
        return False
    fixed = _FRAME.pack(frame.length, frame.index, frame.term, frame.base, frame.span, frame.kind)
    return crc32c(payload, crc32c(fixed)) == frame.crc


def entry_of(frame: Frame, payload: bytes) -> Entry:
    """The entry of a valid frame."""
    return Entry(frame.index, frame.term, EntryKind(frame.kind), frame.base, frame.span, payload)


def encode_snapshot_header(meta: SnapshotMeta, data: Buffer) -> bytes:
    """Header and configuration; `data` is written behind it as it is."""
    configuration = encode_configuration(meta.configuration)
    fixed = _SNAPSHOT.pack(
        SNAPSHOT_MAGIC,
        VERSION,
        *meta.position,
        len(configuration),
        crc32c(data, crc32c(configuration)),
        len(data),
    )
    return fixed + _CRC.pack(crc32c(fixed)) + configuration


class SnapshotHeader(NamedTuple):
    """What a snapshot file says of itself."""

    position: LogPosition
    config_bytes: int
    crc: int
    """Of all that follows the header."""
    data_bytes: int


def decode_snapshot_header(path: str, raw: bytes) -> SnapshotHeader:
    """The header at the beginning of `raw`. Raises CorruptLog."""
    if len(raw) < SNAPSHOT_HEADER_BYTES or raw[:4] != SNAPSHOT_MAGIC:
        raise CorruptLog(f"{path}: this is not a snapshot file")
    _, version, index, term, offset, config_bytes, crc, data_bytes = _SNAPSHOT.unpack_from(raw)
    if version != VERSION:
        raise CorruptLog(f"{path}: format version {version}, this release reads {VERSION}")
    if _CRC.unpack_from(raw, _SNAPSHOT.size)[0] != crc32c(raw[: _SNAPSHOT.size]):
        raise CorruptLog(f"{path}: the header's checksum is wrong; restore the file")
    return SnapshotHeader(LogPosition(index, term, offset), config_bytes, crc, data_bytes)


def content_has_changed(path: str) -> CorruptLog:
    """What follows a snapshot's header is not what it was made for."""
    return CorruptLog(f"{path}: the content's checksum is wrong; restore the file")


def decode_snapshot(path: str, raw: bytes) -> tuple[SnapshotMeta, bytes]:
    """The meta and the application's bytes of a snapshot file. Raises CorruptLog."""
    position, config_bytes, crc, data_bytes = decode_snapshot_header(path, raw)
    body = memoryview(raw)[SNAPSHOT_HEADER_BYTES:]
    if len(body) != config_bytes + data_bytes or crc32c(body) != crc:
        raise content_has_changed(path)
    try:
        configuration = decode_configuration(bytes(body[:config_bytes]))
    except ValueError as error:
        raise CorruptLog(f"{path}: {error}") from None
    return SnapshotMeta(position, configuration), bytes(body[config_bytes:])


_KINDS: Final = frozenset(map(int, EntryKind))
