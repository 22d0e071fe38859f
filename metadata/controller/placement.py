"""Where a new partition's replicas go.

Brokers form a ring in which neighbours are in different racks. Replicas are dealt like cards:
partition p (counted over all partitions ever created) gets the next `replication_factor`
brokers of the ring after partition p-1's, so any run of partitions puts equally many replicas
on each broker, give or take one. With N brokers and g = gcd(N, replication_factor) the deal
repeats after N / g partitions; each repetition moves the preferred leader one place on within
the replicas, so that any N partitions in a row have N different preferred leaders.

The replica sets are few (at most N), which makes it unlikely that brokers that fail together
hold all replicas of any partition (Cidon et al., Copysets, 2013).

When racks have different numbers of brokers, dealing cannot both spread over racks and be even:
then the preferred leaders are dealt, and each follower goes to the least loaded broker of a
rack that has the fewest replicas of the partition.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd
from typing import NamedTuple

from metadata.errors import ErrorCode, MetadataError
from raftlog.types import ReplicaId


class Candidate(NamedTuple):
    """A broker that replicas may be placed on."""

    replica: ReplicaId
    rack: str | None
    """None: in a rack of its own."""


Replicas = tuple[ReplicaId, ...]
_Ring = list[tuple[ReplicaId, str]]


def place(
    candidates: Sequence[Candidate], partitions: int, replication_factor: int, start: int
) -> list[Replicas]:
    """Replicas of `partitions` new partitions, preferred leader first.

    `start` is the number of partitions placed before. Each partition's replicas are on
    different nodes and in as many racks as there can be. Raises INVALID_REPLICATION_FACTOR
    when there are fewer candidates than replicas.
    """
    if not 1 <= replication_factor <= len(candidates):
        raise MetadataError(
            ErrorCode.INVALID_REPLICATION_FACTOR,
            f"replication factor {replication_factor} cannot be met with {len(candidates)} live "
            "brokers",
        )
    ring, even = _ring(candidates)
    numbers = range(start, start + partitions)
    if even:
        return [_dealt(ring, number, replication_factor) for number in numbers]
    load = {replica: 0 for replica, _ in ring}
    return [_chosen(ring, number, replication_factor, load) for number in numbers]


def _ring(candidates: Sequence[Candidate]) -> tuple[_Ring, bool]:
    """Brokers with neighbours in different racks; and whether all racks are equally large."""
    racks: dict[str, list[ReplicaId]] = {}
    for replica, rack in sorted(candidates, key=lambda candidate: candidate.replica):
        label = f"node {replica.node}" if rack is None else f"rack {rack}"
        racks.setdefault(label, []).append(replica)
    sizes = [len(members) for members in racks.values()]
    ring = [
        (members[row], label)
        for row in range(max(sizes))
        for label, members in racks.items()
        if row < len(members)
    ]
    return ring, min(sizes) == max(sizes)


def _dealt(ring: _Ring, number: int, count: int) -> Replicas:
    size = len(ring)
    shared = gcd(size, count)
    first = number * count % size
    leader = number // (size // shared) % shared
    return tuple([ring[(first + (leader + step) % count) % size][0] for step in range(count)])


def _chosen(ring: _Ring, number: int, count: int, load: dict[ReplicaId, int]) -> Replicas:
    size = len(ring)
    leader, rack = ring[number % size]
    used = {rack: 1}
    replicas = [leader]
    load[leader] += 1
    while len(replicas) < count:
        around = [ring[(number + step) % size] for step in range(1, size)]
        free = [(replica, rack) for replica, rack in around if replica not in replicas]
        replica, rack = min(free, key=lambda one: (used.get(one[1], 0), load[one[0]]))
        replicas.append(replica)
        used[rack] = used.get(rack, 0) + 1
        load[replica] += 1
    return tuple(replicas)
