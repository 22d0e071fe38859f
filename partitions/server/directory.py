"""What a broker asks of its directory before it runs on it."""

from __future__ import annotations

from metadata.quorum.application import METADATA_DIRECTORY
from partitions.replicas.creation import PARTITIONS_DIRECTORY
from partitions.replicas.directories import partition_directories
from raftlog.disk.segment_log import SegmentLog
from raftlog.errors import CorruptLog
from raftlog.seams import FileSystem

WAL_DIRECTORY = "wal"


def refuse_lost_log(fs: FileSystem) -> None:
    """Raise CorruptLog when a write-ahead log without a round stands beside what needs one.

    Before the first round is durable no partition has a directory, and the metadata log has no
    more than the founders' snapshot: that much a first start leaves behind that was cut short.
    """
    found = [f"{PARTITIONS_DIRECTORY}/{name}" for name in partition_directories(fs)[:1]]
    if not found and SegmentLog.has_entries(fs, METADATA_DIRECTORY):
        found = [f"{METADATA_DIRECTORY}/"]
    if found:
        raise CorruptLog(
            f"{WAL_DIRECTORY}/: this write-ahead log holds no round, but {found[0]} needs one that "
            "does: it was removed, and with it went votes and entries that were promised to "
            "others, so this broker must not start as if it were new. Restore the files, or format "
            "the data directory anew under a new id"
        )
