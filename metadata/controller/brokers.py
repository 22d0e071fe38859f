"""Brokers: registration, liveness, fencing, removal (after KIP-631).

Fencing stops placement and makes the broker's leaderships move; it takes no leadership away,
which only Raft can. A registration fences requests of earlier processes of the node through
its epoch.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import NamedTuple

from metadata.codec import check_record
from metadata.controller.decision import Decision
from metadata.controller.features import supports
from metadata.controller.sessions import Sessions
from metadata.errors import ErrorCode, MetadataError, RecordError
from metadata.image import Broker, Cluster, MetadataImage
from metadata.records import (
    BrokerFenced,
    BrokerRegistered,
    BrokerRemoved,
    BrokerUnfenced,
    ClusterCreated,
    FeatureRange,
    Listener,
)
from raftlog.types import ReplicaId

_WILDCARDS = ("", "0.0.0.0", "::")


class BrokerRegistration(NamedTuple):
    """What a broker's process says of itself when it joins."""

    cluster_id: str
    node: int
    directory: bytes
    incarnation: bytes
    listeners: tuple[Listener, ...]
    peer_host: str
    peer_port: int
    rack: str | None
    features: tuple[FeatureRange, ...]


class Registered(NamedTuple):
    """The answer to a registration."""

    epoch: int
    replaced_directory: bytes | None
    """The node's former directory when it came back with another one: replicas assigned to
    that directory are gone until they are reassigned."""


class Heartbeat(NamedTuple):
    """A broker lives."""

    node: int
    epoch: int
    caught_up: bool
    """The broker's own image holds its registration with this epoch."""
    want_fence: bool = False
    """The broker is draining: fence it now."""


class HeartbeatReply(NamedTuple):
    """Whether the broker is fenced once the heartbeat's records are committed."""

    fenced: bool


def create_cluster(image: MetadataImage, cluster_id: str, feature_level: int) -> Decision[Cluster]:
    """The first decision of a cluster; without records when it exists under the same id."""
    if image.cluster is None:
        record = ClusterCreated(cluster_id, feature_level)
        return Decision((record,), Cluster(cluster_id, feature_level))
    _require_cluster(image, cluster_id)
    return Decision((), image.cluster)


def register_broker(
    image: MetadataImage, request: BrokerRegistration, sessions: Sessions, now_us: int
) -> Decision[Registered]:
    """Register a process; it starts fenced. The same process asking again gets its epoch.

    A node that was heard from within its session cannot be taken over by a process with
    another directory: DUPLICATE_BROKER_REGISTRATION. With the same directory it can, at once:
    a directory is locked by the process that uses it, so the earlier process is dead. If it is
    not (someone copied the directory), its next heartbeat gets STALE_BROKER_EPOCH.
    """
    _require_cluster(image, request.cluster_id)
    record = _record(image, request)
    _check_addresses(request)
    _check_features(image, request)
    _check_directory(image, request)
    known = image.brokers.get(request.node)
    if known is None:
        return Decision((record,), Registered(record.epoch, None))
    if known.registration.incarnation == request.incarnation:
        return _register_again(known, record)
    same = known.registration.directory == request.directory
    if not same and sessions.live(request.node, now_us):
        raise MetadataError(
            ErrorCode.DUPLICATE_BROKER_REGISTRATION,
            f"node {request.node} is alive with another directory; if that process died, retry "
            f"in {sessions.timeout_us // 1000} ms; otherwise two brokers have the same node.id",
        )
    return Decision(
        (record,), Registered(record.epoch, None if same else known.registration.directory)
    )


def heartbeat(
    image: MetadataImage, request: Heartbeat, sessions: Sessions, now_us: int
) -> Decision[HeartbeatReply]:
    """Renew the session; fence or unfence when that is due. Changes `sessions`."""
    broker = _current(image, request.node, request.epoch)
    sessions.touch(request.node, now_us)
    if request.want_fence:
        fence = () if broker.fenced else (BrokerFenced(request.node, request.epoch),)
        return Decision(fence, HeartbeatReply(fenced=True))
    if broker.fenced and request.caught_up:
        unfence = BrokerUnfenced(request.node, request.epoch)
        return Decision((unfence,), HeartbeatReply(fenced=False))
    return Decision((), HeartbeatReply(broker.fenced))


def fence_expired(
    image: MetadataImage, sessions: Sessions, now_us: int
) -> Decision[tuple[int, ...]]:
    """Fence the brokers whose sessions are over; their nodes. Changes `sessions`.

    A broker that is to be fenced keeps a session, so that it is tried again a session later
    should these records not be proposed; once the image shows it fenced the session ends.
    """
    records = []
    for node in sessions.expired(now_us):
        broker = image.brokers.get(node)
        if broker is None or broker.fenced:
            sessions.end(node)
        else:
            sessions.touch(node, now_us)
            records.append(BrokerFenced(node, broker.epoch))
    return Decision(tuple(records), tuple([record.node for record in records]))


