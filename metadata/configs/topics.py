"""Settings of topics, most of them with a broker's setting as default (Kafka's TopicConfig)."""

from __future__ import annotations

from metadata.configs.definition import Alias, ConfigDef, ConfigType, Never, OneOf, Scope, Whole

INT32 = 2**31 - 1
INT64 = 2**63 - 1
_HOUR_MS = 3_600_000
_MINUTE_MS = 60_000

_PRODUCER_ONLY = "the broker stores batches as producers sent them; compress in the producer"

TOPICS: tuple[ConfigDef, ...] = (
    ConfigDef(
        "cleanup.policy",
        ConfigType.LIST,
        "delete",
        Scope.BOTH,
        OneOf(("delete",), (("compact", "log compaction is not available in this release"),)),
        "What happens to old segments. `delete` discards them by age and size.",
        dynamic=True,
        synonym="log.cleanup.policy",
        kafka_note="`compact` is refused until there is compaction.",
    ),
    ConfigDef(
        "compression.type",
        ConfigType.STRING,
        "producer",
        Scope.BOTH,
        OneOf(
            ("producer",),
            tuple(
                (codec, _PRODUCER_ONLY)
                for codec in ("uncompressed", "gzip", "snappy", "lz4", "zstd")
            ),
        ),
        "Compression of stored batches. `producer` keeps what the producer chose.",
        dynamic=True,
        kafka_note="Only `producer`: batches are stored byte for byte as they were sent.",
    ),
    ConfigDef(
        "index.interval.bytes",
        ConfigType.INT,
        "4096",
        Scope.BOTH,
        Whole(0, INT32),
        "How many bytes of batches lie between two entries of a segment's sparse index.",
        dynamic=True,
        synonym="log.index.interval.bytes",
    ),
    ConfigDef(
        "max.message.bytes",
        ConfigType.INT,
        "1048588",
        Scope.BOTH,
        Whole(0, 64 * 1024 * 1024),
        "Largest record batch that is accepted, after compression.",
        dynamic=True,
        synonym="message.max.bytes",
        kafka_note="Kafka has no upper bound; a batch is one Raft entry here, 64 MiB at most.",
    ),
    ConfigDef(
        "message.timestamp.after.max.ms",
        ConfigType.LONG,
        "3600000",
        Scope.BOTH,
        Whole(0, INT64),
        "How far a record's timestamp may lie after the broker's clock (CreateTime only).",
        dynamic=True,
        synonym="log.message.timestamp.after.max.ms",
    ),
    ConfigDef(
        "message.timestamp.before.max.ms",
        ConfigType.LONG,
        str(INT64),
        Scope.BOTH,
        Whole(0, INT64),
        "How far a record's timestamp may lie before the broker's clock (CreateTime only).",
        dynamic=True,
        synonym="log.message.timestamp.before.max.ms",
        kafka_note="A batch's first record is looked at, not every one.",
    ),
    ConfigDef(
        "message.timestamp.type",
        ConfigType.STRING,
        "CreateTime",
        Scope.BOTH,
        OneOf(("CreateTime", "LogAppendTime")),
        "Whether a record keeps its producer's timestamp or gets the leader's at append.",
        dynamic=True,
        synonym="log.message.timestamp.type",
    ),
    ConfigDef(
        "min.insync.replicas",
        ConfigType.INT,
        "1",
        Scope.BOTH,
        Whole(1, INT32),
        "Replicas that must hold a batch durably before acks=all is answered. A majority always "
        "must, so a value at or below the majority changes nothing.",
        dynamic=True,
    ),
    ConfigDef(
        "retention.bytes",
        ConfigType.LONG,
        "-1",
        Scope.BOTH,
        Whole(-1, INT64),
        "Size of a partition above which its oldest segments are deleted; -1: no limit.",
        dynamic=True,
        synonym="log.retention.bytes",
    ),
    ConfigDef(
        "retention.ms",
        ConfigType.LONG,
        str(7 * 24 * _HOUR_MS),
        Scope.BOTH,
        Whole(-1, INT64),
        "Age above which a partition's oldest segments are deleted; -1: no limit.",
        dynamic=True,
        synonym="log.retention.ms",
        aliases=(
            Alias("log.retention.minutes", _MINUTE_MS),
            Alias("log.retention.hours", _HOUR_MS),
        ),
    ),
    ConfigDef(
        "segment.bytes",
        ConfigType.INT,
        str(1024 * 1024 * 1024),
        Scope.BOTH,
        Whole(1024, INT32),
        "Size at which a segment is closed and the next one begun.",
        dynamic=True,
        synonym="log.segment.bytes",
        kafka_note="Kafka 4 allows no less than 1 MiB.",
    ),
    ConfigDef(
        "segment.ms",
        ConfigType.LONG,
        str(7 * 24 * _HOUR_MS),
        Scope.BOTH,
        Whole(1, INT64),
        "Age at which a segment is closed even when it is not full.",
        dynamic=True,
        synonym="log.roll.ms",
        aliases=(Alias("log.roll.hours", _HOUR_MS),),
    ),
    ConfigDef(
        "unclean.leader.election.enable",
        ConfigType.BOOLEAN,
        "false",
        Scope.BOTH,
        Never(
            "a replica without the committed log never leads; when a majority is lost for good, "
            "`quorate cluster recover` goes on with one copy (docs/recovery.md)"
        ),
        "Whether a replica that lacks acknowledged records may lead. It never may.",
        dynamic=True,
        kafka_note="`true` is refused: Raft does not allow it.",
    ),
)
