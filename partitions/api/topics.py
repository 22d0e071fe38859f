"""CreateTopics (19), DeleteTopics (20) and CreatePartitions (37): the controller decides.

Every broker takes these and forwards them. One result per requested item, in the order
asked, whatever happens: some clients abort on a missing one. An item that cannot be right
(unknown topic, asked twice, not allowed) is answered here; only the others are forwarded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from metadata.image import Topic
from partitions import wire
from partitions.api.context import Answer, Body, RequestContext
from partitions.api.controllercall import Items, forward
from partitions.api.services import (
    CREATE_PARTITIONS,
    CREATE_TOPICS,
    DELETE_TOPICS,
    Services,
)
from partitions.errors import ErrorCode, KafkaError
from partitions.internal import check_not_internal
from partitions.security import CLUSTER, Operation, topic_resource

NO_ID = bytes(16)
BY_DEFAULT = -1

_C = wire.messages(wire.ApiKey.CREATE_TOPICS)
_D = wire.messages(wire.ApiKey.DELETE_TOPICS)
_P = wire.messages(wire.ApiKey.CREATE_PARTITIONS)


def create(services: Services, context: RequestContext, request: Any) -> Answer:
    """Create topics, or with `validate_only` say whether they could be."""
    times = Counter(topic.name for topic in request.topics)
    items = Items()
    for topic in request.topics:
        answer = _C.CreatableTopicResult(name=topic.name, error_code=0, error_message=None)
        try:
            _check_create(services, context, topic, times[topic.name])
            items.ask(answer, _creation(topic))
        except KafkaError as error:
            items.refuse(answer, error.code, error.message)
    body = _C.CreateTopicsResponse(topics=items.answers)
    return forward(
        services,
        context,
        CREATE_TOPICS,
        {"validate_only": request.validate_only},
        items,
        body,
        request.timeout,
        lambda answer, values: _show_created(services, answer, values),
    )


def _check_create(services: Services, context: RequestContext, topic: Any, times: int) -> None:
    if times > 1:
        raise KafkaError(
            ErrorCode.INVALID_REQUEST, f"topics: {topic.name} is asked for {times} times"
        )
    check_not_internal(topic.name)
    authorize = services.authorizer.authorize
    if not authorize(context, Operation.CREATE, CLUSTER) and not authorize(
        context, Operation.CREATE, topic_resource(topic.name)
    ):
        raise _denied("creating", topic.name)
    if topic.assignments and (
        topic.num_partitions != BY_DEFAULT or topic.replication_factor != BY_DEFAULT
    ):
        raise KafkaError(
            ErrorCode.INVALID_REQUEST,
            "num_partitions and replication_factor must be -1 when assignments are given",
        )


def _creation(topic: Any) -> dict[str, Any]:
    """The controller's view of one topic to create."""
    configs: dict[str, str] = {}
    for config in topic.configs:
        if config.value is None:
            raise KafkaError(ErrorCode.INVALID_CONFIG, f"configs: {config.name} has no value")
        configs[config.name] = config.value
    return {
        "name": topic.name,
        "partitions": topic.num_partitions,
        "replication_factor": topic.replication_factor,
        "assignments": _assignments(topic),
        "configs": configs,
    }


def _assignments(topic: Any) -> list[list[int]]:
    """Node ids per partition; the request may list the partitions in any order."""
    by_index = {a.partition_index: list(a.broker_ids) for a in topic.assignments}
    count = len(topic.assignments)
    if sorted(by_index) != list(range(count)):
        raise KafkaError(
            ErrorCode.INVALID_REPLICA_ASSIGNMENT,
            f"assignments: partitions must be 0 to {count - 1}, each once",
        )
    return [by_index[index] for index in range(count)]


def _show_created(services: Services, answer: Any, values: Mapping[str, Any]) -> None:
    answer.topic_id = values.get("topic_id", NO_ID)
    answer.num_partitions = values.get("partitions", -1)
    answer.replication_factor = values.get("replication_factor", -1)
    answer.configs = [
        _C.CreatableTopicConfigs(
            name=name,
            value=entry.text,
            read_only=entry.read_only,
            config_source=int(entry.source),
            is_sensitive=False,
        )
        for name, entry in services.topic_configs(answer.name).items()
    ]


