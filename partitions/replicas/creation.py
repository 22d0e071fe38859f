"""What the write-ahead log says of a partition's group: whose it is, and where its files are."""

from __future__ import annotations

from typing import NamedTuple

import cbor2

from partitions.storage import FileCache, LogConfig, PartitionLog
from raftlog.disk.wal import RecoveredGroup
from raftlog.errors import CorruptLog
from raftlog.seams import FileSystem
from raftlog.types import ZERO_POSITION, Configuration, ReplicaId, SnapshotMeta

PARTITIONS_DIRECTORY = "partitions"
_NAME_CHARACTERS = 200


class Creation(NamedTuple):
    """What the write-ahead log says of a group's birth."""

    topic_id: bytes
    topic: str
    partition: int
    voters: tuple[ReplicaId, ...]

    def encode(self) -> bytes:
        """CBOR, for `Wal.stage_create`."""
        voters = [list(voter) for voter in self.voters]
        return cbor2.dumps([1, self.topic_id, self.topic, self.partition, voters])

    @classmethod
    def decode(cls, data: bytes) -> Creation:
        """The opposite of `encode`; CorruptLog if it is something else."""
        try:
            version, topic_id, topic, partition, voters = cbor2.loads(data)
            if version != 1:
                raise CorruptLog(f"a group's creation has version {version}: upgrade this broker")
            members = tuple([ReplicaId(node, directory) for node, directory in voters])
        except (ValueError, TypeError, cbor2.CBORDecodeError) as error:
            raise CorruptLog(f"a group's creation is unreadable: {error}") from error
        return cls(topic_id, topic, partition, members)

    def snapshot(self) -> SnapshotMeta:
        """Position zero and the founding configuration."""
        return SnapshotMeta(ZERO_POSITION, Configuration(self.voters))

    def path(self, group: int) -> str:
        """The partition's directory: unique by group, readable by topic and partition."""
        name = f"{group}-{self.topic[:_NAME_CHARACTERS]}-{self.partition}"
        return f"{PARTITIONS_DIRECTORY}/{name}"

    def open_log(
        self,
        fs: FileSystem,
        group: int,
        known: RecoveredGroup | None,
        config: LogConfig,
        files: FileCache,
    ) -> PartitionLog:
        """The partition's log at its checkpoint, before the replay; a new one if it has none."""
        path = self.path(group)
        if known is None or (known.checkpoint is None and not known.trusted):
            return PartitionLog.create(fs, path, config, self.snapshot(), files=files)
        return PartitionLog.open(fs, path, config, known.checkpoint, known.trusted, files=files)
