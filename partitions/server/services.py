"""The broker as its request handlers see it: `partitions.api.Services` over the real parts."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import structlog

from metadata.configs import ConfigEntry, broker_entries, topic_entries
from metadata.image import MetadataImage
from metadata.leaders import Leader
from metadata.live import LiveSettings
from metadata.quorum.client import BrokerLife, ControllerClient
from metadata.quorum.controller import ALLOT_PRODUCER_IDS
from metadata.quorum.description import DESCRIBE_QUORUM, quorum_view
from metadata.quorum.image_holder import ImageHolder
from metadata.quorum.position import catch_up
from metadata.quorum.rpc import UNREACHABLE, Answer
from metadata.quorum.spread import LeaderSpread
from partitions.api.budget import ByteBudget
from partitions.api.deadlines import Deadlines
from partitions.api.metadatacache import MetadataCache
from partitions.api.offsetstopic import OffsetsTopic
from partitions.api.refused import RefusedBatches
from partitions.api.services import (
    ApiSettings,
    ControllerReply,
    ItemOutcome,
    ProducerIdReply,
    QuorumReply,
)
from partitions.coordinators.groups import GroupSettings
from partitions.coordinators.groups.broker import CatchUp, GroupCoordinators
from partitions.coordinators.groups.clients import CoordinatorSettings
from partitions.errors import ErrorCode
from partitions.replicas.handover import Handover
from partitions.replicas.interface import DiskUsage
from partitions.replicas.manager import ReplicaManager
from partitions.replicas.replica import PartitionReplica
from partitions.security import AllowAll, Authorizer
from raftlog.disk.properties import Properties
from raftlog.seams import Reactor
from raftlog.types import ReplicaId

log = structlog.get_logger()

RESPONSE_BUDGET_BYTES = 256 * 1024 * 1024
POLL_BUDGET_BYTES = 256 * 1024 * 1024
CALL_TIMEOUT_US = 30_000_000
QUESTION_TIMEOUT_US = 5_000_000
"""For what changes nothing: whoever asks can ask again, and should hear of a lost quorum soon."""
UNREADABLE = "the controller's answer is unreadable: does it run another release?"
LEADERS_WAIT_US = 1_000_000
LEADERS_POLL_US = 5_000
WAITING_FOR_IDS_MAX = 10_000


class BrokerServices:
    """Implements `partitions.api.services.Services`."""

    def __init__(
        self,
        properties: Properties,
        settings: LiveSettings,
        reactor: Reactor,
        app: ImageHolder,
        client: ControllerClient,
        life: BrokerLife,
        spread: LeaderSpread,
        manager: ReplicaManager,
        handover: Handover,
    ) -> None:
        self.node_id = properties.node_id
        self.cluster_id = properties.cluster_id
        self.log_directory = os.path.abspath(settings.text("log.dirs"))
        self._live = settings
        self.settings_changed()
        self.reactor = reactor
        self.deadlines = Deadlines(reactor)
        self.authorizer: Authorizer = AllowAll()
        self.response_budget = ByteBudget(RESPONSE_BUDGET_BYTES)
        self.poll_budget = ByteBudget(POLL_BUDGET_BYTES)
        self.refused_batches = RefusedBatches()
        self.metadata_cache = MetadataCache()
        self.groups = _coordinators(settings, reactor, self.image, partial(catch_up, client, app))
        self.offsets_topic = OffsetsTopic()
        manager.on_leadership = self.groups.leadership
        self._app = app
        self._client = client
        self._spread = spread
        self._manager = manager
        self.hand_over = handover.ask
        self._producer_ids = ProducerIds(client, life, properties.node_id)

    @property
    def leaders_version(self) -> int:
        """Both only rise, so their sum changes with either."""
        return self._spread.table.version + self._manager.offline_version

    def image(self) -> MetadataImage:
        """The newest committed image here."""
        return self._app.image

    def settings_changed(self) -> None:
        """Read again what handlers ask for with every request."""
        self.settings = ApiSettings(
            auto_create_topics=self._live.switch("auto.create.topics.enable"),
            fetch_max_bytes=self._live.integer("fetch.max.bytes"),
            offsets_topic_partitions=self._live.integer("offsets.topic.num.partitions"),
            offsets_topic_replication_factor=self._live.integer("offsets.topic.replication.factor"),
            offset_metadata_max_bytes=self._live.integer("offset.metadata.max.bytes"),
        )

    def leader(self, group: int) -> Leader | None:
        """Who leads a group, as far as told."""
        return self._spread.table.leader(group)

    def replica(self, topic_id: bytes, partition: int) -> PartitionReplica | None:
        """This broker's copy."""
        return self._manager.replica(topic_id, partition)

    def is_offline(self, group: int, replica: ReplicaId | None = None) -> bool:
        """Is `replica`'s copy of a partition (None: this broker's) out of service?"""
        return self._manager.is_offline(group, replica)

    def controller_id(self) -> int | None:
        """The controller's node."""
        return self._client.controller()

    def call_controller(
        self,
        operation: str,
        arguments: Mapping[str, Any],
        on_done: Callable[[ControllerReply], None],
    ) -> None:
        """Forward, and answer once this broker's image has what was decided.

        A creation is answered once the new partitions have leaders, or after LEADERS_WAIT_US:
        clients use what they made at once, and not all of them ask twice.
        """

        def answered(answer: Answer) -> None:
            if answer.error is not None:
                on_done(ControllerReply(_code(answer.error), answer.message))
                return
            try:
                position, items = _outcomes(answer.value, len(arguments["items"]))
            except (ValueError, TypeError) as error:
                log.error("unreadable answer", operation=operation, reason=str(error))
                on_done(ControllerReply(ErrorCode.UNKNOWN_SERVER_ERROR, UNREADABLE))
                return
            reply = ControllerReply(ErrorCode.NONE, None, items)
            self._app.when_applied(position, lambda: self._when_led(items, reply, on_done))

        self._client.call(operation, dict(arguments), answered, timeout_us=CALL_TIMEOUT_US)

    def _when_led(
        self,
        items: tuple[ItemOutcome, ...],
        reply: ControllerReply,
        on_done: Callable[[ControllerReply], None],
    ) -> None:
        """Reply once the topics that `items` made are led everywhere, or the wait is over."""
        made = [item.values["topic_id"] for item in items if "topic_id" in item.values]
        if not made:
            on_done(reply)
            return
        due_us = self.reactor.now_us() + LEADERS_WAIT_US

        def look() -> None:
            now = self.reactor.now_us()
            if now >= due_us or all(map(self._is_led, made)):
                on_done(reply)
            else:
                self.reactor.call_at(now + LEADERS_POLL_US, look)

        look()

    def _is_led(self, topic_id: bytes) -> bool:
        """Every partition of the topic has a known leader (a topic that is gone needs none)."""
        topic = self._app.image.topics.get(topic_id)
        leader = self._spread.table.leader
        return topic is None or all(leader(p.group) is not None for p in topic.partitions)

    def allocate_producer_id(self, on_done: Callable[[ProducerIdReply], None]) -> None:
        """From this broker's block."""
        self._producer_ids.take(on_done)

    def describe_quorum(self, on_done: Callable[[QuorumReply], None]) -> None:
        """As the controller sees it."""

        def answered(answer: Answer) -> None:
            if answer.error is not None:
                on_done(QuorumReply(_code(answer.error), answer.message))
                return
            try:
                view = quorum_view(answer.value)
            except ValueError as error:
                log.error("unreadable answer", operation=DESCRIBE_QUORUM, reason=str(error))
                on_done(QuorumReply(ErrorCode.UNKNOWN_SERVER_ERROR, UNREADABLE))
                return
            on_done(QuorumReply(ErrorCode.NONE, None, view))

        self._client.call(DESCRIBE_QUORUM, [], answered, timeout_us=QUESTION_TIMEOUT_US)

    def disk_usage(self) -> DiskUsage:
        """What is on the disk here."""
        return self._manager.disk_usage()

    def topic_configs(self, name: str) -> Mapping[str, ConfigEntry]:
        """Every setting of a topic with its source."""
        return topic_entries(self._app.image.topic_config(name), self._live.layers())

    def broker_configs(self) -> Mapping[str, ConfigEntry]:
        """Every setting of this broker with its source."""
        return broker_entries(self._live.layers())


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
        block = answer.value
        if answer.error is not None or not _is_block(block):
            if answer.error is None:
                log.error("unreadable answer", operation=ALLOT_PRODUCER_IDS)
            for on_done in waiting:
                on_done(ProducerIdReply(ErrorCode.COORDINATOR_NOT_AVAILABLE))
            return
        self._next, self._end = block[0], block[0] + block[1]
        for on_done in waiting:
            self.take(on_done)


