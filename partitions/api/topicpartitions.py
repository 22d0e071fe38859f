"""DescribeTopicPartitions (key 75): what Metadata says of topics, page by page.

Topics come in the order of their names. A page ends after so many partitions, and its cursor
says where the next one begins. Kafka's eligible leader replicas mean nothing here: any replica that
a majority elects has all that was acknowledged, so both lists are empty.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from metadata.image import MetadataImage, Topic
from partitions import wire
from partitions.api import authorized
from partitions.api.context import Answer, Body, RequestContext
from partitions.api.leadership import endpoint, live_replicas, partition_state
from partitions.api.services import Services
from partitions.errors import ErrorCode, KafkaError
from partitions.security import Operation, topic_resource

PARTITIONS_MAX = 2_000
"""In one answer, whatever the client asks for (Kafka's max.request.partition.size.limit)."""
NO_NODE = NO_EPOCH = -1
NO_ID = bytes(16)
_M = wire.messages(wire.ApiKey.DESCRIBE_TOPIC_PARTITIONS)
_Topic = _M.DescribeTopicPartitionsResponseTopic


def handle(services: Services, context: RequestContext, request: Any) -> Answer:
    """The topics named, or all that the client may see, from the cursor on."""
    first_topic, first_partition = _start(request.cursor)
    page = _Page(services, context, request.response_partition_limit)
    image = services.image()
    names = {topic.name for topic in request.topics} or image.topic_ids.keys()
    page.fill(_wanted(names, first_topic), first_topic, first_partition, bool(request.topics))
    return _M.DescribeTopicPartitionsResponse(topics=page.topics, next_cursor=page.next_cursor)


def _start(cursor: Any) -> tuple[str, int]:
    if cursor is None:
        return "", 0
    if cursor.partition_index < 0:
        raise KafkaError(
            ErrorCode.INVALID_REQUEST, f"cursor: partition {cursor.partition_index} is negative"
        )
    return cursor.topic_name, cursor.partition_index


def _wanted(names: Iterable[str], first: str) -> list[str]:
    return sorted(name for name in names if name >= first)


class _Page:
    """One answer in the making."""

    def __init__(self, services: Services, context: RequestContext, limit: int) -> None:
        self._services = services
        self._context = context
        self._image: MetadataImage = services.image()
        self._live = live_replicas(self._image)
        self._room = max(1, min(limit, PARTITIONS_MAX))
        self.topics: list[Any] = []
        self.next_cursor: Any = None

    def fill(self, names: list[str], first_topic: str, first_partition: int, named: bool) -> None:
        """Add topics until there is no more room; `named`: the client knows of them."""
        for name in names:
            allowed = self._services.authorizer.authorize(
                self._context, Operation.DESCRIBE, topic_resource(name)
            )
            topic = self._image.topic(name)
            if not allowed:
                if named:
                    self.topics.append(_failed(name, ErrorCode.TOPIC_AUTHORIZATION_FAILED))
            elif topic is None:
                self.topics.append(_failed(name, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION))
            elif not self._room:
                self.next_cursor = _M.Cursor(topic_name=name, partition_index=0)
                return
            elif not self._add(topic, first_partition if name == first_topic else 0):
                return

    def _add(self, topic: Topic, first: int) -> bool:
        """The topic from partition `first` on; False when it does not fit as a whole."""
        end = min(len(topic.partitions), first + self._room)
        partitions = [self._partition(topic, number) for number in range(first, end)]
        self._room -= len(partitions)
        self.topics.append(
            _Topic(
                error_code=0,
                name=topic.name,
                topic_id=topic.topic_id,
                is_internal=topic.name.startswith("__"),
                partitions=partitions,
                topic_authorized_operations=authorized.on_topic(
                    self._services, self._context, topic.name
                ),
            )
        )
        if end >= len(topic.partitions):
            return True
        self.next_cursor = _M.Cursor(topic_name=topic.name, partition_index=end)
        return False

    def _partition(self, topic: Topic, number: int) -> Any:
        state = partition_state(self._services, self._live, topic.partitions[number])
        code, node, epoch = ErrorCode.LEADER_NOT_AVAILABLE, NO_NODE, NO_EPOCH
        if state.leader is not None:
            code, node, epoch = ErrorCode.NONE, state.leader.node, state.leader.term
            if endpoint(self._image.brokers[node], self._context.listener) is None:
                code, node, epoch = ErrorCode.LISTENER_NOT_FOUND, NO_NODE, NO_EPOCH
        return _M.DescribeTopicPartitionsResponsePartition(
            error_code=code.value,
            partition_index=number,
            leader_id=node,
            leader_epoch=epoch,
            replica_nodes=state.nodes,
            isr_nodes=state.in_service,
            eligible_leader_replicas=[],
            last_known_elr=[],
            offline_replicas=[node for node in state.nodes if node in state.offline],
        )


def _failed(name: str, code: ErrorCode) -> Any:
    return _Topic(error_code=code.value, name=name, topic_id=NO_ID, partitions=[])


def refuse(context: RequestContext, request: Any, error: KafkaError) -> Body:
    """The error on every topic named; there is no other place for one."""
    return _M.DescribeTopicPartitionsResponse(
        topics=[_failed(topic.name, error.code) for topic in request.topics], next_cursor=None
    )