def fence_lost(image: MetadataImage, lost: Collection[ReplicaId]) -> Decision[tuple[int, ...]]:
    """Fence the brokers that are registered with directories that will never be back; their nodes.

    Until their sessions expire, new partitions would be placed on them.
    """
    gone = [broker for broker in image.unfenced() if broker.replica in lost]
    records = tuple([BrokerFenced(broker.node, broker.epoch) for broker in gone])
    return Decision(records, tuple([broker.node for broker in gone]))


def remove_broker(image: MetadataImage, node: int) -> Decision[int]:
    """Take a fenced broker without replicas out of the cluster; its node id."""
    broker = image.brokers.get(node)
    if broker is None:
        raise MetadataError(
            ErrorCode.BROKER_ID_NOT_REGISTERED, f"there is no broker with node id {node}"
        )
    if not broker.fenced:
        raise MetadataError(
            ErrorCode.POLICY_VIOLATION, f"broker {node} is alive: stop it before removing it"
        )
    held = sum(
        replica.node == node
        for topic in image.topics.values()
        for partition in topic.partitions
        for replica in partition.replicas
    )
    if held:
        raise MetadataError(
            ErrorCode.POLICY_VIOLATION,
            f"broker {node} still has {held} replicas assigned: reassign them first",
        )
    return Decision((BrokerRemoved(node, broker.epoch),), node)


def require_broker(image: MetadataImage, node: int, epoch: int) -> Broker:
    """The broker, registered with this epoch; else BROKER_ID_NOT_REGISTERED or
    STALE_BROKER_EPOCH."""
    return _current(image, node, epoch)


def _current(image: MetadataImage, node: int, epoch: int) -> Broker:
    broker = image.brokers.get(node)
    if broker is None:
        raise MetadataError(
            ErrorCode.BROKER_ID_NOT_REGISTERED, f"node {node} is not registered: register first"
        )
    if broker.epoch != epoch:
        raise MetadataError(
            ErrorCode.STALE_BROKER_EPOCH,
            f"node {node} is registered with broker epoch {broker.epoch}, the request has {epoch}",
        )
    return broker


def _record(image: MetadataImage, request: BrokerRegistration) -> BrokerRegistered:
    """The record, its fields within the bounds of what can be written."""
    record = BrokerRegistered(*request[1:], epoch=image.next_broker_epoch)
    try:
        check_record(record)
    except RecordError as error:
        raise _invalid(str(error)) from error
    return record


def _register_again(known: Broker, record: BrokerRegistered) -> Decision[Registered]:
    if replace(record, epoch=known.epoch) == known.registration:
        return Decision((), Registered(known.epoch, None))
    if known.registration.directory != record.directory:
        raise MetadataError(
            ErrorCode.INVALID_REGISTRATION,
            f"node {record.node}: one incarnation cannot have two directory ids",
        )
    return Decision((record,), Registered(record.epoch, None))


def _require_cluster(image: MetadataImage, cluster_id: str) -> None:
    if image.cluster is None or image.cluster.cluster_id != cluster_id:
        present = "no cluster id yet" if image.cluster is None else image.cluster.cluster_id
        raise MetadataError(
            ErrorCode.INCONSISTENT_CLUSTER_ID,
            f"cluster_id: this cluster has {present}, the request says {cluster_id}",
        )


def _check_addresses(request: BrokerRegistration) -> None:
    names = [listener.name for listener in request.listeners]
    if not names or len(set(names)) < len(names):
        raise _invalid(f"listeners: names {names} must be one or more, each different")
    for listener in request.listeners:
        if listener.host in _WILDCARDS or not 1 <= listener.port <= 65_535:
            raise _invalid(
                f"listeners: {listener.name} advertises {listener.host}:{listener.port}, to which "
                "no client can connect; set advertised.listeners"
            )
    if request.peer_host in _WILDCARDS or not 1 <= request.peer_port <= 65_535:
        raise _invalid(f"peer address {request.peer_host}:{request.peer_port} cannot be reached")


def _check_features(image: MetadataImage, request: BrokerRegistration) -> None:
    level = image.cluster.feature_level if image.cluster else 0
    if supports(request.features, level):
        return
    raise MetadataError(
        ErrorCode.UNSUPPORTED_VERSION,
        f"features: node {request.node} does not support level {level} at which the cluster "
        "works: run a release that does",
    )


def _check_directory(image: MetadataImage, request: BrokerRegistration) -> None:
    for broker in image.brokers.values():
        if broker.registration.directory == request.directory and broker.node != request.node:
            raise _invalid(
                f"directory {request.directory.hex()} belongs to node {broker.node}: a copied data "
                "directory must be formatted before another node uses it"
            )


def _invalid(message: str) -> MetadataError:
    return MetadataError(ErrorCode.INVALID_REGISTRATION, message)
