"""Opening a write-ahead log: find its parts, verify every round, cut a torn tail, refuse rot.

Rounds are numbered without a gap over all parts. The walk ends at the first position where
the expected round is not valid. Whether that is a torn write or corruption is decided by
proof: a later header of the same log that says that this very round had been synced. With
such a proof the bytes were durable and have changed since: CorruptLog. Without it they are
taken for a write that power loss interrupted, and the log ends there. Two more proofs hold even
where no later header is left: a part's header states the size that the file had, and the witness
(`wal_witness`) the last round that it knew to be durable. Damage that none of them speaks of
cannot be told from a tear.

After an unclean stop the rounds not proven durable are copied to a new file, which is synced
before it replaces the old one: the page cache may show what a failed sync never wrote.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from raftlog.disk.wal_books import Books
from raftlog.disk.wal_format import (
    PART_HEADER_BYTES,
    ROUND_HEADER_BYTES,
    PartHeader,
    RoundHeader,
    decode_part_header,
)
from raftlog.disk.wal_scan import proves_durable, read_round
from raftlog.disk.wal_state import Part
from raftlog.errors import CorruptLog
from raftlog.seams import FileSystem

SUFFIX = ".wal"


def file_name(number: int) -> str:
    """Files are numbered in order of creation; what they hold is in their header."""
    return f"{number:016d}{SUFFIX}"


class Found(NamedTuple):
    """A file whose header makes it a part."""

    part: Part
    header: PartHeader
    size: int


@dataclass(slots=True)
class Listing:
    """The files of the directory, by what their headers say."""

    found: list[Found] = field(default_factory=list)
    """Parts in order, superseded ones left out."""
    spares: list[tuple[str, int]] = field(default_factory=list)
    """Name, and the size that its header promises."""
    void: list[str] = field(default_factory=list)
    """Never became a part, or was replaced by one."""
    next_number: int = 1
    next_sequence: int = 1


@dataclass(slots=True)
class Scan:
    """What the walk established."""

    parts: list[Part] = field(default_factory=list)
    """Parts with at least one valid round."""
    useless: list[Part] = field(default_factory=list)
    """Parts behind the end of the log, or below what is still needed."""
    books: Books = field(default_factory=Books)
    last: RoundHeader | None = None
    durable: int = 0
    """Last round that a valid later one says was durable."""
    cut: str = ""
    """Where the walk ended; for people."""

    @property
    def clean(self) -> bool:
        """The last round is an orderly shutdown's, or there is none at all."""
        return self.last is None or (self.last.clean and self.last.records == 0)

    @property
    def last_round(self) -> int:
        """Number of the last valid round, the mark of a clean shutdown left out; 0 for none."""
        return self.last.round - self.clean if self.last else 0

    def drop_mark(self) -> None:
        """Forget the mark of a clean shutdown: its own sync may have failed or not have begun.

        What it says is true all the same: every round before it was durable when it was
        written. The next round takes its number.
        """
        if self.last is None or not self.clean:
            return
        part = self.parts[-1]
        part.last_round -= 1
        part.end -= ROUND_HEADER_BYTES
        if part.last_round < part.first_round:
            self.useless.append(self.parts.pop())


def list_files(fs: FileSystem, directory: str) -> Listing:
    """Read all headers. A file that is no part of a log by accident is CorruptLog."""
    listing = Listing()
    headers: list[tuple[PartHeader, str]] = []
    for name in fs.listdir(directory):
        stem = name.removesuffix(SUFFIX)
        if stem == name or not stem.isdigit():
            continue
        listing.next_number = max(listing.next_number, int(stem) + 1)
        header = _read_header(fs, f"{directory}/{name}")
        if header is None:
            listing.void.append(name)
        elif header.sequence == 0:
            listing.spares.append((name, header.size))
        else:
            headers.append((header, name))
    headers.sort()
    if headers:
        listing.next_sequence = headers[-1][0].sequence + 1
    for header, name in _in_force(headers, listing.void):
        file = fs.open(f"{directory}/{name}")
        part = Part(name, file, header.sequence, header.epoch, header.first_round)
        size = part.capacity = file.size()
        _check_size(f"{directory}/{name}", size, header.size)
        listing.found.append(Found(part, header, size))
    return listing


def _check_size(path: str, size: int, promised: int) -> None:
    """No crash makes a file shorter than what was durable of it: somebody cut it."""
    if size < promised:
        raise CorruptLog(
            f"{path} is {size} bytes long, and {promised} bytes of it had been durable: it was cut "
            "short. What it held may have been acknowledged, so this replica must not vote: "
            "restore the file, or format the data directory anew under a new id"
        )


