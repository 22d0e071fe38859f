"""What the partitions of a broker take on its disk, for DescribeLogDirs.

Running replicas know their size. The files of one that is offline are kept for inspection and
take their room as before: one that ran until then knows theirs, and for one that was found so at
the start they are looked at once. What cannot be looked at counts as nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

from partitions.replicas.interface import NO_OFFSET, DiskUsage, ReplicaOnDisk
from partitions.replicas.offline import OfflineReplica
from partitions.replicas.replica import PartitionReplica
from raftlog.seams import FileSystem

SEGMENT_SUFFIX = ".log"


def disk_usage(
    fs: FileSystem,
    replicas: Iterable[PartitionReplica],
    offline: Iterable[OfflineReplica],
) -> DiskUsage:
    """See `interface.DiskUsage`. Raises OSError when the file system does not say."""
    return DiskUsage(
        fs.total_bytes(),
        fs.free_bytes(),
        (*map(_running, replicas), *map(_offline, offline)),
    )


def _running(replica: PartitionReplica) -> ReplicaOnDisk:
    lag = max(0, replica.high_watermark - replica.log.end)
    return ReplicaOnDisk(replica.topic, replica.partition, replica.log.size_bytes, lag)


def _offline(replica: OfflineReplica) -> ReplicaOnDisk:
    return ReplicaOnDisk(replica.topic, replica.partition, replica.size_bytes, NO_OFFSET)


def segments_bytes(fs: FileSystem, path: str) -> int:
    """Bytes of the segment files in a partition's directory (blocking)."""
    try:
        names = fs.listdir(path)
    except OSError:
        return 0
    return sum(_file_bytes(fs, f"{path}/{name}") for name in names if name.endswith(SEGMENT_SUFFIX))


def _file_bytes(fs: FileSystem, path: str) -> int:
    try:
        file = fs.open(path)
    except OSError:
        return 0
    try:
        return file.size()
    except OSError:
        return 0
    finally:
        file.close()
