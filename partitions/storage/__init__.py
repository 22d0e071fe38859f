"""A partition's log on disk: Kafka's files, written by a Raft group.

Two kinds of files make a segment. `<base offset>.log` holds record batches only, byte for byte
as they were replicated, so that a fetch is one slice of it. `<base offset>.raft`, the sidecar,
holds what batches do not say: where the segment begins in the Raft log, the entries that span
no offsets and their places between the batches, terms, a sparse index. `<base>.producers` is
the table of idempotent producers at the segment's start, and `log.snapshot` what lies below
the first segment, once there is anything.

Rules. A batch is one entry: cost is per batch. Nothing is durable before `sync_job` has run;
until then the write-ahead log has it, and opening a log believes no more than its checkpoint.
Bytes synced once are never overwritten, but for what a truncation voids, and the sidecar not
even then. An OSError of a write or a sync passes through: the process must end. Bytes that are
wrong, or cannot be read, are CorruptLog with the file and the position: a batch is checked against
its CRC, its place and its entry's term whenever it is read, for a follower or for a consumer, and
opening a log changes no file before all that was durable is found to be there. The log start moves
by committed trims only.

Start reading at `segmented.SegmentedLog` (what Raft needs), then `log.PartitionLog` (what
consumers, retention and snapshots need), `sidecar` (the format) and `recovery` (what is
believed after a crash). `producers` stands alone.
"""

from __future__ import annotations

from partitions.storage.config import LogConfig
from partitions.storage.errors import (
    InvalidProducerEpoch,
    OffsetOutOfRange,
    OutOfOrderSequence,
)
from partitions.storage.files import FileCache
from partitions.storage.install import SnapshotReceiver
from partitions.storage.log import PartitionLog
from partitions.storage.manifest import Manifest, decode_manifest
from partitions.storage.producers import Accepted, Duplicate, ProducerTable

__all__ = [
    "Accepted",
    "Duplicate",
    "FileCache",
    "InvalidProducerEpoch",
    "LogConfig",
    "Manifest",
    "OffsetOutOfRange",
    "OutOfOrderSequence",
    "PartitionLog",
    "ProducerTable",
    "SnapshotReceiver",
    "decode_manifest",
]
