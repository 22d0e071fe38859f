"""The write-ahead log's parts: rounds, and what they hold of which groups."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from cli.dumping.lines import Line
from cli.dumping.metalog import record_lines
from cli.dumping.readonly import ReadOnlyFile
from cli.dumping.segments import facts_of
from metadata.codec import decode_entry
from metadata.errors import RecordError
from partitions.records.header import HEADER_BYTES, parse_header
from raftlog.disk.wal_format import (
    PART_HEADER_BYTES,
    PartHeader,
    RecordKind,
    decode_part_header,
)
from raftlog.disk.wal_scan import Round, Row, proves_durable, read_round
from raftlog.disk.wal_state import Part
from raftlog.types import METADATA_GROUP, EntryKind


def part(name: str, file: ReadOnlyFile, *, records: bool) -> Iterator[Line]:
    """Header and rounds of a part, to the first position where the next round is not valid.

    What lies behind it is an earlier life of the file, or a write that was torn, unless a round
    header of this life says that the missing round had been durable.
    """
    size = file.size()
    try:
        header = decode_part_header(file.pread(PART_HEADER_BYTES, 0))
    except ValueError as error:
        yield Line(name, 0, "part", {"bytes": size}, str(error))
        return
    if header is None or header.sequence == 0:
        yield Line(name, 0, "spare" if header else "empty", {"bytes": size})
        return
    short = f"{header.size} bytes had been durable: it was cut short"
    yield Line(name, 0, "part", _part_facts(header, size), short if size < header.size else None)
    yield from _rounds(name, file, header, size, records=records)


def _payload(name: str, file: ReadOnlyFile, row: Row) -> Iterator[Line]:
    """What an entry is about: metadata records, or a batch's header."""
    if row.kind != RecordKind.ENTRY or row.entry_kind != EntryKind.DATA:
        return
    if row.group == METADATA_GROUP:
        try:
            found = decode_entry(file.pread(row.length, row.position))
        except RecordError as error:
            yield Line(name, row.position, "records", {}, f"cannot be read: {error}")
            return
        yield from record_lines(name, row.position, found)
    elif row.length >= HEADER_BYTES:
        header = parse_header(file.pread(HEADER_BYTES, row.position))
        yield Line(name, row.position, "batch", facts_of(header))


def _part_facts(header: PartHeader, size: int) -> dict[str, Any]:
    return {
        "sequence": header.sequence,
        "first_round": header.first_round,
        "durable": header.durable,
        "needed_from": header.low,
        "supersedes": header.supersedes if header.supersedes < header.sequence else None,
        "bytes": size,
    }


def _rounds(
    name: str, file: ReadOnlyFile, header: PartHeader, size: int, *, records: bool
) -> Iterator[Line]:
    part = Part(name, file, header.sequence, header.epoch, header.first_round)
    position, number = PART_HEADER_BYTES, header.first_round
    while (found := read_round(part, position, size)) and found.header.round == number:
        yield Line(name, position, "round", _round_facts(found))
        if records:
            for row in found.rows():
                yield Line(name, row.position, _kind(row.kind), _row_facts(row))
                yield from _payload(name, file, row)
        position, number = found.end, number + 1
    proof = proves_durable(part, position, size, number)
    damage = None
    if proof is not None:
        damage = f"round {number} had been durable (byte {proof} says so), and is not valid"
    yield Line(name, position, "end", {"next_round": number}, damage)


def _round_facts(found: Round) -> dict[str, Any]:
    kinds: Counter[str] = Counter()
    groups = set()
    for row in found.rows():
        kinds[_kind(row.kind)] += 1
        groups.add(row.group)
    return {
        "round": found.header.round,
        "durable": found.header.durable,
        "needed_from": found.header.low,
        "bytes": found.end - found.position,
        "kinds": dict(kinds),
        "groups": sorted(groups),
        "clean": found.header.clean,
    }


def _row_facts(row: Row) -> dict[str, Any]:
    facts: dict[str, Any] = {"group": row.group}
    if row.kind == RecordKind.ENTRY:
        kinds = EntryKind._value2member_map_
        entry = kinds.get(row.entry_kind)
        facts["entry"] = entry.name if entry is not None else row.entry_kind
        facts |= {"index": row.index, "term": row.term, "base": row.base, "span": row.extra}
    elif row.kind == RecordKind.HARD_STATE:
        facts |= {"term": row.term, "vote": row.index if row.base else None}
    elif row.kind == RecordKind.TRUNCATE:
        facts |= {"from": row.index}
    elif row.kind in (RecordKind.CHECKPOINT, RecordKind.RESET):
        facts |= {"index": row.index, "term": row.term, "offset": row.base}
    return {**facts, "bytes": row.length}


def _kind(number: int) -> str:
    try:
        return RecordKind(number).name.lower()
    except ValueError:
        return str(number)
