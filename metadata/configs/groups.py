"""Settings of consumer groups and of the topic that keeps them."""

from __future__ import annotations

from metadata.configs.definition import (
    ConfigDef,
    ConfigType,
    Scope,
    Whole,
)
from metadata.configs.topics import INT32, INT64

GROUPS: tuple[ConfigDef, ...] = (
    ConfigDef(
        "offsets.topic.num.partitions",
        ConfigType.INT,
        "50",
        Scope.BROKER,
        Whole(1, 10_000),
        "Partitions of `__consumer_offsets`, over which consumer groups are spread. Has an effect "
        "when the topic is made, which is when the first group is asked for.",
    ),
    ConfigDef(
        "offsets.topic.replication.factor",
        ConfigType.INT,
        "3",
        Scope.BROKER,
        Whole(1, 7),
        "Replicas of `__consumer_offsets`. With fewer brokers up there are no consumer groups.",
        kafka_note="At most 7, as for any topic.",
    ),
    ConfigDef(
        "offsets.retention.minutes",
        ConfigType.INT,
        "10080",
        Scope.BROKER,
        Whole(1, INT32),
        "How long committed offsets are kept after the last member of their group has left, or, "
        "where there never was one, after the commit. Minutes.",
    ),
    ConfigDef(
        "offsets.retention.check.interval.ms",
        ConfigType.LONG,
        "600000",
        Scope.BROKER,
        Whole(1, INT64),
        "How often coordinators look for offsets to let go.",
    ),
    ConfigDef(
        "offset.metadata.max.bytes",
        ConfigType.INT,
        "4096",
        Scope.BROKER,
        Whole(0, 8191),
        "Most characters of the text that a client may attach to a committed offset.",
        kafka_note="At most 8191, so that it fits in its record whatever the characters.",
    ),
    ConfigDef(
        "group.initial.rebalance.delay.ms",
        ConfigType.INT,
        "3000",
        Scope.BROKER,
        Whole(0, INT32),
        "How long the first member of an empty group waits for others.",
    ),
    ConfigDef(
        "group.min.session.timeout.ms",
        ConfigType.INT,
        "6000",
        Scope.BROKER,
        Whole(1, INT32),
        "The shortest session time-out that a member may ask for.",
    ),
    ConfigDef(
        "group.max.session.timeout.ms",
        ConfigType.INT,
        "1800000",
        Scope.BROKER,
        Whole(1, INT32),
        "The longest session time-out that a member may ask for.",
    ),
    ConfigDef(
        "group.max.size",
        ConfigType.INT,
        str(INT32),
        Scope.BROKER,
        Whole(1, INT32),
        "Most members of one group.",
    ),
)
