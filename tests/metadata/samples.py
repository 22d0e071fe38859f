"""Records and images for tests of metadata."""

from __future__ import annotations

from collections.abc import Sequence

from metadata import records as r
from metadata.controller import LEVEL_FEATURE
from metadata.image import EMPTY_IMAGE, MetadataImage, apply_records
from raftlog.types import LogPosition, ReplicaId

CLUSTER = "test-cluster"
FEATURES = (r.FeatureRange(LEVEL_FEATURE, 1, 3),)


def uuid(number: int) -> bytes:
    """16 bytes that stand for `number`."""
    return number.to_bytes(16, "big")


def replica(node: int) -> ReplicaId:
    """The replica id of `node` with its usual directory."""
    return ReplicaId(node, uuid(1000 + node))


def registered(node: int, epoch: int, rack: str | None = None) -> r.BrokerRegistered:
    """A registration of `node`."""
    return r.BrokerRegistered(
        node=node,
        directory=uuid(1000 + node),
        incarnation=uuid(2000 + node),
        listeners=(r.Listener("PLAINTEXT", f"host{node}", 9092, "PLAINTEXT"),),
        peer_host=f"host{node}",
        peer_port=9093,
        rack=rack,
        features=FEATURES,
        epoch=epoch,
    )


def cluster(racks: Sequence[str | None]) -> MetadataImage:
    """A cluster at level 1 with one live broker per item of `racks`."""
    records: list[r.Record] = [r.ClusterCreated(CLUSTER, 1)]
    for node, rack in enumerate(racks):
        records += [registered(node, node, rack), r.BrokerUnfenced(node, node)]
    return after(EMPTY_IMAGE, records)


def after(image: MetadataImage, records: Sequence[r.Record]) -> MetadataImage:
    """`image` with one more entry."""
    position = image.position
    return apply_records(image, records, LogPosition(position.index + 1, 1, position.offset + 1))[0]
