"""The steps of `Wal.open`: list, verify, copy what is unproven, remove what is dead."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from raftlog.disk.wal_books import Books
from raftlog.disk.wal_copy import copy_tail
from raftlog.disk.wal_format import PartHeader, new_epoch
from raftlog.disk.wal_recovery import SUFFIX, Listing, Scan, file_name, list_files, scan
from raftlog.disk.wal_replay import Recovered, recovered_groups
from raftlog.disk.wal_spares import Spares
from raftlog.disk.wal_state import Part
from raftlog.disk.wal_witness import Witness
from raftlog.errors import CorruptLog
from raftlog.seams import FileSystem


@dataclass(slots=True)
class Opening:
    """A recovered log, all of it durable."""

    parts: list[Part]
    witness: Witness
    books: Books
    next_sequence: int
    last_round: int
    low: int
    recovered: Recovered


def recover(fs: FileSystem, directory: str, spares: Spares, random: Random) -> Opening:
    """See `Wal.open`. Raises OSError as it comes."""
    _make_directory(fs, directory)
    witness = Witness(fs, directory)
    listing = list_files(fs, directory)
    result = scan(listing, directory)
    _refuse_lost(directory, witness, result)
    parts = result.parts
    if not result.clean:
        parts = _replace_unproven(fs, directory, listing, result, random)
    live = {part.name for part in parts}
    spare_names = {name for name, _ in listing.spares}
    for item in listing.found:
        if item.part.name not in live:
            item.part.file.close()
    for name in fs.listdir(directory):
        if name.endswith(SUFFIX) and name not in live and name not in spare_names:
            fs.unlink(f"{directory}/{name}")
    fs.sync_directory(directory)
    for name, size in listing.spares:
        spares.adopt(name, size)
    if result.last_round:
        witness.record(result.last_round)
        witness.mark_used()
    if not result.clean:
        witness.sync()
    spares.next_number = listing.next_number
    last = result.last
    return Opening(
        parts=parts,
        witness=witness,
        books=result.books,
        next_sequence=listing.next_sequence,
        last_round=result.last_round,
        low=last.low if last else 1,
        recovered=Recovered(
            recovered_groups(result.books),
            result.books,
            list(parts),
            clean=result.clean,
            cut=result.cut,
            last_round=result.last_round,
        ),
    )


def _refuse_lost(directory: str, witness: Witness, result: Scan) -> None:
    """Raise CorruptLog when the log ends before a round that was known to be durable."""
    if result.last_round >= witness.round:
        if witness.used and not result.last_round:
            raise CorruptLog(
                f"{directory}/: this directory held a write-ahead log, and it is gone or empty: "
                "with it went votes and entries that were promised to others, so this replica must "
                "not start as if it were new. Restore the files, or format the data directory anew "
                "under a new id"
            )
        return
    where = f" ({result.cut})" if result.cut else ""
    raise CorruptLog(
        f"{directory}: the log ends with round {result.last_round}{where}, and rounds up to "
        f"{witness.round} had been durable ({witness.path} says so): a file was removed, cut short "
        "or overwritten. What is gone may have been acknowledged, so this replica must not vote: "
        "restore the files, or format the data directory anew under a new id"
    )


def _make_directory(fs: FileSystem, directory: str) -> None:
    fs.mkdir(directory)
    names = directory.split("/")
    for depth in range(len(names)):
        fs.sync_directory("/".join(names[:depth]))


def _replace_unproven(
    fs: FileSystem, directory: str, listing: Listing, result: Scan, random: Random
) -> list[Part]:
    proven = result.durable
    kept = [part for part in result.parts if part.last_round <= proven]
    tail = result.parts[len(kept) :]
    header = PartHeader(
        sequence=listing.next_sequence,
        epoch=new_epoch(random, listing.next_sequence),
        previous=kept[-1].epoch if kept else 0,
        first_round=tail[0].first_round,
        durable=0,
        low=1,
        # Also what an earlier copy, now superseded itself, had superseded.
        supersedes=kept[-1].sequence + 1 if kept else 1,
    )
    name = file_name(listing.next_number)
    listing.next_sequence += 1
    listing.next_number += 1
    return [*kept, copy_tail(fs, directory, name, tail, header)]
