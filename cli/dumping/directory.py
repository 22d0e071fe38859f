"""Which files there are, and which reader each one needs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from cli.dumping import metalog, segments, walparts
from cli.dumping.lines import Line, plain
from cli.dumping.readonly import ReadOnlyFile, ReadOnlyFileSystem
from cli.dumping.trust import EVERYTHING, Root, Trust
from cli.places import Wanted
from partitions.storage.manifest import (
    MANIFEST_BYTES_MAX,
    MANIFEST_NAME,
    RECENT_NAME,
    decode_manifest,
    decode_producers,
    decode_recent,
)
from raftlog.disk.overlay import OverlayFileSystem
from raftlog.disk.properties import FILE_NAME, read_properties
from raftlog.disk.segments import SUFFIX as ENTRIES
from raftlog.disk.wal_recovery import SUFFIX as PART
from raftlog.disk.wal_witness import NAME as WITNESS
from raftlog.disk.wal_witness import Witness
from raftlog.errors import CorruptLog, Misconfigured
from raftlog.types import METADATA_GROUP

SIDECAR_BYTES_MAX = 1 << 30
_PARTITION = re.compile(r"(\d+)-(.+)-(\d+)")
AREAS = ("properties", "wal", "metadata", "partitions")
SEGMENT, SIDE, PRODUCERS = ".log", ".raft", ".producers"


class Question(NamedTuple):
    """What is to be shown."""

    records: bool = False
    areas: Sequence[str] = AREAS
    places: Sequence[Wanted] = ()
    """Partitions, if not all."""


NO_ROOT = Trust(None, None)


def dump(path: Path, root: Root | None, question: Question) -> Iterator[Line]:
    """Everything at or below `path`, by name. OSError only for `path` itself."""
    top = path if path.is_dir() else path.parent
    base = root.path if root is not None else top
    fs = ReadOnlyFileSystem(base)
    trust = root.trust if root is not None else NO_ROOT
    if root is not None and path.resolve() == root.path and "wal" in question.areas:
        yield from trust.lines()
    for each in sorted(_files(path), key=_order):
        name = str(each.resolve().relative_to(base.resolve()))
        if _wanted(name, question):
            yield from file_lines(fs, name, trust, question)


def _order(path: Path) -> list[tuple[int, str]]:
    """By name, numbers in it by their value."""
    parts = re.split(r"(\d+)", str(path))
    return [(int(part) if part.isdigit() else -1, part) for part in parts]


def _files(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return
    for each in path.rglob("*"):
        if each.is_file() and not each.is_symlink():
            yield each


def _wanted(name: str, question: Question) -> bool:
    parts = name.split("/")
    area = parts[0] if len(parts) > 1 and parts[0] in AREAS else "properties"
    if _PARTITION.fullmatch(parts[-2] if len(parts) > 1 else ""):
        area = "partitions"
    if area not in question.areas:
        return False
    if not question.places:
        return True
    found = _PARTITION.fullmatch(parts[-2]) if area == "partitions" else None
    return found is not None and any(
        found[2] == topic and (not numbers or int(found[3]) in numbers)
        for topic, numbers in question.places
    )


def file_lines(
    fs: ReadOnlyFileSystem, name: str, trust: Trust, question: Question
) -> Iterator[Line]:
    """One file: a line for itself, then what it holds. What cannot be read is damage."""
    try:
        file = fs.open(name)
    except OSError as error:
        yield Line(name, None, "file", {}, f"cannot be opened: {error.strerror or error}")
        return
    try:
        yield Line(name, None, "file", {"bytes": file.size()})
        yield from _content(fs, name, file, trust, question)
    except OSError as error:
        yield Line(name, None, "file", {}, f"cannot be read: {error.strerror or error}")
    finally:
        file.close()


def _content(
    fs: ReadOnlyFileSystem, name: str, file: ReadOnlyFile, trust: Trust, question: Question
) -> Iterator[Line]:
    directory, _, last = name.rpartition("/")
    stem, dot, suffix = last.rpartition(".")
    records = question.records
    if stem.isdigit() and dot + suffix in (SEGMENT, SIDE):
        group = _group(directory)
        sizes = (EVERYTHING, EVERYTHING) if group is None else trust.sizes(group, int(stem))
        if dot + suffix == SEGMENT:
            yield from segments.batches(name, file, int(stem), sizes[0], records=records)
        else:
            data = file.pread(min(file.size(), SIDECAR_BYTES_MAX), 0)
            yield from segments.sidecar_lines(name, data, int(stem), sizes[1])
    elif stem.isdigit() and dot + suffix == ENTRIES:
        trusted = trust.index(METADATA_GROUP)
        yield from metalog.entries(name, file, int(stem), trusted, records=records)
    elif stem.isdigit() and dot + suffix == PART:
        yield from walparts.part(name, file, records=records)
    elif last == "snapshot":
        yield from metalog.snapshot(fs, directory, records=records)
    else:
        yield from _small(fs, name, file, last)


def _group(directory: str) -> int | None:
    found = _PARTITION.fullmatch(directory.rpartition("/")[2])
    return int(found[1]) if found else None


def _small(fs: ReadOnlyFileSystem, name: str, file: ReadOnlyFile, last: str) -> Iterator[Line]:
    """Files that are read as a whole."""
    reader = _READERS.get(last) or (_producers if last.endswith(PRODUCERS) else None)
    if reader is None:
        return
    try:
        yield Line(name, None, *reader(fs, name, file))
    except (CorruptLog, Misconfigured) as error:
        yield Line(name, None, last, {}, str(error))


def _read(file: ReadOnlyFile) -> bytes:
    if file.size() > MANIFEST_BYTES_MAX + 1024:
        raise CorruptLog(f"{file.size()} bytes are more than such a file ever has")
    return file.pread(file.size(), 0)


def _properties(fs: ReadOnlyFileSystem, name: str, file: ReadOnlyFile) -> tuple[str, Any]:
    below = name.rpartition("/")[0]
    found = read_properties(ReadOnlyFileSystem(fs.root / below))
    facts = {**plain(found), "voters": [str(voter) for voter in found.voters]}
    return "properties", facts


def _witness(fs: ReadOnlyFileSystem, name: str, file: ReadOnlyFile) -> tuple[str, Any]:
    claim = Witness(OverlayFileSystem(fs), name.rpartition("/")[0])
    return "witness", {"durable": claim.round}


def _manifest(fs: ReadOnlyFileSystem, name: str, file: ReadOnlyFile) -> tuple[str, Any]:
    found = decode_manifest(_read(file), name)
    return "snapshot", {
        **plain(found.meta.position),
        "birth": list(found.birth),
        "log_start": found.log_start,
        "epochs": plain(found.epochs),
        "producers": len(found.producers.states),
    }


def _producers(fs: ReadOnlyFileSystem, name: str, file: ReadOnlyFile) -> tuple[str, Any]:
    found = decode_producers(_read(file), name)
    return "producers", {"offset": found.offset, "producers": _states(found)}


def _recent(fs: ReadOnlyFileSystem, name: str, file: ReadOnlyFile) -> tuple[str, Any]:
    position, found = decode_recent(_read(file), name)
    return "producers", {**plain(position), "producers": _states(found)}


def _states(found: Any) -> dict[str, Any]:
    return {
        str(producer): {
            "epoch": state.epoch,
            "last_sequence": state.batches[-1].last_sequence if state.batches else None,
            "offset": state.offset,
        }
        for producer, state in sorted(found.states.items())
    }


_READERS: dict[str, Callable[[ReadOnlyFileSystem, str, ReadOnlyFile], tuple[str, Any]]] = {
    FILE_NAME: _properties,
    WITNESS: _witness,
    MANIFEST_NAME: _manifest,
    RECENT_NAME: _recent,
}
