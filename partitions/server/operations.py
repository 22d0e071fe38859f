"""A broker as `partitions.ops` looks at it."""

from __future__ import annotations

from collections.abc import Callable

from partitions.ops.health import Facts
from partitions.ops.requests import RequestCounters
from partitions.ops.sources import Front, Sources
from partitions.server.broker import Broker


def sources_of(broker: Broker, requests: RequestCounters, front: Callable[[], Front]) -> Sources:
    """`requests` are the counters of its sessions, `front` tells of its connections."""
    return Sources(
        broker.me.node,
        broker.services.cluster_id,
        broker.engine,
        broker.manager,
        broker.services.groups,
        broker.metadata,
        broker.spread.table.leader,
        broker.is_controller,
        requests,
        front,
        lambda: facts_of(broker),
    )


def facts_of(broker: Broker) -> Facts:
    """What speaks for and against sending clients to it."""
    return Facts(
        broker.registered,
        broker.connected_controller,
        tuple([f"{each.topic}-{each.partition}" for each in broker.manager.offline.values()]),
        broker.draining.active,
        broker.manager.disk_nearly_full,
    )
