"""Making and opening a log's directory: which files count, and how far each can be believed.

Durable are, for certain: `log.snapshot` if it exists, and of the segments and sidecars what
the checkpoint covers, less what was truncated since (`trusted_index`). Everything else is
whatever the page cache happened to write. So: the sidecar of the checkpoint's segment is valid
to the byte the checkpoint names, or it is corrupt; earlier segments must reach up to where
the next one begins; what lies behind is cut off or removed, and replayed by the caller.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from partitions.storage import sidecar
from partitions.storage.config import LogConfig
from partitions.storage.extent import is_sealed, replay, settle
from partitions.storage.files import FileCache
from partitions.storage.manifest import (
    MANIFEST_NAME,
    RECENT_NAME,
    Manifest,
    ProducerSnapshot,
    decode_manifest,
    decode_producers,
    decode_recent,
)
from partitions.storage.producers import ProducerTable
from partitions.storage.segment import Segment, segment_name
from partitions.storage.sidecar import Start, encode, salt_of
from partitions.storage.syncing import Detail, decode_detail
from partitions.storage.terms import TermRun, TermRuns
from raftlog.core import decode_configuration, encode_configuration
from raftlog.errors import CorruptLog
from raftlog.storage import Checkpoint
from raftlog.types import LogPosition, SnapshotMeta

START_BYTES_MAX = 64 * 1024
_UNFINISHED = (f"{MANIFEST_NAME}.", f"{RECENT_NAME}.")
_SUFFIXES = (".log", ".raft", ".producers")


@dataclass(slots=True)
class Loaded:
    """What a PartitionLog consists of."""

    birth: tuple[int, int]
    meta: SnapshotMeta
    segments: list[Segment]
    runs: TermRuns
    log_start: int
    producers: ProducerTable
    unsynced: list[Segment]
    """Whose files were written, or may not have been synced before."""
    superseded: bool = False


def create_log(files: FileCache, path: str, config: LogConfig, snapshot: SnapshotMeta) -> Loaded:
    """An empty log; see PartitionLog.create."""
    fs = files.fs
    if fs.exists(path):
        fs.rmtree(path)
    fs.mkdir(path)
    position = snapshot.position
    birth = (position.index, position.term)
    segment = _fresh(files, path, config, birth, snapshot)
    table = ProducerTable(config.producers_max, config.producer_expiration_ms)
    runs = TermRuns(position, ())
    return Loaded(birth, snapshot, [segment], runs, position.offset, table, [segment])


def _fresh(
    files: FileCache, path: str, config: LogConfig, birth: tuple[int, int], meta: SnapshotMeta
) -> Segment:
    position = meta.position
    configuration = encode_configuration(meta.configuration)
    start = Start(birth, position.offset, position.index, position.term, configuration)
    segment = Segment(files, path, start)
    segment.next_point = config.index_interval_bytes
    frames = segment.opening()
    segment.sidecar.truncate(0)
    segment.sidecar.pwrite(frames, 0)
    if files.fs.exists(segment.log_path):
        segment.file.truncate(0)
    segment.side_size = sum(map(len, frames))
    return segment


def load_log(
    files: FileCache,
    path: str,
    config: LogConfig,
    checkpoint: Checkpoint | None,
    trusted_index: int | None,
) -> Loaded:
    """See PartitionLog.open."""
    manifest = _read_manifest(files, path)
    detail = decode_detail(checkpoint.detail) if checkpoint else None
    starts = _read_starts(files, path)
    birth = _birth(manifest, detail, starts, path)
    superseded = detail is not None and detail.birth != birth
    target = trusted_index
    if superseded:
        detail, target = None, 0
    elif checkpoint is not None and target is not None:
        target = min(checkpoint.position.index, target)
    starts = [start for start in starts if start.birth == birth]
    meta = manifest.meta if manifest else _meta_of(starts, path)
    if target is not None:
        target = max(target, meta.position.index)
    chain = _chain(starts, meta, target)
    segments, terms, claims = _load_segments(files, path, config, chain, detail, target)
    if not segments:
        if not manifest:
            raise CorruptLog(f"{path}: the first segment is missing")
        segments, claims = [_fresh(files, path, config, birth, meta)], True
    first, begin = segments[0].start, meta.position
    if first.previous_index > begin.index:
        raise CorruptLog(
            f"{path}: entries {begin.index + 1}..{first.previous_index} are missing: the "
            "sidecar of their segment is damaged or gone. This replica must not vote"
        )
    reached = segments[-1].last_index
    wanted = target or 0
    if reached < wanted:
        raise CorruptLog(
            f"{segments[-1].path}: entries {reached + 1}..{wanted} were durable and are missing "
            "from the segment or its sidecar. This replica must not vote"
        )
    if detail is not None and checkpoint is not None:
        _compare(segments[-1], checkpoint.position, detail)
    runs = _runs(meta, manifest, terms)
    table = ProducerTable(config.producers_max, config.producer_expiration_ms)
    recent = _read_recent(files, path, segments, runs, meta.position)
    end = segments[-1].end_offset
    table.restore(*producers_at(files, path, config, segments, end, recent))
    log_start = max(meta.position.offset, manifest.log_start if manifest else 0)
    # Only now are files changed: everything that was durable is there, the rest is to be cut.
    _trim_files(segments[-1], claims)
    _remove_others(files, path, segments)
    unsynced = segments if target is None else segments[-1:]
    if detail is not None and not claims and _is_as_recorded(segments[-1], detail):
        unsynced = []
    return Loaded(birth, meta, segments, runs, log_start, table, unsynced, superseded)


def _compare(active: Segment, position: LogPosition, detail: Detail) -> None:
    """A log that ends at its checkpoint ends at the places recorded there."""
    if active.last_index != position.index or active.base != detail.base:
        return
    if (active.end_offset, active.size) != (position.offset, detail.size):
        raise CorruptLog(
            f"{active.log_path}: it ends at offset {active.end_offset} and byte {active.size}; at "
            f"{position.offset} and {detail.size} when entry {position.index} was made durable. "
            "This replica must not vote"
        )


def _is_as_recorded(active: Segment, detail: Detail) -> bool:
    return detail[1:] == (active.base, active.size, active.side_size)


def _read_manifest(files: FileCache, path: str) -> Manifest | None:
    name = f"{path}/{MANIFEST_NAME}"
    if not files.fs.exists(name):
        return None
    file = files.fs.open(name)
    try:
        return decode_manifest(file.pread(file.size(), 0), name)
    finally:
        file.close()


def _read_starts(files: FileCache, path: str) -> list[Start]:
    found = []
    for name in files.fs.listdir(path):
        stem = name.removesuffix(".raft")
        if stem != name and stem.isdigit():
            start = _read_start(files, f"{path}/{name}", int(stem))
            if start is not None:
                found.append(start)
    return sorted(found, key=lambda start: start.base)


def _read_start(files: FileCache, path: str, base: int) -> Start | None:
    """None for a file that does not begin as a sidecar: it was never synced."""
    data = files.get(path).pread(START_BYTES_MAX, 0)
    if not data.startswith(sidecar.MAGIC):
        return None
    first = next(sidecar.decode(data, salt_of(base), len(sidecar.MAGIC)), None)
    if first is None or not isinstance(first[1], Start) or first[1].base != base:
        return None
    return first[1]


def _birth(
    manifest: Manifest | None, detail: Detail | None, starts: Sequence[Start], path: str
) -> tuple[int, int]:
    if manifest is not None:
        return manifest.birth
    if detail is not None:
        return detail.birth
    if starts:
        return starts[0].birth
    raise CorruptLog(f"{path}: there is no segment and no snapshot in this directory")


def _meta_of(starts: Sequence[Start], path: str) -> SnapshotMeta:
    """Of a log that was never trimmed: where its first segment begins."""
    if not starts:
        raise CorruptLog(f"{path}: the first segment's sidecar is missing or unreadable")
    first = starts[0]
    if (first.previous_index, first.previous_term) != first.birth:
        raise CorruptLog(f"{path}: the segments below {segment_name(first.base)} are missing")
    position = LogPosition(first.previous_index, first.previous_term, first.base)
    try:
        return SnapshotMeta(position, decode_configuration(first.configuration))
    except ValueError as error:
        raise CorruptLog(f"{path}: the first segment's configuration: {error}") from None


def _chain(starts: Sequence[Start], meta: SnapshotMeta, target: int | None) -> list[Start]:
    """Segments that begin at or above the snapshot, and below the entry to stop at."""
    position = meta.position
    return [
        start
        for start in starts
        if start.previous_index >= position.index
        and start.base >= position.offset
        and (start.base == position.offset or target is None or start.previous_index < target)
    ]


def _load_segments(
    files: FileCache,
    path: str,
    config: LogConfig,
    starts: Sequence[Start],
    detail: Detail | None,
    target: int | None,
) -> tuple[list[Segment], dict[int, tuple[int, int]], bool]:
    """(segments, entries that may start a term, whether the last sidecar claims too much).

    Nothing is changed: files that turn out to be damaged are evidence.
    """
    segments: list[Segment] = []
    terms: dict[int, tuple[int, int]] = {}
    claims = False
    for number, start in enumerate(starts):
        if segments and not _continues(segments[-1], start):
            break
        upto = starts[number + 1].previous_index if number + 1 < len(starts) else None
        if upto is None or (target is not None and target < upto):
            upto = target
        segment = Segment(files, path, start)
        # A segment of which nothing is needed may be a later one of the same name.
        needed = target is None or start.previous_index < target
        strict = detail.side_size if detail and needed and detail.base == start.base else 0
        said = replay(segment, strict)
        if target is not None and number + 1 < len(starts) and not is_sealed(segment, said, upto):
            raise CorruptLog(
                f"{segment.raft_path} at byte {segment.side_size}: damaged, or the segment is cut "
                "short: it does not say that the segment is complete, although another one "
                "follows. This replica must not vote"
            )
        claims = settle(segment, said, upto, config.index_interval_bytes)
        segments.append(segment)
        terms.update(said.terms)
        if upto is not None and segment.last_index < upto:
            break
    return segments, terms, claims


def _continues(before: Segment, start: Start) -> bool:
    return start.previous_index == before.last_index and start.base == before.end_offset


def _trim_files(active: Segment, claims: bool) -> None:
    """Cut what lies behind the end, and say so in the sidecar if it claims more."""
    if active.files.fs.exists(active.log_path):
        if active.file.size() > active.size:
            active.file.truncate(active.size)
    side = active.sidecar
    if side.size() > active.side_size:
        side.truncate(active.side_size)
    if not claims:
        return
    first = active.last_index + 1
    frame = encode(sidecar.Truncate(first, active.end_offset, active.size), active.salt)
    side.pwrite([frame], active.side_size)
    active.side_size += len(frame)


def _remove_others(files: FileCache, path: str, segments: Sequence[Segment]) -> None:
    keep = {segment.base for segment in segments}
    for name in files.fs.listdir(path):
        stem, dot, suffix = name.rpartition(".")
        stale = stem.isdigit() and dot + suffix in _SUFFIXES and int(stem) not in keep
        if stale or name.startswith(_UNFINISHED):
            files.forget(f"{path}/{name}")
            files.fs.unlink(f"{path}/{name}")


def _runs(
    meta: SnapshotMeta, manifest: Manifest | None, terms: dict[int, tuple[int, int]]
) -> TermRuns:
    runs = TermRuns(meta.position, manifest.epochs if manifest else ())
    for index, (term, offset) in sorted(terms.items()):
        if term != runs.last_term:
            runs.append(TermRun(index, term, offset))
    return runs


def producers_at(
    files: FileCache,
    path: str,
    config: LogConfig,
    segments: Sequence[Segment],
    offset: int,
    recent: ProducerSnapshot | None = None,
) -> ProducerSnapshot:
    """The producer table when the log ended at `offset`: the nearest saved one, and on from it.

    `recent` is one that belongs to this log for certain. A table saved at a roll that cannot
    be read is passed over: the one before it and the batches say the same.
    """
    table = ProducerTable(config.producers_max, config.producer_expiration_ms)
    saved = recent or _nearest(files, path, segments, offset)
    if saved is not None:
        table.restore(*saved)
    begin = saved.offset if saved else -1
    for segment in segments:
        if segment.end_offset <= begin or segment.base >= offset:
            continue
        for _, header in segment.headers(segment.position_of(begin), segment.size):
            if header.base_offset >= offset:
                break
            table.appended(header, header.base_offset)
    clock, states = table.written()
    return ProducerSnapshot(offset, clock, states)


def _nearest(
    files: FileCache, path: str, segments: Sequence[Segment], offset: int
) -> ProducerSnapshot | None:
    for segment in reversed(segments):
        if segment.base <= offset:
            saved = _saved_table(files, segment)
            if saved is not None:
                return saved
    manifest = _read_manifest(files, path)
    if manifest is not None and manifest.producers.offset <= offset:
        return manifest.producers
    return None


def _read_recent(
    files: FileCache,
    path: str,
    segments: Sequence[Segment],
    runs: TermRuns,
    start: LogPosition,
) -> ProducerSnapshot | None:
    """The saved table, if the entry at which it was saved is in the log."""
    name = f"{path}/{RECENT_NAME}"
    if not files.fs.exists(name):
        return None
    file = files.fs.open(name)
    try:
        position, table = decode_recent(file.pread(file.size(), 0), name)
    except CorruptLog:
        return None
    finally:
        file.close()
    if not start.index < position.index <= segments[-1].last_index:
        return None
    owner = next(s for s in reversed(segments) if s.first_index <= position.index)
    end = owner.locate(position.index + 1).offset
    if runs.term(position.index) != position.term or end != position.offset:
        return None
    return table


def _saved_table(files: FileCache, segment: Segment) -> ProducerSnapshot | None:
    name = f"{segment.path}.producers"
    if not files.fs.exists(name):
        return None
    file = files.fs.open(name)
    try:
        saved = decode_producers(file.pread(file.size(), 0), name)
    except CorruptLog:
        return None
    finally:
        file.close()
    return saved if saved.offset == segment.base else None
