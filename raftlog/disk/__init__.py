"""Disks: the shared write-ahead log, a generic GroupLog, and the file system they stand on.

What is promised in an ack or a vote is in the write-ahead log (`wal.Wal`) first, in a round
that a sync job made durable. Entries are also written, without a sync, to each group's own
files (`storage.GroupLog`); those are synced in the background before the part of the log
that covers them is recycled, and a checkpoint says so. Recovery opens each GroupLog at what
can be trusted of its files and streams the rest from the write-ahead log.

Rules of the package:

- A failed write or sync is final (DiskFailed). Nothing is ever synced a second time in hope.
- What a process finds after an unclean stop is only the page cache's word: whatever no later
  header proves durable is copied to a new file and synced before anything is built on it.
- Bytes read back are untrusted: checksummed, bounded, and either exactly what was written or
  refused. Proven-durable bytes that changed are CorruptLog; the unproven end of the log is a
  torn write and cut. Sectors of 512 bytes are taken to be written whole or not at all.
- Proofs are written only after the sync that makes them true, so that no crash is refused:
  a round's header (the rounds before it), a part's header (the size of the file, when it was a
  spare or is a copy), and the witness, a small file that claims the last durable round.
- A snapshot that a GroupLog finds at opening is made durable (directory included) before
  anything is staged that relies on it.
- Everything reaches the disk through `raftlog.seams.FileSystem`, so that
  `raftlog.testing.disk.VirtualDisk` can lose power after every single call.

What is noticed when files are cut, zeroed, removed or rot while no process runs:

- Anything, in every round that had been durable, when the process was killed or closed the log
  in order. After an orderly close that holds through a power loss too.
- After a power loss: a part made from a spare (all but those that had to grow because none was
  ready) that is shorter; a part that is gone; and damage to any round that a surviving header
  or claim vouches for. Not noticed, because it looks like a torn write: damage (other than to
  the size) that leaves no proof behind it, in rounds after the last claim that reached the
  disk. Claims reach it with the first round of every part, and whenever the kernel writes back
  (some seconds); until then they are in the page cache only.
- Not noticed: an older copy of the whole directory put in its place, or the witness removed
  together with the end of the log.

Where to start: `wal` for the log's interface (`wal_staging` for its records and their rules);
`wal_format` for its bytes; `wal_recovery` for what is believed and why, `wal_books` for the
groups' view, `wal_replay` for what is handed back; `wal_witness` for the claims; `wal_ledger` and
`wal_spares` for the recycling of files. `segment_log` is the GroupLog; `properties` says whose
directory it is; `fs` is the operating system's file system.
"""

from __future__ import annotations

from raftlog.disk.fs import OsFileSystem
from raftlog.disk.properties import (
    DirectoryLock,
    Properties,
    Voter,
    read_properties,
    replace_properties,
    verify_properties,
    write_properties,
)
from raftlog.disk.segment_log import SegmentLog
from raftlog.disk.wal import Recovered, RecoveredGroup, RetirablePart, Wal, WalStatistics

__all__ = [
    "DirectoryLock",
    "OsFileSystem",
    "Properties",
    "Recovered",
    "RecoveredGroup",
    "RetirablePart",
    "SegmentLog",
    "Voter",
    "Wal",
    "WalStatistics",
    "read_properties",
    "replace_properties",
    "verify_properties",
    "write_properties",
]
