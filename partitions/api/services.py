"""What the broker offers its request handlers: the only door from here to the rest of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from metadata.configs import ConfigEntry
from metadata.image import MetadataImage
from metadata.leaders import Leader
from metadata.quorum.description import QuorumView
from partitions.api.budget import ByteBudget
from partitions.api.deadlines import Deadlines
from partitions.api.metadatacache import MetadataCache
from partitions.api.refused import RefusedBatches
from partitions.coordinators.groups.broker import GroupCoordinators
from partitions.errors import ErrorCode
from partitions.replicas.handover import Begun, Move
from partitions.replicas.interface import DiskUsage, Replica
from partitions.security import Authorizer
from raftlog.seams import Reactor
from raftlog.types import ReplicaId

if TYPE_CHECKING:
    from partitions.api.offsetstopic import OffsetsTopic

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """The broker settings that handlers read; names and defaults are Kafka's."""

    auto_create_topics: bool = True
    """auto.create.topics.enable: Metadata may create a topic it was asked about."""
    fetch_max_bytes: int = 55 * MIB
    """fetch.max.bytes: bounds one Fetch response, whatever the client asks."""
    fetch_partitions_max: int = 10_000
    """Partitions in one Fetch: bounds what a long poll holds (watches, targets)."""
    produce_timeout_ms_max: int = 120_000
    """A client's Produce or DeleteRecords time-out is cut to this."""
    offsets_topic_partitions: int = 50
    """offsets.topic.num.partitions."""
    offsets_topic_replication_factor: int = 3
    """offsets.topic.replication.factor."""
    offset_metadata_max_bytes: int = 4096
    """offset.metadata.max.bytes."""


class ItemOutcome(NamedTuple):
    """What the controller did about one item of a request."""

    error: ErrorCode
    message: str | None = None
    values: Mapping[str, Any] = {}
    """Facts about the item when `error` is NONE; named in the operation's description."""


class ControllerReply(NamedTuple):
    """The controller's answer to one call."""

    error: ErrorCode
    """NONE, or why nothing at all was decided: NOT_CONTROLLER, REQUEST_TIMED_OUT, ..."""
    message: str | None = None
    items: tuple[ItemOutcome, ...] = ()
    """One per item asked about, in the order asked; empty when `error` is set."""


class ProducerIdReply(NamedTuple):
    """A fresh producer id, or why there is none."""

    error: ErrorCode
    producer_id: int = -1


class QuorumReply(NamedTuple):
    """The metadata quorum, or why nobody could say."""

    error: ErrorCode
    message: str | None = None
    view: QuorumView | None = None
    """Set when `error` is NONE."""


CREATE_TOPICS = "create_topics"
"""items: {name, partitions, replication_factor, assignments: [[node, ...], ...], configs: {}};
also `validate_only`. Each outcome's values: topic_id (bytes), partitions, replication_factor."""
DELETE_TOPICS = "delete_topics"
"""items: {topic_id}."""
CREATE_PARTITIONS = "create_partitions"
"""items: {name, count, assignments: [[node, ...], ...] | None}; also `validate_only`.
Each outcome's values: topic_id (bytes)."""

ALTER_CONFIGS = "alter_configs"
"""items: {type: 2 (topic) or 4 (broker), name, changes: [[operation, name, value], ...], replace}
with `metadata.controller.ConfigOperation`'s words; also `validate_only`. No values."""


class Services(Protocol):
    """Implemented by the broker's assembly. Everything is called on the loop thread."""

    @property
    def node_id(self) -> int:
        """This broker."""

    @property
    def cluster_id(self) -> str:
        """From `meta.properties`."""

    @property
    def log_directory(self) -> str:
        """Absolute path of this broker's data directory."""

    @property
    def settings(self) -> ApiSettings:
        """As of now: some may change at run time."""

    @property
    def reactor(self) -> Reactor:
        """Time and deferral."""

    @property
    def deadlines(self) -> Deadlines:
        """Coarse time-outs on `reactor`."""

    @property
    def authorizer(self) -> Authorizer:
        """Asked per resource."""

    @property
    def poll_budget(self) -> ByteBudget:
        """Bytes that Fetches hold while they wait."""

    @property
    def response_budget(self) -> ByteBudget:
        """Bytes of responses that wait to be sent, over all connections."""

    @property
    def refused_batches(self) -> RefusedBatches:
        """Of idempotent producers, lately, over all connections."""

    @property
    def metadata_cache(self) -> MetadataCache:
        """Encoded Metadata responses."""

    @property
    def groups(self) -> GroupCoordinators:
        """Consumer groups that this broker speaks for."""

    @property
    def offsets_topic(self) -> OffsetsTopic:
        """Makes `__consumer_offsets`."""

    @property
    def leaders_version(self) -> int:
        """Changes whenever an answer of `leader` or `is_offline` may."""

    def image(self) -> MetadataImage:
        """The newest image this broker has."""

    def leader(self, group: int) -> Leader | None:
        """The newest known leadership of a Raft group."""

    def replica(self, topic_id: bytes, partition: int) -> Replica | None:
        """This broker's copy of a partition, None when it holds none."""

    def is_offline(self, group: int, replica: ReplicaId | None = None) -> bool:
        """Is `replica`'s copy of a partition (None: this broker's) out of service?"""

    def controller_id(self) -> int | None:
        """The controller's node, as far as known."""

    def call_controller(
        self,
        operation: str,
        arguments: Mapping[str, Any],
        on_done: Callable[[ControllerReply], None],
    ) -> None:
        """Have the controller decide, wherever it is.

        `operation` and `arguments` are one of CREATE_TOPICS, DELETE_TOPICS,
        CREATE_PARTITIONS, ALTER_CONFIGS, made of plain values only. `on_done` runs exactly once,
        at once or within a bounded time; where possible after this broker's image holds what was
        decided.
        """

    def allocate_producer_id(self, on_done: Callable[[ProducerIdReply], None]) -> None:
        """A producer id that nobody was given before; `on_done` runs once, at once or later."""

    def describe_quorum(self, on_done: Callable[[QuorumReply], None]) -> None:
        """The metadata quorum as its leader sees it; `on_done` runs once, at once or within a
        bounded time."""

    def hand_over(
        self, leader: int, moves: Sequence[Move], on_done: Callable[[Begun], None]
    ) -> None:
        """Ask node `leader` to give away leaderships, MOVES_PER_CALL_MAX at most.

        `on_done` runs once, at once or within a bounded time. That a move was begun does not
        mean that it succeeds: `leader(group)` shows that.
        """

    def disk_usage(self) -> DiskUsage:
        """What is on this broker's disk. Raises OSError when its file system does not say."""

    def topic_configs(self, name: str) -> Mapping[str, ConfigEntry]:
        """The settings in force for a topic, by name (`metadata.configs.topic_entries`)."""

    def broker_configs(self) -> Mapping[str, ConfigEntry]:
        """This broker's settings in force, by name (`metadata.configs.broker_entries`)."""
