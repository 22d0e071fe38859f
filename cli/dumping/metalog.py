"""The metadata group's files: entries with the records they carry, and the snapshot."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from cli.dumping.lines import Line, plain
from cli.dumping.readonly import ReadOnlyFile, ReadOnlyFileSystem
from cli.dumping.segments import UNSETTLED, zero_body
from metadata.codec import decode_entry
from metadata.errors import ImageError, RecordError
from metadata.image import decode_snapshot
from metadata.image.snapshot import snapshot_records
from raftlog.disk.segment_format import (
    FRAME_BYTES,
    SEGMENT_HEADER_BYTES,
    decode_frame,
    frame_is_valid,
    segment_header_is_valid,
)
from raftlog.disk.snapshot_file import read_snapshot
from raftlog.errors import CorruptLog
from raftlog.types import EntryKind


def entries(
    name: str, file: ReadOnlyFile, first: int, trusted: int, *, records: bool
) -> Iterator[Line]:
    """Every entry of a segment that begins with entry `first`; up to `trusted` all are needed."""
    size, position, index = file.size(), SEGMENT_HEADER_BYTES, first
    if not segment_header_is_valid(file.pread(SEGMENT_HEADER_BYTES, 0), first):
        yield _wrong(name, 0, size, first <= trusted, f"it does not begin as segment {first} must")
        return
    while position < size:
        frame = decode_frame(file.pread(FRAME_BYTES, position))
        fits = frame is not None and frame.length <= size - position - FRAME_BYTES
        payload = file.pread(frame.length, position + FRAME_BYTES) if frame and fits else b""
        if frame is None or frame.index != index or not frame_is_valid(frame, payload):
            why = f"entry {index} should come here, and it is not valid"
            yield _wrong(name, position, size, index <= trusted, why)
            return
        kind = EntryKind(frame.kind)
        facts = {"index": index, "term": frame.term, "kind": kind.name, "bytes": frame.length}
        yield from _entry(name, position, facts, kind, payload, records=records)
        position += FRAME_BYTES + frame.length
        index += 1


def _wrong(name: str, position: int, size: int, needed: bool, why: str) -> Line:
    if not needed:
        return Line(name, position, UNSETTLED, {"bytes": size - position, "why": why})
    return Line(name, position, "bytes", {"bytes": size - position}, why)


def _entry(
    name: str, at: int, facts: dict[str, Any], kind: EntryKind, payload: bytes, *, records: bool
) -> Iterator[Line]:
    if kind is not EntryKind.DATA:
        yield Line(name, at, "entry", {**facts, "body": zero_body(kind, payload)})
        return
    try:
        found = decode_entry(payload)
    except RecordError as error:
        yield Line(name, at, "entry", facts, f"its records cannot be read: {error}")
        return
    yield Line(name, at, "entry", {**facts, "records": [type(each).__name__ for each in found]})
    if records:
        yield from record_lines(name, at, found)


def record_lines(name: str, at: int | None, found: Iterable[Any]) -> Iterator[Line]:
    """A line per metadata record."""
    for record in found:
        yield Line(name, at, "record", {"type": type(record).__name__, **plain(record)})


def snapshot(fs: ReadOnlyFileSystem, directory: str, *, records: bool) -> Iterator[Line]:
    """The file `snapshot` of the directory."""
    name = f"{directory}/snapshot".removeprefix("/")
    try:
        meta, data = read_snapshot(fs, directory)
        image = decode_snapshot(data) if data else None
    except (CorruptLog, RecordError, ImageError) as error:
        yield Line(name, None, "snapshot", {}, str(error))
        return
    facts = {**plain(meta.position), "bytes": len(data), "voters": _nodes(meta.configuration)}
    yield Line(name, None, "snapshot", facts)
    if records and image is not None:
        yield from record_lines(name, None, snapshot_records(image))


def _nodes(configuration: Any) -> list[int]:
    return [voter.node for voter in configuration.voters]
