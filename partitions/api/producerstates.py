"""DescribeProducers (key 61): the idempotent producers that this broker's copies remember."""

from __future__ import annotations

from typing import Any

from partitions import wire
from partitions.api.context import Answer, Body, RequestContext
from partitions.api.services import Services
from partitions.errors import ErrorCode, KafkaError
from partitions.replicas.interface import Replica
from partitions.replicas.offline import storage_error
from partitions.security import Operation, topic_resource

PRODUCERS_MAX = 100_000
"""In one answer: a partition remembers at most a tenth of that."""
NO_COORDINATOR = NO_TRANSACTION = -1
_M = wire.messages(wire.ApiKey.DESCRIBE_PRODUCERS)


def handle(services: Services, context: RequestContext, request: Any) -> Answer:
    """One result per partition asked for. Any copy answers, the leader's or a follower's."""
    listing = _Listing(services, context)
    topics = [
        _M.TopicResponse(
            name=topic.name,
            partitions=[listing.partition(topic.name, n) for n in topic.partition_indexes],
        )
        for topic in request.topics
    ]
    return _M.DescribeProducersResponse(topics=topics)


class _Listing:
    """One answer in the making."""

    def __init__(self, services: Services, context: RequestContext) -> None:
        self._services = services
        self._context = context
        self._room = PRODUCERS_MAX
        self._seen: set[tuple[str, int]] = set()

    def partition(self, name: str, number: int) -> Any:
        """The partition's producers, or why there are none to be told."""
        try:
            return _result(number, ErrorCode.NONE, None, self._producers(name, number))
        except KafkaError as error:
            return _result(number, error.code, error.message, [])

    def _producers(self, name: str, number: int) -> list[Any]:
        if (name, number) in self._seen:
            raise KafkaError(ErrorCode.INVALID_REQUEST, "the partition is asked for twice")
        self._seen.add((name, number))
        producers = self._replica(name, number).active_producers()
        if len(producers) > self._room:
            text = f"more than {PRODUCERS_MAX} producers in all: ask for fewer partitions at once"
            raise KafkaError(ErrorCode.INVALID_REQUEST, text)
        self._room -= len(producers)
        return [
            _M.ProducerState(
                producer_id=each.producer_id,
                producer_epoch=each.epoch,
                last_sequence=each.last_sequence,
                last_timestamp=each.last_timestamp,
                coordinator_epoch=NO_COORDINATOR,
                current_txn_start_offset=NO_TRANSACTION,
            )
            for each in producers
        ]

    def _replica(self, name: str, number: int) -> Replica:
        services = self._services
        if not services.authorizer.authorize(self._context, Operation.READ, topic_resource(name)):
            raise KafkaError(
                ErrorCode.TOPIC_AUTHORIZATION_FAILED,
                "describing producers of this topic is not allowed",
            )
        topic = services.image().topic(name)
        if topic is None or not 0 <= number < len(topic.partitions):
            text = "there is no such topic or partition"
            raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, text)
        replica = services.replica(topic.topic_id, number)
        if replica is None:
            if services.is_offline(topic.partitions[number].group):
                raise storage_error(name, number)
            text = f"node {services.node_id} has no replica of {name}-{number}"
            raise KafkaError(ErrorCode.NOT_LEADER_OR_FOLLOWER, text)
        return replica


def _result(number: int, code: ErrorCode, message: str | None, producers: list[Any]) -> Any:
    return _M.PartitionResponse(
        partition_index=number,
        error_code=code.value,
        error_message=message,
        active_producers=producers,
    )


def refuse(context: RequestContext, request: Any, error: KafkaError) -> Body:
    """The error for every partition asked for."""
    return _M.DescribeProducersResponse(
        topics=[
            _M.TopicResponse(
                name=topic.name,
                partitions=[
                    _result(n, error.code, error.message, []) for n in topic.partition_indexes
                ],
            )
            for topic in request.topics
        ]
    )
