"""What a scrape may look at, and the one look it takes at all partitions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from metadata.leaders import Leader
from metadata.quorum.image_holder import ImageHolder
from partitions.coordinators.groups.broker import GroupCoordinators
from partitions.ops.health import Facts
from partitions.ops.requests import RequestCounters
from partitions.replicas.manager import ReplicaManager
from partitions.replicas.replica import PartitionReplica
from partitions.replicas.traffic import Traffic
from raftlog.core.progress import ProgressState
from raftlog.engine import Engine, Group
from raftlog.types import ReplicaId

PARTITIONS_MAX = 2000
"""Partitions with rows of their own, by topic and number; some fifteen rows each."""
TOPICS_MAX = 1000
PAUSE_EVERY = 100
"""Partitions that are looked at before others have their turn."""


class Front(NamedTuple):
    """Clients' connections, as of now."""

    connections: int
    accepted: int
    in_flight: int
    requests_bytes: int
    waiting: int
    responses_bytes: int
    responses_limit_bytes: int


@dataclass(frozen=True)
class Sources:
    """One broker. Everything is called on the loop thread."""

    node: int
    cluster_id: str
    engine: Engine
    manager: ReplicaManager
    groups: GroupCoordinators
    metadata: ImageHolder
    leader: Callable[[int], Leader | None]
    """Who leads a group, as far as told."""
    controller_active: Callable[[], bool]
    requests: RequestCounters
    front: Callable[[], Front]
    facts: Callable[[], Facts]


class Copy(NamedTuple):
    """A partition's copy here, at one moment. Offsets and bytes as in `PartitionReplica`."""

    topic: str
    partition: int
    leads: bool
    epoch: int
    high_watermark: int
    start: int
    end: int
    size: int
    assigned: int
    in_sync: int
    """0 where this broker does not lead."""
    preferred: bool
    lags: tuple[tuple[int, int], ...]
    """(node, entries) of each follower, where this broker leads."""


@dataclass
class Survey:
    """All copies here."""

    copies: list[Copy] = field(default_factory=list)
    """At most PARTITIONS_MAX."""
    topics: dict[str, Traffic] = field(default_factory=dict)
    """At most TOPICS_MAX."""
    total: Traffic = field(default_factory=Traffic)
    held: int = 0
    led: int = 0
    under_replicated: int = 0
    under_min_isr: int = 0
    left_out: dict[str, int] = field(default_factory=lambda: {"partitions": 0, "topics": 0})


def survey(sources: Sources, into: Survey) -> Iterator[None]:
    """Look at every copy; yields where others may have their turn."""
    into.total.add(sources.manager.former_traffic)
    skipped: set[str] = set()
    replicas = sorted(sources.manager.running(), key=lambda each: (each.topic, each.partition))
    for number, replica in enumerate(replicas):
        if number % PAUSE_EVERY == PAUSE_EVERY - 1:
            yield
        copy = _look(sources, replica)
        into.held += 1
        into.led += copy.leads
        into.under_replicated += copy.leads and copy.in_sync < copy.assigned
        into.under_min_isr += copy.leads and copy.in_sync < replica.config.min_insync_replicas
        if len(into.copies) < PARTITIONS_MAX:
            into.copies.append(copy)
        into.total.add(replica.traffic)
        if replica.topic in into.topics or len(into.topics) < TOPICS_MAX:
            into.topics.setdefault(replica.topic, Traffic()).add(replica.traffic)
        else:
            skipped.add(replica.topic)
    into.left_out = {"partitions": into.held - len(into.copies), "topics": len(skipped)}


def _look(sources: Sources, replica: PartitionReplica) -> Copy:
    group = replica.group_handle
    found = sources.metadata.image.group(group.id)
    assigned = group.node.configuration.voters if found is None else found[2].replicas
    leads = replica.is_leader
    last = group.node.last_index
    return Copy(
        replica.topic,
        replica.partition,
        leads,
        group.node.term,
        replica.high_watermark,
        replica.log_start_offset,
        replica.end_offset,
        replica.log.size_bytes,
        len(assigned),
        sum(_in_sync(sources.engine, group, each) for each in assigned) if leads else 0,
        bool(assigned) and assigned[0] == group.node.me,
        tuple([(r.node, last - p.match) for r, p in sorted(group.node.progress.items())]),
    )


def _in_sync(engine: Engine, group: Group, replica: ReplicaId) -> bool:
    """Leader: is `replica` there, in service, and fed with what is appended?"""
    if replica == group.node.me:
        return True
    progress = group.node.progress.get(replica)
    return (
        progress is not None
        and progress.state is ProgressState.REPLICATE
        and engine.links.serves(replica, group.id)
    )
