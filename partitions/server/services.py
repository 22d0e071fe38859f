"""The broker as its request handlers see it: `partitions.api.Services` over the real parts."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from metadata.configs import (
    BrokerLayers,
    BrokerSettings,
    ConfigEntry,
    broker_entries,
    topic_entries,
)
from metadata.image import MetadataImage
from metadata.leaders import Leader
from metadata.quorum.application import MetadataApplication
from metadata.quorum.client import BrokerLife, ControllerClient
from metadata.quorum.controller import ALLOT_PRODUCER_IDS
from metadata.quorum.rpc import UNREACHABLE, Answer
from metadata.quorum.spread import LeaderSpread
from partitions.api.budget import ByteBudget
from partitions.api.deadlines import Deadlines
from partitions.api.metadatacache import MetadataCache
from partitions.api.services import (
    ApiSettings,
    ControllerReply,
    ItemOutcome,
    ProducerIdReply,
)
from partitions.errors import ErrorCode
from partitions.replicas.manager import ReplicaManager
from partitions.replicas.replica import PartitionReplica
from partitions.security import AllowAll, Authorizer
from raftlog.seams import Reactor

RESPONSE_BUDGET_BYTES = 256 * 1024 * 1024
CALL_TIMEOUT_US = 30_000_000
WAITING_FOR_IDS_MAX = 10_000


class BrokerServices:
    """Implements `partitions.api.services.Services`."""

    def __init__(
        self,
        node_id: int,
        cluster_id: str,
        settings: BrokerSettings,
        reactor: Reactor,
        app: MetadataApplication,
        client: ControllerClient,
        life: BrokerLife,
        spread: LeaderSpread,
        manager: ReplicaManager,
    ) -> None:
        self.node_id = node_id
        self.cluster_id = cluster_id
        self.settings = ApiSettings(
            auto_create_topics=settings.switch("auto.create.topics.enable"),
            fetch_max_bytes=settings.integer("fetch.max.bytes"),
        )
        self.reactor = reactor
        self.deadlines = Deadlines(reactor)
        self.authorizer: Authorizer = AllowAll()
        self.response_budget = ByteBudget(RESPONSE_BUDGET_BYTES)
        self.metadata_cache = MetadataCache()
        self._static = settings.static
        self._app = app
        self._client = client
        self._spread = spread
        self._manager = manager
        self._producer_ids = ProducerIds(client, life, node_id)

    @property
    def leaders_version(self) -> int:
        """The leader table's version."""
        return self._spread.table.version

    def image(self) -> MetadataImage:
        """The newest committed image here."""
        return self._app.image

    def layers(self) -> BrokerLayers:
        """This broker's settings, for the defaults of topics."""
        return BrokerLayers(static=self._static)

    def leader(self, group: int) -> Leader | None:
        """Who leads a group, as far as told."""
        return self._spread.table.leader(group)

    def replica(self, topic_id: bytes, partition: int) -> PartitionReplica | None:
        """This broker's copy."""
        return self._manager.replica(topic_id, partition)

    def controller_id(self) -> int | None:
        """The controller's node."""
        return self._client.controller()

    def call_controller(
        self,
        operation: str,
        arguments: Mapping[str, Any],
        on_done: Callable[[ControllerReply], None],
    ) -> None:
        """Forward, and answer once this broker's image has what was decided."""

        def answered(answer: Answer) -> None:
            if answer.error is not None:
                on_done(ControllerReply(_code(answer.error), answer.message))
                return
            position, outcomes = answer.value
            items = tuple(
                [ItemOutcome(_code(error), text, values) for error, text, values in outcomes]
            )
            reply = ControllerReply(ErrorCode.NONE, None, items)
            self._app.when_applied(position, lambda: on_done(reply))

        self._client.call(operation, dict(arguments), answered, timeout_us=CALL_TIMEOUT_US)

    def allocate_producer_id(self, on_done: Callable[[ProducerIdReply], None]) -> None:
        """From this broker's block."""
        self._producer_ids.take(on_done)

    def topic_configs(self, name: str) -> Mapping[str, ConfigEntry]:
        """Every setting of a topic with its source."""
        return topic_entries(self._app.image.topic_config(name), self.layers())

    def broker_configs(self) -> Mapping[str, ConfigEntry]:
        """Every setting of this broker with its source."""
        return broker_entries(self.layers())


class ProducerIds:
    """Hands out producer ids from blocks that the controller allots."""

    def __init__(self, client: ControllerClient, life: BrokerLife, node_id: int) -> None:
        self._client = client
        self._life = life
        self._node_id = node_id
        self._next = 0
        self._end = 0
        self._waiting: deque[Callable[[ProducerIdReply], None]] = deque()

    def take(self, on_done: Callable[[ProducerIdReply], None]) -> None:
        """One id, at once if the block has one left."""
        if self._next < self._end:
            self._next += 1
            on_done(ProducerIdReply(ErrorCode.NONE, self._next - 1))
        elif self._life.epoch is None or len(self._waiting) >= WAITING_FOR_IDS_MAX:
            on_done(ProducerIdReply(ErrorCode.COORDINATOR_LOAD_IN_PROGRESS))
        else:
            self._waiting.append(on_done)
            if len(self._waiting) == 1:
                self._ask()

    def _ask(self) -> None:
        arguments = [self._node_id, self._life.epoch]
        self._client.call(ALLOT_PRODUCER_IDS, arguments, self._allotted, timeout_us=CALL_TIMEOUT_US)

    def _allotted(self, answer: Answer) -> None:
        waiting, self._waiting = self._waiting, deque()
        if answer.error is not None:
            for on_done in waiting:
                on_done(ProducerIdReply(ErrorCode.COORDINATOR_NOT_AVAILABLE))
            return
        first, count = answer.value
        self._next, self._end = first, first + count
        for on_done in waiting:
            self.take(on_done)


def _code(name: str | None) -> ErrorCode:
    """Kafka's code for what another broker answered."""
    if name is None:
        return ErrorCode.NONE
    if name == UNREACHABLE:
        return ErrorCode.REQUEST_TIMED_OUT
    return ErrorCode.__members__.get(name, ErrorCode.UNKNOWN_SERVER_ERROR)
