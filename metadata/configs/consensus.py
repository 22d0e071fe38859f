"""Settings of Raft groups, of the write-ahead log and of the metadata log."""

from __future__ import annotations

from metadata.configs.definition import Boolean, ConfigDef, ConfigType, Scope, Whole
from metadata.configs.topics import INT32, INT64

_MIB = 1024 * 1024

CONSENSUS: tuple[ConfigDef, ...] = (
    ConfigDef(
        "raft.heartbeat.interval.ms",
        ConfigType.INT,
        "100",
        Scope.BROKER,
        Whole(1, 60_000),
        "How often leaders speak to followers; one message per peer covers all quiet groups.",
        kafka=False,
    ),
    ConfigDef(
        "raft.election.timeout.min.ms",
        ConfigType.INT,
        "600",
        Scope.BROKER,
        Whole(2, 600_000),
        "A follower that heard its leader within this time helps nobody to replace it.",
        kafka=False,
    ),
    ConfigDef(
        "raft.election.timeout.max.ms",
        ConfigType.INT,
        "1200",
        Scope.BROKER,
        Whole(2, 600_000),
        "Followers wait between the minimum and this before they campaign; a leader that hears "
        "no quorum for this long steps down.",
        kafka=False,
    ),
    ConfigDef(
        "raft.max.inflight.messages",
        ConfigType.INT,
        "64",
        Scope.BROKER,
        Whole(1, 65_536),
        "Unanswered appends per follower and group.",
        kafka=False,
    ),
    ConfigDef(
        "raft.max.inflight.bytes",
        ConfigType.LONG,
        str(8 * _MIB),
        Scope.BROKER,
        Whole(1, INT64),
        "Unanswered payload per follower and group; one append is always let through.",
        kafka=False,
    ),
    ConfigDef(
        "raft.max.append.bytes",
        ConfigType.INT,
        str(_MIB),
        Scope.BROKER,
        Whole(1, INT32),
        "Payload of one append; one entry is always let through.",
        kafka=False,
    ),
    ConfigDef(
        "raft.max.uncommitted.bytes",
        ConfigType.LONG,
        str(64 * _MIB),
        Scope.BROKER,
        Whole(1, INT64),
        "Payload a group's leader takes before it is committed; then producers must wait.",
        kafka=False,
    ),
    ConfigDef(
        "wal.part.bytes",
        ConfigType.LONG,
        str(64 * _MIB),
        Scope.BROKER,
        Whole(_MIB, 4096 * _MIB),
        "Size of one preallocated part of the write-ahead log.",
        kafka=False,
    ),
    ConfigDef(
        "metadata.log.max.record.bytes.between.snapshots",
        ConfigType.LONG,
        str(20 * _MIB),
        Scope.BROKER,
        Whole(1, INT64),
        "Bytes of metadata entries after which the log is replaced by a snapshot; five thousand "
        "entries are enough for one too.",
    ),
    ConfigDef(
        "unsafe.no.fsync",
        ConfigType.BOOLEAN,
        "false",
        Scope.BROKER,
        Boolean(),
        "Do not wait for the disk. A power loss or a crash of the machine then loses "
        "acknowledged writes and can let two leaders win one term. For throwaway clusters.",
        kafka=False,
    ),
)
