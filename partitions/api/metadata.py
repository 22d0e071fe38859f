"""Metadata (key 3): brokers, topics, partitions and their leaders, as of this broker's image.

Every leader named is in the same response's broker list, under the address of the listener
that was asked. Brokers that are fenced are left out: a client could not use them. There is
no set of in-sync replicas that drives anything here: `isr_nodes` shows the replicas in service
on live brokers, `offline_replicas` the others.

Encoded bodies are kept until the image or the leaders change, because every client of a
cluster asks for the same ones.
"""

from __future__ import annotations

from typing import Any

from metadata.image import MetadataImage, Partition, Topic
from partitions import wire
from partitions.api.autocreate import AutoCreate, creatable
from partitions.api.context import Answer, Body, RequestContext
from partitions.api.leadership import endpoint
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
    brokers = {}
    for broker in image.unfenced():
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

    __slots__ = ("_context", "_image", "_services", "_live", "brokers")

    def __init__(self, services: Services, context: RequestContext) -> None:
        self._services = services
        self._context = context
        self._image: MetadataImage = services.image()
        self._live = {broker.node: broker.replica for broker in self._image.unfenced()}
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
        )

    def _partition(self, number: int, partition: Partition) -> Any:
        nodes = [replica.node for replica in partition.replicas]
        offline = self._offline(partition)
        code, node, epoch = self._leader(partition, offline)
        return _Part(
            error_code=code.value,
            partition_index=number,
            leader_id=node,
            leader_epoch=epoch,
            replica_nodes=nodes,
            isr_nodes=[n for n in nodes if n not in offline],
            offline_replicas=[n for n in nodes if n in offline],
        )

    def _offline(self, partition: Partition) -> set[int]:
        """Replicas that are out of service, on brokers that are down, or lost with a directory
        in whose place their broker has another one now."""
        is_offline, group = self._services.is_offline, partition.group
        return {
            replica.node
            for replica in partition.replicas
            if self._live.get(replica.node) != replica or is_offline(group, replica)
        }

    def _leader(self, partition: Partition, offline: set[int]) -> tuple[ErrorCode, int, int]:
        leader = self._services.leader(partition.group)
        if leader is None or leader.node not in self._live or leader.node in offline:
            return ErrorCode.LEADER_NOT_AVAILABLE, NO_NODE, -1
        if leader.node in self.brokers:
            return ErrorCode.NONE, leader.node, leader.term
        if self._context.api_version >= LISTENER_NOT_FOUND_VERSION:
            return ErrorCode.LISTENER_NOT_FOUND, NO_NODE, -1
        return ErrorCode.LEADER_NOT_AVAILABLE, NO_NODE, -1

    def response(self, topics: list[Any]) -> Body:
        """The whole body."""
        return _M.MetadataResponse(
            brokers=list(self.brokers.values()),
            cluster_id=self._services.cluster_id,
            controller_id=controller_node(self._services, self.brokers),
            topics=topics,
        )


def handle(services: Services, context: RequestContext, request: Any) -> Answer:
    """Answer from the image; topics that may be made are made first."""
    wanted = _asked_topics(context, request)
    if wanted is not None and context.api_version < TOPIC_ID_VERSION:
        _check_names(wanted)
    missing = creatable(services, context, request, wanted)
    if missing:
        return AutoCreate(
            services, missing, lambda failed: _answer(services, context, wanted, failed)
        )
    return _answer(services, context, wanted, {})


def _asked_topics(context: RequestContext, request: Any) -> list[Any] | None:
    """The items asked for; None: all topics (null, or empty in version 0)."""
    topics: list[Any] | None = request.topics
    return None if context.api_version == 0 and not topics else topics


def _answer(
    services: Services,
    context: RequestContext,
    wanted: list[Any] | None,
    failures: dict[str, ErrorCode],
) -> Answer:
    def make() -> Body:
        view = _View(services, context)
        if wanted is None:
            return view.response(view.all_topics())
        return view.response([view.asked(item, failures) for item in wanted])

    asked = None if wanted is None else tuple([(w.name, w.topic_id) for w in wanted])
    if failures or (asked is not None and len(asked) > CACHED_NAMES_MAX):
        return make()
    position = services.image().position
    generation = (position, services.leaders_version, services.controller_id())
    question = (context.api_version, context.listener, context.principal, asked)
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
