"""What the parts of a broker are told of its settings, in their own words and units."""

from __future__ import annotations

from metadata.configs import BrokerSettings
from metadata.controller import TopicDefaults
from metadata.live import LiveSettings
from partitions.replicas.manager import ReplicaSettings
from raftlog.core import Timing
from raftlog.disk.properties import Properties

VOTERS = "controller.quorum.voters"


def live_static(settings: BrokerSettings, properties: Properties) -> dict[str, str]:
    """The static layer of a running broker: the voters in force are those that its directory was
    formatted with."""
    return {**settings.static, VOTERS: ",".join(map(str, properties.voters))}


def timing(settings: BrokerSettings) -> Timing:
    """For Raft groups."""
    return Timing(
        heartbeat_us=settings.integer("raft.heartbeat.interval.ms") * 1000,
        election_min_us=settings.integer("raft.election.timeout.min.ms") * 1000,
        election_max_us=settings.integer("raft.election.timeout.max.ms") * 1000,
        max_inflight_messages=settings.integer("raft.max.inflight.messages"),
        max_inflight_bytes=settings.integer("raft.max.inflight.bytes"),
        max_append_bytes=settings.integer("raft.max.append.bytes"),
        max_uncommitted_bytes=settings.integer("raft.max.uncommitted.bytes"),
    )


def replica_settings(settings: BrokerSettings, live: LiveSettings) -> ReplicaSettings:
    """For partitions' replicas, as of now."""
    rebalance_s = live.integer("leader.imbalance.check.interval.seconds")
    return ReplicaSettings(
        settings.text("log.dirs"),
        max(live.integer("log.dirs.free.bytes.min"), 2 * settings.integer("wal.part.bytes")),
        settings.integer("producer.id.expiration.ms"),
        rebalance_s * 1_000_000 if live.switch("auto.leader.rebalance.enable") else 0,
    )


def topic_defaults(live: LiveSettings) -> TopicDefaults:
    """For the controller, as of now."""
    return TopicDefaults(live.integer("num.partitions"), live.integer("default.replication.factor"))
