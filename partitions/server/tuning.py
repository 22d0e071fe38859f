"""What the parts of a broker need of its settings, in their own units."""

from __future__ import annotations

from metadata.configs import BrokerSettings
from partitions.replicas.manager import ReplicaSettings
from raftlog.core import Timing


def timing(settings: BrokerSettings) -> Timing:
    """Of the Raft groups."""
    return Timing(
        heartbeat_us=settings.integer("raft.heartbeat.interval.ms") * 1000,
        election_min_us=settings.integer("raft.election.timeout.min.ms") * 1000,
        election_max_us=settings.integer("raft.election.timeout.max.ms") * 1000,
        max_inflight_messages=settings.integer("raft.max.inflight.messages"),
        max_inflight_bytes=settings.integer("raft.max.inflight.bytes"),
        max_append_bytes=settings.integer("raft.max.append.bytes"),
        max_uncommitted_bytes=settings.integer("raft.max.uncommitted.bytes"),
    )


def replica_settings(settings: BrokerSettings) -> ReplicaSettings:
    """Of the partitions."""
    rebalance_s = settings.integer("leader.imbalance.check.interval.seconds")
    return ReplicaSettings(
        settings.text("log.dirs"),
        max(settings.integer("log.dirs.free.bytes.min"), 2 * settings.integer("wal.part.bytes")),
        settings.integer("producer.id.expiration.ms"),
        rebalance_s * 1_000_000 if settings.switch("auto.leader.rebalance.enable") else 0,
    )
