"""Metadata (key 3): brokers, topics, partitions and their leaders, as of this broker's image.

Every leader named is in the same response's broker list, under the address of the listener
that was asked. Brokers that are fenced are left out: a client could not use them. There is
no set of in-sync replicas that drives anything here: `isr_nodes` shows the replicas in service
on live brokers, `offline_replicas` the others.

A topic that is asked for many times is answered once, as in Kafka.

Encoded bodies are kept until the image or the leaders change, because every client of a
cluster asks for the same ones.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from metadata.image import Broker, MetadataImage, Partition, Topic
from metadata.leaders import Leader
from partitions import wire
from partitions.api import authorized
from partitions.api.autocreate import AutoCreate, creatable
from partitions.api.context import Answer, Body, RequestContext
from partitions.api.leadership import endpoint, live_replicas, partition_state
from partitions.api.services import Services
from partitions.errors import ErrorCode, KafkaError
from partitions.internal import INTERNAL_TOPICS
from partitions.security import Operation, topic_resource

NO_NODE = -1
CACHED_NAMES_MAX = 100
"""Questions with more topics (but not for all of them) are answered afresh."""
NO_ID = bytes(16)
LISTENER_NOT_FOUND_VERSION = 6
TOPIC_ID_VERSION = 12
"""From here on topics may be asked for by id alone (10 and 11 have the field, unused)."""

_M = wire.messages(wire.ApiKey.METADATA)
_Broker, _Topic, _Part = (
    _M.MetadataResponseBroker,
    _M.MetadataResponseTopic,
    _M.MetadataResponsePartition,
)


def broker_list(image: MetadataImage, listener: str) -> dict[int, Any]:
    """Live brokers that clients of `listener` can reach, by node id."""
    return reachable_brokers(image.unfenced(), listener)


def reachable_brokers(candidates: Iterable[Broker], listener: str) -> dict[int, Any]:
    """Of these brokers the ones with an address on `listener`, by node id."""
    brokers = {}
    for broker in candidates:
        address = endpoint(broker, listener)
        if address is not None:
            brokers[broker.node] = _Broker(
                node_id=broker.node,
                host=address.host,
                port=address.port,
                rack=broker.registration.rack,
            )
    return brokers


def controller_node(services: Services, brokers: dict[int, Any]) -> int:
    """Where admin requests go. Any broker forwards them, so this one is named if a client of the
    listener cannot reach the controller; NO_NODE if there is none to forward to."""
    controller = services.controller_id()
    if controller is None:
        return NO_NODE
    for node in (controller, services.node_id):
        if node in brokers:
            return node
    return NO_NODE


class _View:
    """One response in the making: the image, and who can be named in it."""

    __slots__ = ("_context", "_image", "_operations", "_services", "_live", "brokers")

    def __init__(self, services: Services, context: RequestContext, operations: bool) -> None:
        """`operations`: say of each topic what the client may do to it."""
        self._operations = operations
        self._services = services
        self._context = context
        self._image: MetadataImage = services.image()
        self._live = live_replicas(self._image)
        self.brokers = broker_list(self._image, context.listener)

    def allowed(self, name: str) -> bool:
        """May the client know of the topic?"""
        return self._services.authorizer.authorize(
            self._context, Operation.DESCRIBE, topic_resource(name)
        )

    def all_topics(self) -> list[Any]:
        """Every topic the client may see, by name."""
        topics = [topic for _, topic in sorted(self._named())]
        return [self.topic(topic) for topic in topics if self.allowed(topic.name)]

    def _named(self) -> list[tuple[str, Topic]]:
        return [(topic.name, topic) for topic in self._image.topics.values()]

    def asked(self, wanted: Any, failures: dict[str, ErrorCode]) -> Any:
        """The answer to one item of the request."""
        if wanted.name is None:
            return self._asked_by_id(wanted.topic_id)
        name = wanted.name
        if not self.allowed(name):
            return _failed(name, ErrorCode.TOPIC_AUTHORIZATION_FAILED)
        topic = self._image.topic(name)
        if topic is None:
            return _failed(name, failures.get(name, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION))
        return self.topic(topic)

    def _asked_by_id(self, topic_id: bytes) -> Any:
        topic = self._image.topics.get(topic_id)
        if topic is None or not self.allowed(topic.name):
            # The same answer either way: an id must not reveal that a topic exists.
            return _Topic(error_code=ErrorCode.UNKNOWN_TOPIC_ID.value, topic_id=topic_id, name=None)
        return self.topic(topic)

    def topic(self, topic: Topic) -> Any:
        """A topic that exists."""
        partitions = [self._partition(n, p) for n, p in enumerate(topic.partitions)]
        return _Topic(
            error_code=0,
            name=topic.name,
            topic_id=topic.topic_id,
            is_internal=topic.name in INTERNAL_TOPICS,
            partitions=partitions,
            topic_authorized_operations=authorized.on_topic(
                self._services, self._context, topic.name
            )
            if self._operations
            else authorized.NOT_ASKED,
        )

    def _partition(self, number: int, partition: Partition) -> Any:
        state = partition_state(self._services, self._live, partition)
        code, node, epoch = self._leader(state.leader)
        return _Part(
            error_code=code.value,
            partition_index=number,
            leader_id=node,
            leader_epoch=epoch,
            replica_nodes=state.nodes,
            isr_nodes=state.in_service,
            offline_replicas=[node for node in state.nodes if node in state.offline],
        )

    def _leader(self, leader: Leader | None) -> tuple[ErrorCode, int, int]:
        if leader is None:
            return ErrorCode.LEADER_NOT_AVAILABLE, NO_NODE, -1
        if leader.node in self.brokers:
            return ErrorCode.NONE, leader.node, leader.term
        if self._context.api_version >= LISTENER_NOT_FOUND_VERSION:
            return ErrorCode.LISTENER_NOT_FOUND, NO_NODE, -1
        return ErrorCode.LEADER_NOT_AVAILABLE, NO_NODE, -1

    def response(self, topics: list[Any], operations: bool) -> Body:
        """The whole body; `operations`: say what the client may do to the cluster."""
        return _M.MetadataResponse(
            brokers=list(self.brokers.values()),
            cluster_id=self._services.cluster_id,
            controller_id=controller_node(self._services, self.brokers),
            topics=topics,
            cluster_authorized_operations=authorized.on_cluster(self._services, self._context)
            if operations
            else authorized.NOT_ASKED,
        )


class Operations(NamedTuple):
    """Of what to say which operations the client may do (KIP-430)."""

    topics: bool
    cluster: bool


def handle(services: Services, context: RequestContext, request: Any) -> Answer:
    """Answer from the image; topics that may be made are made first."""
    wanted = _asked_topics(context, request)
    operations = Operations(
        request.include_topic_authorized_operations,
        request.include_cluster_authorized_operations,
    )
    if wanted is not None and context.api_version < TOPIC_ID_VERSION:
        _check_names(wanted)
    missing = creatable(services, context, request, wanted)
    if missing:
        return AutoCreate(
            services, missing, lambda failed: _answer(services, context, wanted, operations, failed)
        )
    return _answer(services, context, wanted, operations, {})


def _asked_topics(context: RequestContext, request: Any) -> list[Any] | None:
    """The items asked for, each once; None: all topics (null, or empty in version 0)."""
    topics: list[Any] | None = request.topics
    if topics is None or (context.api_version == 0 and not topics):
        return None
    return list({(item.name, item.topic_id): item for item in topics}.values())


def _answer(
    services: Services,
    context: RequestContext,
    wanted: list[Any] | None,
    operations: Operations,
    failures: dict[str, ErrorCode],
) -> Answer:
    def make() -> Body:
        view = _View(services, context, operations.topics)
        if wanted is None:
            return view.response(view.all_topics(), operations.cluster)
        topics = [view.asked(item, failures) for item in wanted]
        return view.response(topics, operations.cluster)

    asked = None if wanted is None else tuple([(w.name, w.topic_id) for w in wanted])
    if failures or (asked is not None and len(asked) > CACHED_NAMES_MAX):
        return make()
    position = services.image().position
    generation = (position, services.leaders_version, services.controller_id())
    question = (context.api_version, context.listener, context.principal, operations, asked)
    return services.metadata_cache.encoded(generation, question, context.api_version, make)


def _check_names(wanted: list[Any]) -> None:
    if any(item.name is None for item in wanted):
        raise KafkaError(
            ErrorCode.INVALID_REQUEST,
            f"topics: asking by topic id needs Metadata version {TOPIC_ID_VERSION}",
        )


def _failed(name: str, code: ErrorCode) -> Any:
    return _Topic(error_code=code.value, name=name, topic_id=NO_ID)


def refuse(context: RequestContext, request: Any, error: KafkaError) -> Body:
    """The error on every topic asked for; a request for all topics has no place for one."""
    topics = [
        _Topic(error_code=error.code.value, name=item.name or "", topic_id=item.topic_id)
        for item in _asked_topics(context, request) or ()
    ]
    return _M.MetadataResponse(brokers=[], topics=topics, error_code=error.code.value)
