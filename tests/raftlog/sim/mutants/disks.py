"""What survives: mistakes that only the real disk code can make."""

from __future__ import annotations

import errno
from collections.abc import Sequence

from pytest import MonkeyPatch

from raftlog.disk import wal_scan
from raftlog.disk.segment_log import SegmentLog
from raftlog.testing.disk import VirtualFile
from raftlog.types import Buffer
from tests.raftlog.sim.mutants.table import mutant


@mutant({"what was durable is recovered", "CorruptLog"}, disk="wal")
def believes_a_disk_that_does_not_sync(patch: MonkeyPatch) -> None:
    """Syncs return at once and make nothing durable."""
    patch.setattr(VirtualFile, "sync", lambda self: None)


@mutant({"what was durable is recovered", "CorruptLog"}, disk="wal")
def tries_a_failed_sync_again(patch: MonkeyPatch) -> None:
    """The second fsync returns without an error, and the pages are gone all the same."""
    right = VirtualFile.sync

    def sync(self: VirtualFile) -> None:
        try:
            right(self)
        except OSError:
            right(self)

    patch.setattr(VirtualFile, "sync", sync)


@mutant({"CorruptLog"}, disk="wal")
def records_checkpoints_before_the_files_are_synced(patch: MonkeyPatch) -> None:
    """The write-ahead log lets go of entries that are in the page cache only."""
    patch.setattr(SegmentLog, "sync_job", lambda self: lambda: None)


@mutant({"what was durable is recovered", "CorruptLog", "ValueError"}, fault=16, disk="wal")
def trusts_bytes_without_their_checksum(patch: MonkeyPatch) -> None:
    """Recovery takes a torn round for a whole one."""
    patch.setattr(wal_scan, "_body_is_valid", lambda part, found: True)


@mutant({"what was durable is recovered", "CorruptLog"}, disk="wal")
def goes_on_on_a_full_disk(patch: MonkeyPatch) -> None:
    """A write for which there was no space, or half of it, is taken for done."""
    right = VirtualFile.pwrite

    def pwrite(self: VirtualFile, buffers: Sequence[Buffer], offset: int) -> None:
        try:
            right(self, buffers, offset)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise

    patch.setattr(VirtualFile, "pwrite", pwrite)
