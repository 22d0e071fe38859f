"""The bytes of the write-ahead log. All integers are little-endian.

A *part* is a file: a header of one sector, then rounds one after another.

    part header   magic, version, sequence, epoch, epoch of the part before, first round,
                  durable round, low round, supersedes, size, CRC
    round header  magic, flags, epoch, round, durable round, low round, records, body bytes,
                  CRC of the body, CRC of this header                              (64 bytes)
    round body    `records` rows of 48 bytes (the table), then the payloads in the same order

Every CRC is CRC-32C that starts from a salt of the part's epoch, a number drawn anew each
time a file becomes a part: what an earlier life of the file left behind never fits.

Version 1 had no size in the part header; it is read as one that promises none.

A part with sequence 0 is a spare. A part that `supersedes` sequence s replaces all parts from
s up to its own: recovery writes its header last, so that the replacement is one sector write.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from random import Random
from struct import Struct
from typing import Final, NamedTuple

from crc32c import crc32c

from raftlog.types import Buffer

VERSION: Final = 2
SECTOR_BYTES: Final = 512
PART_HEADER_BYTES: Final = SECTOR_BYTES
ROUND_HEADER_BYTES: Final = 64
ROW_BYTES: Final = 48
RECORDS_MAX: Final = 65_536
"""Records of one round: bounds the table that recovery holds in memory (3 MiB)."""
PAYLOAD_BYTES_MAX: Final = 2**31 - 1
"""One payload. A larger one is refused when it is staged."""

PART_MAGIC: Final = b"QRWALPRT"
ROUND_MAGIC: Final = b"QRND"
FLAG_CLEAN: Final = 1
"""Round flag: nothing but an orderly shutdown follows."""
_FLAGS_KNOWN: Final = FLAG_CLEAN

_PART: Final = Struct("<8sI4xQQQQQQQQ")
_PART_1: Final = Struct("<8sI4xQQQQQQQ")
_VERSIONS: Final = {1: _PART_1, VERSION: _PART}
_ROUND: Final = Struct("<4sIQQQQIIQI")
_CRC: Final = Struct("<I")
_SPREAD: Final = 0x9E3779B97F4A7C15
_U64: Final = 2**64 - 1
_PREFIX: Final = Struct("<4sIQ")
ROW: Final = Struct("<BBHIQQQQQ")
"""Record kind, entry kind, flags, payload bytes, group, index, term, base, extra."""


class RecordKind(IntEnum):
    """What a row of a round's table says; see `Wal.stage_*`."""

    ENTRY = 1
    """index, term, base; extra = span; the payload is the entry's."""
    HARD_STATE = 2
    """term; base = 1 when there is a vote; index = its node, payload = its directory."""
    TRUNCATE = 3
    """index = first index cut."""
    CHECKPOINT = 4
    """index, term, base = position; extra = trusted index; payload = detail; flag: present."""
    CREATE = 5
    """payload = the application's creation bytes."""
    DROP = 6
    RESET = 7
    """index, term, base = the snapshot's position; payload = encoded configuration."""
    OFFLINE = 8
    """The replica is out of service for good; payload = why, for people."""


FLAG_HAS_CHECKPOINT: Final = 1
"""Row flag of CHECKPOINT: without it the record only carries the trusted index forward."""


class PartHeader(NamedTuple):
    """The first sector of a part."""

    sequence: int
    """Position of the part in the log; 0 for a spare."""
    epoch: int
    previous: int
    """Epoch of the part that this one continues: a lost part in between is noticed."""
    first_round: int
    durable: int
    """Last round known to be durable when the header was written."""
    low: int
    """First round that was still needed then."""
    supersedes: int
    """First sequence that this part replaces; its own when it replaces none."""
    size: int = 0
    """Bytes of the file that were durable before this header was written: a file that is
    shorter was cut. 0 promises nothing: the part grows with its rounds (or is of version 1)."""


class RoundHeader(NamedTuple):
    """What precedes a round's table and payloads."""

    flags: int
    round: int
    durable: int
    """Last round known to be durable when this one was written."""
    low: int
    """First round that was still needed; recovery must find it."""
    records: int
    body_bytes: int
    body_crc: int

    @property
    def clean(self) -> bool:
        """Written by an orderly shutdown."""
        return bool(self.flags & FLAG_CLEAN)


SPARE: Final = PartHeader(0, 0, 0, 0, 0, 0, 0)


def new_epoch(random: Random, sequence: int) -> int:
    """An epoch for part `sequence`. Parts differ even if a restart repeats the random numbers."""
    return random.getrandbits(64) ^ (sequence * _SPREAD & _U64)


def salt_of(epoch: int) -> int:
    """Where the CRCs of a part start."""
    return (epoch ^ (epoch >> 32)) & 0xFFFFFFFF


def encode_part_header(header: PartHeader) -> bytes:
    """One sector."""
    fixed = _PART.pack(PART_MAGIC, VERSION, *header)
    sealed = fixed + _CRC.pack(crc32c(fixed))
    return sealed + bytes(PART_HEADER_BYTES - len(sealed))


def decode_part_header(sector: bytes) -> PartHeader | None:
    """The header, or None when the file never became a part (empty, zeros, cut short).

    Raises ValueError, with the reason, when the sector holds something else.
    """
    if len(sector) < PART_HEADER_BYTES or not any(sector):
        return None
    magic, version = _PART.unpack_from(sector)[:2]
    if magic != PART_MAGIC:
        raise ValueError("its first bytes are not a write-ahead log's")
    layout = _VERSIONS.get(version)
    if layout is None:
        known = " and ".join(map(str, _VERSIONS))
        raise ValueError(f"its format version is {version}, this release reads {known}")
    if _CRC.unpack_from(sector, layout.size)[0] != crc32c(sector[: layout.size]):
        raise ValueError("the checksum of its header is wrong")
    return PartHeader(*layout.unpack_from(sector)[2:])


def encode_round_header(epoch: int, header: RoundHeader) -> bytes:
    """64 bytes; `body_crc` must be that of the table and the payloads, salted."""
    flags, number, durable, low, records, body_bytes, body_crc = header
    fixed = _ROUND.pack(
        ROUND_MAGIC, flags, epoch, number, durable, low, records, 0, body_bytes, body_crc
    )
    return fixed + _CRC.pack(crc32c(fixed, salt_of(epoch)))


def decode_round_header(epoch: int, data: Buffer, at: int = 0) -> RoundHeader | None:
    """The header at `at`, or None when no valid header of this epoch is there."""
    if len(data) - at < ROUND_HEADER_BYTES:
        return None
    magic, flags, found, number, durable, low, records, _, body_bytes, body_crc = (
        _ROUND.unpack_from(data, at)
    )
    if magic != ROUND_MAGIC or found != epoch:
        return None
    fixed = bytes(data[at : at + _ROUND.size])
    if _CRC.unpack_from(data, at + _ROUND.size)[0] != crc32c(fixed, salt_of(epoch)):
        return None
    if records > RECORDS_MAX or body_bytes < records * ROW_BYTES or flags & ~_FLAGS_KNOWN:
        return None
    return RoundHeader(flags, number, durable, low, records, body_bytes, body_crc)


def round_headers(epoch: int, data: bytes) -> Iterator[tuple[int, RoundHeader]]:
    """All valid round headers of this epoch in `data`, at any position."""
    for flags in (0, FLAG_CLEAN):
        needle = _PREFIX.pack(ROUND_MAGIC, flags, epoch)
        at = data.find(needle)
        while at >= 0:
            header = decode_round_header(epoch, data, at)
            if header is not None:
                yield at, header
            at = data.find(needle, at + 1)
