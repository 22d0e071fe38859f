"""Replacing the unproven end of the log by a synced copy (see `wal_recovery`)."""

from __future__ import annotations

from crc32c import crc32c

from raftlog.disk.wal_format import (
    ROUND_HEADER_BYTES,
    PartHeader,
    encode_part_header,
    encode_round_header,
)
from raftlog.disk.wal_scan import Round, chunks, rounds_of
from raftlog.disk.wal_state import Part
from raftlog.seams import FileSystem


def copy_tail(
    fs: FileSystem, directory: str, name: str, tail: list[Part], header: PartHeader
) -> Part:
    """All rounds of the parts `tail` in one new part, durable when this returns.

    The header is written last, after the content and the file's name are durable: until
    that sector is on disk the old parts are the log, from then on the new one is.
    """
    file = fs.open(f"{directory}/{name}", create=True)
    copy = Part(name, file, header.sequence, header.epoch, header.first_round)
    for part in tail:
        for found in rounds_of(part):
            _copy_round(part, found, copy)
        copy.entries.update(part.entries)
        copy.last_round = part.last_round
    file.sync()
    fs.sync_directory(directory)
    file.pwrite([encode_part_header(header._replace(size=copy.end))], 0)
    file.sync()
    copy.capacity = copy.end
    return copy


def _copy_round(part: Part, found: Round, copy: Part) -> None:
    crc = crc32c(found.table, copy.salt)
    at = copy.end + ROUND_HEADER_BYTES
    copy.file.pwrite([found.table], at)
    at += len(found.table)
    for chunk in chunks(
        part.file, found.end - found.header.body_bytes + len(found.table), found.end
    ):
        crc = crc32c(chunk, crc)
        copy.file.pwrite([chunk], at)
        at += len(chunk)
    header = found.header._replace(body_crc=crc)
    copy.file.pwrite([encode_round_header(copy.epoch, header)], copy.end)
    copy.end = at