def _read_header(fs: FileSystem, path: str) -> PartHeader | None:
    file = fs.open(path)
    try:
        return decode_part_header(file.pread(PART_HEADER_BYTES, 0))
    except ValueError as error:
        raise CorruptLog(
            f"{path}: {error}. This replica must not vote with it: restore the file, or format "
            "the data directory anew under a new id"
        ) from None
    finally:
        file.close()


def _in_force(
    headers: list[tuple[PartHeader, str]], void: list[str]
) -> list[tuple[PartHeader, str]]:
    kept: list[tuple[PartHeader, str]] = []
    floor = 0
    for header, name in reversed(headers):
        if floor and header.sequence >= floor:
            void.append(name)
            # What a void copy had replaced stays replaced: a recovery that was itself
            # interrupted and repeated copied those parts again.
            floor = min(floor, header.supersedes)
            continue
        kept.append((header, name))
        floor = header.supersedes if header.supersedes < header.sequence else 0
    kept.reverse()
    return kept


def scan(listing: Listing, directory: str) -> Scan:
    """Walk all rounds. Parts below what the last round still needs are not taken in."""
    found = listing.found
    while True:
        result = _walk(found, directory)
        low = result.last.low if result.last else max(1, *(i.header.low for i in found), 1)
        if len(result.parts) > 1 and result.parts[0].last_round < low:
            # Its recycling was decided, and only undone by the crash.
            found = [item for item in found if item.part is not result.parts[0]]
            continue
        retired = [item.part for item in listing.found if item not in found]
        result.useless = retired + result.useless
        if _begins_too_late(found, result, low):
            _refuse_missing(directory, found, result, low)
            return Scan(useless=[item.part for item in listing.found])
        result.drop_mark()
        result.books.finish(result.parts)
        return result


def _begins_too_late(found: list[Found], result: Scan, low: int) -> bool:
    if result.parts:
        return result.parts[0].first_round > low
    return bool(found) and found[0].header.first_round > low


def _refuse_missing(directory: str, found: list[Found], result: Scan, low: int) -> None:
    """Raise CorruptLog, unless the missing beginning was never durable: then there is no log."""
    durable = max(result.durable, *(item.header.durable for item in found))
    if durable >= low:
        raise CorruptLog(
            f"{directory}: rounds {low}..{found[0].header.first_round - 1} are missing, and rounds "
            f"up to {durable} had been durable. This replica must not vote: restore the missing "
            "file, or format the data directory anew"
        )


def _walk(found: list[Found], directory: str) -> Scan:
    result = Scan()
    expected = found[0].header.first_round if found else 1
    for position, item in enumerate(found):
        item.part.entries.clear()
        stop = _continued_at(item, found[position + 1 :])
        end = PART_HEADER_BYTES
        if item.header.first_round == expected:
            end = _walk_part(item, stop, result)
            expected = item.part.last_round + 1
        if expected != stop:
            _refuse_proof(found[position:], end, expected, directory)
            result.cut = f"{directory}/{item.part.name} at byte {end}, before round {expected}"
            break
    result.parts = [item.part for item in found if item.part.last_round >= item.part.first_round]
    result.useless = [item.part for item in found if item.part not in result.parts]
    return result


def _continued_at(item: Found, later: list[Found]) -> int:
    """The round with which the next part continues this one; 0 when it does not."""
    if later and later[0].header.previous == item.header.epoch:
        return later[0].header.first_round
    return 0


def _walk_part(item: Found, stop: int, result: Scan) -> int:
    part = item.part
    part.last_round = part.first_round - 1
    position = PART_HEADER_BYTES
    while part.last_round + 1 != stop:
        found = read_round(part, position, item.size)
        if found is None or found.header.round != part.last_round + 1:
            break
        result.books.apply(part, found)
        result.last = found.header
        result.durable = max(result.durable, found.header.durable)
        part.last_round = found.header.round
        position = found.end
    part.end = position
    return position


def _refuse_proof(rest: list[Found], position: int, number: int, directory: str) -> None:
    """Raise CorruptLog when something after the end of the walk says `number` was durable."""
    broken = rest[0].part
    for item in rest:
        if item is not rest[0]:
            position = PART_HEADER_BYTES
            if item.header.durable >= number:
                _refuse(directory, broken, rest[0].part.end, number, f"{item.part.name}'s header")
        where = proves_durable(item.part, position, item.size, number)
        if where is not None:
            proof = f"{item.part.name} at byte {where}"
            _refuse(directory, broken, rest[0].part.end, number, proof)


def _refuse(directory: str, broken: Part, position: int, number: int, proof: str) -> None:
    raise CorruptLog(
        f"{directory}/{broken.name}: round {number} at byte {position} is damaged, and it was "
        f"durable before ({proof} says so). This replica must not vote or acknowledge: restore "
        "the file, or format the data directory anew under a new id"
    )
