"""Figures of the write-ahead log on this machine's disk: `python -m bench.wal [DIRECTORY]`.

Prints the time `write_round` takes apart from the write itself, and what a stream of synced
rounds reaches on recycled files against files that grow. A few seconds, a few hundred MiB.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random
from statistics import median, quantiles
from typing import NamedTuple

from raftlog.disk.fs import OsFileSystem
from raftlog.disk.wal import Wal
from raftlog.storage import Checkpoint
from raftlog.testing.disk import VirtualDisk, VirtualFile
from raftlog.types import Buffer, Entry, EntryKind, LogPosition

ENTRY_BYTES = 5 * 1024
GROUPS = 10
PART_BYTES = 16 * 1024 * 1024


class _NoFile(VirtualFile):
    def pwrite(self, buffers: Sequence[Buffer], offset: int) -> None:
        """Nothing: what is left is the log's own time."""


class _NoDisk(VirtualDisk):
    def open(self, path: str, *, create: bool = False) -> VirtualFile:
        """A file that takes everything and keeps nothing."""
        return _NoFile(self, super().open(path, create=create)._inode)


def _stage(wal: Wal, index: int, payload: bytes) -> None:
    for group in range(GROUPS):
        wal.stage_entries(group, (Entry(index, 1, EntryKind.DATA, index - 1, 1, payload),))


def cpu_per_round(rounds: int = 3000) -> float:
    """Microseconds for staging ten entries of 5 KiB in ten groups and writing the round."""
    wal, _ = Wal.open(_NoDisk(Random(1)), "wal", part_bytes=1 << 40, random=Random(2))
    payload = Random(3).randbytes(ENTRY_BYTES)
    for group in range(GROUPS):
        wal.stage_create(group, b"")
    wal.write_round()
    taken = []
    for index in range(1, rounds + 1):
        start = time.perf_counter_ns()
        _stage(wal, index, payload)
        wal.write_round()
        taken.append(time.perf_counter_ns() - start)
    return median(taken) / 1000


class Rates(NamedTuple):
    """Of a stream of rounds, each synced before the next is written."""

    megabytes: float
    median_us: float
    p99_us: float


def durable_rates(root: Path, parts: int = 6) -> tuple[Rates, Rates]:
    """Rounds of 50 KiB on files that grow, then on the same files recycled."""
    wal, _ = Wal.open(
        OsFileSystem(root), "wal", part_bytes=PART_BYTES, spare_parts=parts, random=Random(2)
    )
    for group in range(GROUPS):
        wal.stage_create(group, b"")
    rounds = (parts - 1) * PART_BYTES // (GROUPS * (ENTRY_BYTES + 64))
    fresh = _stream(wal, 1, rounds)
    for group in range(GROUPS):
        wal.stage_checkpoint(group, Checkpoint(LogPosition(rounds, 1, rounds), b""))
    _sync(wal)
    for part in wal.retirable():
        wal.carry_forward(part.sequence)
        _sync(wal)
        wal.recycle(part.sequence)
        _sync(wal)
    job = wal.prepare_spare_job()
    if job is not None:
        job()
    recycled = _stream(wal, rounds + 1, rounds)
    wal.close()
    return fresh, recycled


def _stream(wal: Wal, first: int, rounds: int) -> Rates:
    payload = Random(3).randbytes(ENTRY_BYTES)
    taken = []
    for index in range(first, first + rounds):
        _stage(wal, index, payload)
        start = time.perf_counter_ns()
        _sync(wal)
        taken.append(time.perf_counter_ns() - start)
    total = rounds * GROUPS * ENTRY_BYTES
    micros = quantiles(taken, n=100)
    return Rates(total * 1000 / sum(taken), median(taken) / 1000, micros[98] / 1000)


def _sync(wal: Wal) -> None:
    number = wal.write_round()
    wal.sync_job()()
    wal.synced(number)


def main() -> None:
    """Print the figures."""
    say = sys.stdout.write
    say(f"write_round, {GROUPS} entries of {ENTRY_BYTES} B: {cpu_per_round():.1f} us of Python\n")
    where = sys.argv[1] if len(sys.argv) > 1 else None
    for _ in range(2):
        with tempfile.TemporaryDirectory(dir=where) as root:
            results = durable_rates(Path(root))
        for name, rates in zip(("growing files", "recycled files"), results, strict=True):
            say(
                f"{name}: {rates.megabytes:.0f} MB/s durable; a synced round of 50 KiB takes "
                f"{rates.median_us:.0f} us, 99th percentile {rates.p99_us:.0f} us\n"
            )


if __name__ == "__main__":
    main()
