"""What must hold when the faults are over: nothing acknowledged is lost, copies are equal.

The verdict compares what producers were told with what a consumer reads from offset 0 and
with what lies on every broker's disk. It asks no broker whether it is right.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256

from partitions.records import split_batches
from partitions.replicas.replica import PartitionReplica
from partitions.testing.cluster import SimCluster
from partitions.testing.workload import Consumer, Producer

SETTLE_US = 20_000_000
_READ_BYTES = 1 << 20
_POLL_US = 20_000


class Violation(AssertionError):
    """A promise was broken."""


def check_readers(early: Consumer, late: Consumer) -> None:
    """Who followed all along has read what is there in the end."""
    for partition, values in late.values.items():
        start = late.starts[partition]
        if early.values[partition][start:] != values[start:]:
            raise Violation(f"partition {partition}: a consumer read something else before")


def check_records(producers: list[Producer], consumer: Consumer) -> None:
    """Every acknowledged record is at its offset; idempotent ones once; all in order."""
    for partition, values in consumer.values.items():
        places: dict[bytes, list[int]] = {}
        for offset, value in enumerate(values):
            if value is not None:
                places.setdefault(value, []).append(offset)
        sent = set()
        for producer in producers:
            sent |= {write.value for write in producer.writes.get(partition, [])}
            _check_producer(producer, partition, places, consumer.starts[partition])
        phantoms = [value for value in places if value not in sent]
        if phantoms:
            raise Violation(
                f"partition {partition}: nobody wrote {[name_of(v) for v in phantoms[:3]]}"
            )


def _check_producer(
    producer: Producer, partition: int, places: dict[bytes, list[int]], start: int
) -> None:
    last = -1
    for write in producer.writes.get(partition, []):
        found = places.get(write.value, [])
        where = f"partition {partition}: {name_of(write.value)}"
        if write.offset >= start and write.offset not in found:
            raise Violation(f"{where} was acknowledged at {write.offset} and is at {found}")
        if producer.idempotent and len(found) > 1:
            raise Violation(f"{where} of an idempotent producer is at {found}")
        if not found:
            continue
        if found[0] <= last:
            raise Violation(f"{where} at {found[0]} comes before its predecessor at {last}")
        last = found[0]


def name_of(value: bytes) -> str:
    """A record's value without its padding."""
    return value.rstrip(b"\0").decode()


def entries(replica: PartitionReplica, index: int) -> Iterator[bytes]:
    """The entries of a copy's log from `index` on as bytes, their positions in front."""
    log = replica.log
    last = log.last().index
    while index <= last:
        for entry in log.read(index, last + 1, _READ_BYTES):
            head = f"{entry.index}/{entry.term}/{entry.kind.value}/{entry.base}+{entry.span}:"
            yield head.encode() + entry.payload
            index = entry.index + 1


def fingerprint(replica: PartitionReplica, index: int) -> tuple[int, int, int, str]:
    """(log start, last index, end offset, hash of entries from `index` on and of the bytes
    that consumers read)."""
    digest = sha256()
    for data in entries(replica, index):
        digest.update(data)
    offset, end = replica.log_start_offset, replica.high_watermark
    while offset < end:
        data = bytes(replica.read(offset, _READ_BYTES, at_least_one=True))
        if not data:
            raise Violation(f"{replica.topic}-{replica.partition}: nothing to read at {offset}")
        digest.update(data)
        offset = _end_of(data)
    position = replica.log.last()
    return replica.log_start_offset, position.index, position.offset, digest.hexdigest()


def _end_of(data: bytes) -> int:
    return split_batches(data)[-1][0].next_offset


async def settle(cluster: SimCluster, topic: str, partitions: int) -> None:
    """Wait until every copy has everything its leader has, all committed. Raises Violation."""
    give_up = cluster.reactor.now_us() + SETTLE_US
    for partition in range(partitions):
        while not _settled(cluster, topic, partition):
            if cluster.reactor.now_us() > give_up:
                raise Violation(
                    f"{topic}-{partition} does not settle: {_describe(cluster, topic, partition)}"
                )
            await cluster.sleep(_POLL_US)


def _settled(cluster: SimCluster, topic: str, partition: int) -> bool:
    replicas = cluster.replicas(topic, partition)
    copies = len(replicas) + len(cluster.offline(topic, partition))
    if copies != len(cluster.brokers) or cluster.leader(topic, partition) is None:
        return False
    lasts = [replica.log.last() for replica in replicas.values()]
    commits = [replica.group_handle.node.commit for replica in replicas.values()]
    return all(last == lasts[0] for last in lasts) and commits == [lasts[0].index] * len(lasts)


def _describe(cluster: SimCluster, topic: str, partition: int) -> str:
    parts = []
    for node, replica in cluster.replicas(topic, partition).items():
        core = replica.group_handle.node
        parts.append(
            f"n{node} {core.role.name} term {core.term} last {replica.log.last()[:2]}"
            f" commit {core.commit}"
        )
    return "; ".join(parts) or "no copies"


def check_copies(cluster: SimCluster, topic: str, partitions: int) -> None:
    """All copies of every partition are equal, entry for entry and byte for byte.

    Deleted segments may be gone from one copy and not yet from another. A copy that was damaged
    may be offline, and need not be read to its end; no other may.
    """
    for partition in range(partitions):
        replicas = cluster.replicas(topic, partition)
        damaged = {node for node in cluster.brokers if (node, topic, partition) in cluster.damaged}
        if not cluster.offline(topic, partition) <= damaged:
            raise Violation(f"{topic}-{partition}: an undamaged copy is offline")
        replicas = {node: copy for node, copy in replicas.items() if node not in damaged}
        first = 1 + max(r.log.snapshot().position.index for r in replicas.values())
        prints = {node: fingerprint(replica, first) for node, replica in replicas.items()}
        if len(set(prints.values())) != 1:
            raise Violation(f"{topic}-{partition}: copies differ: {prints}")


async def check_directories(cluster: SimCluster) -> None:
    """Every broker comes to hold the directories of the partitions that exist, and no others."""
    give_up = cluster.reactor.now_us() + SETTLE_US
    for broker in cluster.brokers.values():
        while True:
            image = broker.broker.metadata.image
            wanted = sorted(image.groups)
            held = sorted(int(name.split("-")[0]) for name in broker.disk.listdir("partitions"))
            manager = broker.broker.manager
            served = sorted([*manager.replicas, *manager.offline])
            if wanted == held == served:
                break
            if cluster.reactor.now_us() > give_up:
                raise Violation(
                    f"n{broker.node}: groups {wanted} exist, directories of {held} are held, "
                    f"{served} run"
                )
            await cluster.sleep(_POLL_US)