def _coordinators(
    settings: LiveSettings,
    reactor: Reactor,
    image: Callable[[], MetadataImage],
    caught_up: CatchUp,
) -> GroupCoordinators:
    wanted = CoordinatorSettings(
        GroupSettings(
            min_session_timeout_ms=settings.integer("group.min.session.timeout.ms"),
            max_session_timeout_ms=settings.integer("group.max.session.timeout.ms"),
            initial_rebalance_delay_ms=settings.integer("group.initial.rebalance.delay.ms"),
            max_size=settings.integer("group.max.size"),
        ),
        settings.integer("offsets.retention.minutes") * 60_000,
    )
    expiry_us = settings.integer("offsets.retention.check.interval.ms") * 1000
    return GroupCoordinators(reactor, image, caught_up, lambda: wanted, expiry_us)


def _outcomes(value: Any, wanted: int) -> tuple[int, tuple[ItemOutcome, ...]]:
    """(image position, one outcome per item asked for) of a controller's answer.

    ValueError or TypeError when it is anything else.
    """
    position, outcomes = value
    if type(position) is not int or type(outcomes) is not list or len(outcomes) != wanted:
        raise ValueError(f"not a position and {wanted} outcomes")
    items = []
    for error, text, values in outcomes:
        if not isinstance(values, dict) or not isinstance(text, str | None):
            raise ValueError("an outcome is not error, message and values")
        items.append(ItemOutcome(_code(error), text, values))
    return position, tuple(items)


def _is_block(value: Any) -> bool:
    """Are these the first of some producer ids and their number, at least one?"""
    return (
        type(value) is list
        and len(value) == 2
        and all(type(part) is int and part >= 0 for part in value)
        and value[1] > 0
    )


def _code(name: str | None) -> ErrorCode:
    """Kafka's code for what another broker answered."""
    if name is None:
        return ErrorCode.NONE
    if name == UNREACHABLE:
        return ErrorCode.REQUEST_TIMED_OUT
    return ErrorCode.__members__.get(name, ErrorCode.UNKNOWN_SERVER_ERROR)