def delete(services: Services, context: RequestContext, request: Any) -> Answer:
    """Delete topics by name, or from version 6 by name or id."""
    asked = _deletions(request)
    times = Counter((name, topic_id) for name, topic_id in asked)
    items = Items()
    for name, topic_id in asked:
        answer = _D.DeletableTopicResult(name=name, topic_id=topic_id, error_code=0)
        try:
            if times[name, topic_id] > 1:
                raise KafkaError(ErrorCode.INVALID_REQUEST, "the topic is asked for twice")
            topic = _found(services, context, name, topic_id)
            answer.name, answer.topic_id = topic.name, topic.topic_id
            items.ask(answer, {"topic_id": topic.topic_id})
        except KafkaError as error:
            items.refuse(answer, error.code, error.message)
    body = _D.DeleteTopicsResponse(responses=items.answers)
    return forward(services, context, DELETE_TOPICS, {}, items, body, request.timeout)


def _deletions(request: Any) -> list[tuple[str | None, bytes]]:
    """(name or None, topic id or zero) of each item, whichever field carries them."""
    by_name: list[tuple[str | None, bytes]] = [(name, NO_ID) for name in request.topic_names]
    return by_name + [(topic.name, topic.topic_id) for topic in request.topics]


def _found(services: Services, context: RequestContext, name: str | None, topic_id: bytes) -> Topic:
    """The topic to delete, if the client may know of it and delete it."""
    if name is not None and topic_id != NO_ID:
        raise KafkaError(ErrorCode.INVALID_REQUEST, "give the topic's name or its id, not both")
    image = services.image()
    topic = image.topics.get(topic_id) if name is None else image.topic(name)
    known = name if topic is None else topic.name
    authorize = services.authorizer.authorize
    if known is not None and not authorize(context, Operation.DELETE, topic_resource(known)):
        if name is None:
            raise KafkaError(ErrorCode.UNKNOWN_TOPIC_ID, "no topic has this id")
        raise _denied("deleting", name)
    if known is not None:
        check_not_internal(known)
    if topic is None:
        by_id = name is None
        code = ErrorCode.UNKNOWN_TOPIC_ID if by_id else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        raise KafkaError(code, "no topic has this id" if by_id else f"there is no topic {name}")
    return topic


def create_partitions(services: Services, context: RequestContext, request: Any) -> Answer:
    """Raise topics' partition counts."""
    times = Counter(topic.name for topic in request.topics)
    items = Items()
    for topic in request.topics:
        answer = _P.CreatePartitionsTopicResult(name=topic.name, error_code=0)
        try:
            _check_growth(services, context, topic.name, times[topic.name])
            items.ask(answer, _growth(topic))
        except KafkaError as error:
            items.refuse(answer, error.code, error.message)
    body = _P.CreatePartitionsResponse(results=items.answers)
    extra = {"validate_only": request.validate_only}
    return forward(services, context, CREATE_PARTITIONS, extra, items, body, request.timeout)


def _growth(topic: Any) -> dict[str, Any]:
    assignments = topic.assignments
    return {
        "name": topic.name,
        "count": topic.count,
        "assignments": assignments and [list(a.broker_ids) for a in assignments],
    }


def _check_growth(services: Services, context: RequestContext, name: str, times: int) -> None:
    if times > 1:
        raise KafkaError(ErrorCode.INVALID_REQUEST, f"topics: {name} is asked for {times} times")
    if not services.authorizer.authorize(context, Operation.ALTER, topic_resource(name)):
        raise _denied("altering", name)
    check_not_internal(name)
    if services.image().topic(name) is None:
        raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"there is no topic {name}")


def _denied(what: str, name: str) -> KafkaError:
    return KafkaError(ErrorCode.TOPIC_AUTHORIZATION_FAILED, f"{what} {name} is not allowed")


def refuse_create(context: RequestContext, request: Any, error: KafkaError) -> Body:
    """The error for every topic."""
    return _C.CreateTopicsResponse(
        topics=[
            _C.CreatableTopicResult(
                name=topic.name, error_code=error.code.value, error_message=error.message
            )
            for topic in request.topics
        ]
    )


def refuse_delete(context: RequestContext, request: Any, error: KafkaError) -> Body:
    """The error for every topic."""
    return _D.DeleteTopicsResponse(
        responses=[
            _D.DeletableTopicResult(
                name=name,
                topic_id=topic_id,
                error_code=error.code.value,
                error_message=error.message,
            )
            for name, topic_id in _deletions(request)
        ]
    )


def refuse_create_partitions(context: RequestContext, request: Any, error: KafkaError) -> Body:
    """The error for every topic."""
    return _P.CreatePartitionsResponse(
        results=[
            _P.CreatePartitionsTopicResult(
                name=topic.name, error_code=error.code.value, error_message=error.message
            )
            for topic in request.topics
        ]
    )
