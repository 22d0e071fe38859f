"""The `snapshot` file of a SegmentLog: replaced atomically, read whole or in parts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from crc32c import crc32c

from raftlog.disk.segment_format import (
    SNAPSHOT_HEADER_BYTES,
    SnapshotHeader,
    content_has_changed,
    decode_snapshot,
    decode_snapshot_header,
    encode_snapshot_header,
)
from raftlog.errors import CorruptLog
from raftlog.seams import File, FileSystem
from raftlog.types import SnapshotMeta

SNAPSHOT_BYTES_MAX: Final = 2**31
_PIECE_BYTES: Final = 1024 * 1024


def write_snapshot(fs: FileSystem, path: str, meta: SnapshotMeta, data: bytes) -> None:
    """Make it the snapshot of the log at `path`; durable when this returns."""
    file = fs.open(f"{path}/snapshot.new", create=True)
    try:
        file.truncate(0)
        file.pwrite([encode_snapshot_header(meta, data), data], 0)
        file.sync()
    finally:
        file.close()
    fs.rename(f"{path}/snapshot.new", f"{path}/snapshot")
    fs.sync_directory(path)


def read_snapshot(fs: FileSystem, path: str) -> tuple[SnapshotMeta, bytes]:
    """What it is of, and the application's bytes; CorruptLog."""
    with _opened(fs, path) as (name, file, size):
        return decode_snapshot(name, file.pread(size, 0))


def check_snapshot(fs: FileSystem, path: str) -> None:
    """Read it once in pieces, holding one at a time; CorruptLog if it is not what was written."""
    with _opened(fs, path) as (name, file, size):
        header = _header(name, file, size)
        crc, at = 0, SNAPSHOT_HEADER_BYTES
        while piece := file.pread(_PIECE_BYTES, at):
            crc = crc32c(piece, crc)
            at += len(piece)
        if crc != header.crc:
            raise content_has_changed(name)


def read_snapshot_part(
    fs: FileSystem, path: str, cursor: int, max_bytes: int
) -> tuple[bytes, bool]:
    """The application's bytes from `cursor` on, and whether they are the last.

    Only the header is checked, and the file's length; CorruptLog.
    """
    with _opened(fs, path) as (name, file, size):
        header = _header(name, file, size)
        wanted = max(0, min(max_bytes, header.data_bytes - cursor))
        part = file.pread(wanted, SNAPSHOT_HEADER_BYTES + header.config_bytes + cursor)
        return part, cursor + len(part) >= header.data_bytes


@contextmanager
def _opened(fs: FileSystem, path: str) -> Iterator[tuple[str, File, int]]:
    """Its name, itself, and its size in bytes."""
    name = f"{path}/snapshot"
    file = fs.open(name)
    try:
        size = file.size()
        if size > SNAPSHOT_BYTES_MAX:
            raise CorruptLog(f"{name}: {size} bytes are more than any snapshot has")
        yield name, file, size
    finally:
        file.close()


def _header(name: str, file: File, size: int) -> SnapshotHeader:
    header = decode_snapshot_header(name, file.pread(SNAPSHOT_HEADER_BYTES, 0))
    if size != SNAPSHOT_HEADER_BYTES + header.config_bytes + header.data_bytes:
        raise content_has_changed(name)
    return header
