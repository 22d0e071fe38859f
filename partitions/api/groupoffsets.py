"""OffsetCommit (8), OffsetFetch (9) and OffsetDelete (47): positions of consumer groups.

A commit is answered when its record is committed. A fetch is answered when a majority has
confirmed that this broker still leads: a coordinator that was deposed without knowing it must not
send a consumer back to where it has been.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from metadata.image import Topic
from partitions import wire
from partitions.api.context import Answer, Body, RequestContext
from partitions.api.gather import Gather
from partitions.api.services import Services
from partitions.coordinators.groups.clients import Member
from partitions.coordinators.groups.coordinator import Coordinator
from partitions.coordinators.groups.offsets import Place
from partitions.coordinators.groups.schemas import CommittedOffset
from partitions.errors import ErrorCode, KafkaError
from partitions.security import Operation, group_resource, topic_resource

TIMEOUT_US = 5_000_000
"""Kafka's offsets.commit.timeout.ms. What is not done by then may be done yet."""
GROUPS_VERSION = 8
"""From here on OffsetFetch asks for several groups at once."""
TOP_ERROR_VERSION = 2
"""From here on OffsetFetch has an error for the whole request."""
UNKNOWN_GROUP_VERSION = 9
"""From here on a commit of a member of an unknown group is GROUP_ID_NOT_FOUND."""
NO_OFFSET = -1
INT64_MAX = 2**63 - 1
"""The last time that a record can hold. Clients ask for more to have an offset kept for ever."""

_C = wire.messages(wire.ApiKey.OFFSET_COMMIT)
_F = wire.messages(wire.ApiKey.OFFSET_FETCH)
_D = wire.messages(wire.ApiKey.OFFSET_DELETE)


def check_group(
    services: Services, context: RequestContext, operation: Operation, group_id: str
) -> None:
    """Raise GROUP_AUTHORIZATION_FAILED unless the client may do this to the group."""
    if not services.authorizer.authorize(context, operation, group_resource(group_id)):
        raise KafkaError(
            ErrorCode.GROUP_AUTHORIZATION_FAILED, f"access to group {group_id} is not allowed"
        )


def _topic_fault(services: Services, context: RequestContext, name: str) -> ErrorCode:
    allowed = services.authorizer.authorize(context, Operation.READ, topic_resource(name))
    return ErrorCode.NONE if allowed else ErrorCode.TOPIC_AUTHORIZATION_FAILED


def _has(topic: Topic | None, partition: int) -> bool:
    return topic is not None and 0 <= partition < len(topic.partitions)


# --- commit


def commit(services: Services, context: RequestContext, request: Any) -> Answer:
    """Write the offsets of the partitions that exist; the others are refused one by one."""
    check_group(services, context, Operation.READ, request.group_id)
    coordinator = services.groups.find(request.group_id)
    topics, wanted, answers = [], dict[Place, CommittedOffset](), list[Any]()
    for asked in request.topics:
        fault = _topic_fault(services, context, asked.name)
        topic = services.image().topic(asked.name)
        topic_id = topic.topic_id if topic is not None else b""
        parts = []
        for part in asked.partitions:
            error = fault or _commit_fault(services, topic, part)
            answer = _C.OffsetCommitResponsePartition(
                partition_index=part.partition_index, error_code=error.value
            )
            parts.append(answer)
            if error is ErrorCode.NONE:
                answers.append(answer)
                place = (asked.name, part.partition_index)
                wanted[place] = _committed(services, request, part, topic_id)
        topics.append(_C.OffsetCommitResponseTopic(name=asked.name, partitions=parts))
    body = _C.OffsetCommitResponse(topics=topics)
    if not wanted:
        return body
    return _commit(services, context, request, coordinator, wanted, answers, body)


def _commit_fault(services: Services, topic: Topic | None, part: Any) -> ErrorCode:
    if not _has(topic, part.partition_index):
        return ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    if len(part.committed_metadata or "") > services.settings.offset_metadata_max_bytes:
        return ErrorCode.OFFSET_METADATA_TOO_LARGE
    return ErrorCode.NONE


def _committed(services: Services, request: Any, part: Any, topic_id: bytes) -> CommittedOffset:
    now_ms = services.reactor.wall_ms()
    keep_ms = request.retention_time
    return CommittedOffset(
        part.committed_offset,
        part.committed_leader_epoch,
        part.committed_metadata or "",
        now_ms,
        min(now_ms + keep_ms, INT64_MAX) if keep_ms >= 0 else -1,
        topic_id,
    )


def _commit(
    services: Services,
    context: RequestContext,
    request: Any,
    coordinator: Coordinator,
    wanted: Mapping[Place, CommittedOffset],
    answers: list[Any],
    body: Body,
) -> Answer:
    gather = Gather()

    def settled(error: ErrorCode) -> None:
        for answer in answers:
            answer.error_code = error.value
        gather.arrived()

    for answer in answers:  # until it is known
        answer.error_code = ErrorCode.COORDINATOR_NOT_AVAILABLE.value
    gather.expect()
    member = Member(
        request.member_id, request.group_instance_id, request.generation_id_or_member_epoch
    )
    error = coordinator.commit(request.group_id, member, wanted, settled)
    if error is not ErrorCode.NONE:
        if error is ErrorCode.ILLEGAL_GENERATION and context.api_version >= UNKNOWN_GROUP_VERSION:
            if coordinator.describe(request.group_id) is None:
                error = ErrorCode.GROUP_ID_NOT_FOUND
        settled(error)
    return gather.start(body, services.deadlines, context.received_us + TIMEOUT_US)


def refuse_commit(context: RequestContext, request: Any, error: KafkaError) -> Body:
    """The error for every partition."""
    return _C.OffsetCommitResponse(
        topics=[
            _C.OffsetCommitResponseTopic(
                name=topic.name,
                partitions=[
                    _C.OffsetCommitResponsePartition(
                        partition_index=part.partition_index, error_code=error.code.value
                    )
                    for part in topic.partitions
                ],
            )
            for topic in request.topics
        ]
    )


# --- fetch


class _GroupAnswer:
    """One group's part of an OffsetFetch, whichever version it is for."""

    def __init__(self, context: RequestContext, asked: Any, may_see: Callable[[str], bool]) -> None:
        """`may_see(topic)`: may the client know of it?"""
        self._context = context
        self._asked = asked
        self._may_see = may_see
        many = context.api_version >= GROUPS_VERSION
        self._topic = _F.OffsetFetchResponseTopics if many else _F.OffsetFetchResponseTopic
        self._part = _F.OffsetFetchResponsePartitions if many else _F.OffsetFetchResponsePartition
        self.error = ErrorCode.COORDINATOR_NOT_AVAILABLE
        self.topics: list[Any] = []

    def fail(self, error: ErrorCode) -> None:
        """Nothing but the error; where only partitions have room for one, on each of them."""
        self.error = error
        if self._context.api_version < TOP_ERROR_VERSION:
            for topic in self._asked.topics or ():
                parts = [self._nothing(index, error) for index in topic.partition_indexes]
                self.topics.append(self._topic(name=topic.name, partitions=parts))

    def fill(self, offsets: Mapping[Place, CommittedOffset]) -> None:
        """What was asked for, or all there is; each place once, since its text may be long."""
        self.error = ErrorCode.NONE
        wanted = self._asked.topics
        if wanted is None:
            everything: dict[str, list[int]] = {}
            for topic, partition in offsets:
                everything.setdefault(topic, []).append(partition)
            names = [(n, sorted(p)) for n, p in sorted(everything.items()) if self._may_see(n)]
        else:
            once: dict[str, dict[int, None]] = {}
            for asked in wanted:
                once.setdefault(asked.name, {}).update(dict.fromkeys(asked.partition_indexes))
            names = [(name, list(places)) for name, places in once.items()]
        for name, indexes in names:
            error = ErrorCode.NONE
            if not self._may_see(name):
                error = ErrorCode.TOPIC_AUTHORIZATION_FAILED
            parts = [self._found(offsets.get((name, i)), i, error) for i in indexes]
            self.topics.append(self._topic(name=name, partitions=parts))

    def _found(self, offset: CommittedOffset | None, index: int, error: ErrorCode) -> Any:
        if offset is None or error is not ErrorCode.NONE:
            return self._nothing(index, error)
        return self._part(
            partition_index=index,
            committed_offset=offset.offset,
            committed_leader_epoch=offset.leader_epoch,
            metadata=offset.metadata,
            error_code=0,
        )

    def _nothing(self, index: int, error: ErrorCode) -> Any:
        return self._part(
            partition_index=index,
            committed_offset=NO_OFFSET,
            committed_leader_epoch=-1,
            metadata="",
            error_code=error.value,
        )


class _Fetches(Gather):
    """One request's groups."""

    __slots__ = ("_answers", "_asked", "_context")

    def __init__(self, context: RequestContext, asked: list[Any]) -> None:
        super().__init__()
        self._context = context
        self._asked = asked
        self._answers: list[_GroupAnswer] = []

    def ask(self, services: Services, asked: Any) -> None:
        """Look for one group's offsets."""
        authorize = services.authorizer.authorize
        answer = _GroupAnswer(
            self._context,
            asked,
            lambda topic: authorize(self._context, Operation.DESCRIBE, topic_resource(topic)),
        )
        self._answers.append(answer)
        try:
            check_group(services, self._context, Operation.DESCRIBE, asked.group_id)
            coordinator = services.groups.find(asked.group_id)
        except KafkaError as error:
            answer.fail(error.code)
            return
        self.expect()
        coordinator.confirm(partial(self._confirmed, answer, coordinator, asked.group_id))

    def _confirmed(
        self, answer: _GroupAnswer, coordinator: Coordinator, group_id: str, error: ErrorCode
    ) -> None:
        if self.done:
            return
        if error is ErrorCode.NONE:
            answer.fill(coordinator.offsets(group_id))
        else:
            answer.fail(error)
        self.arrived()

    def finish(self, body: Body) -> Body:
        """Built at the end: how an answer looks depends on its error."""
        if self._context.api_version >= GROUPS_VERSION:
            return _F.OffsetFetchResponse(
                groups=[
                    _F.OffsetFetchResponseGroup(
                        group_id=asked.group_id, topics=answer.topics, error_code=answer.error.value
                    )
                    for asked, answer in zip(self._asked, self._answers, strict=True)
                ]
            )
        (answer,) = self._answers
        return _F.OffsetFetchResponse(topics=answer.topics, error_code=answer.error.value)


def fetch(services: Services, context: RequestContext, request: Any) -> Answer:
    """The committed offsets of groups."""
    asked = [request]
    if context.api_version >= GROUPS_VERSION:  # a group that is named twice is told once
        asked = list({group.group_id: group for group in request.groups}.values())
    fetches = _Fetches(context, asked)
    for one in asked:
        fetches.ask(services, one)
    return fetches.start(None, services.deadlines, context.received_us + TIMEOUT_US)


def refuse_fetch(context: RequestContext, request: Any, error: KafkaError) -> Body:
    """The error for every group."""
    if context.api_version >= GROUPS_VERSION:
        return _F.OffsetFetchResponse(
            groups=[
                _F.OffsetFetchResponseGroup(
                    group_id=group.group_id, topics=[], error_code=error.code.value
                )
                for group in request.groups
            ]
        )
    answer = _GroupAnswer(context, request, _nobody)
    answer.fail(error.code)
    return _F.OffsetFetchResponse(topics=answer.topics, error_code=error.code.value)


def _nobody(topic: str) -> bool:
    return False


# --- delete


def delete(services: Services, context: RequestContext, request: Any) -> Answer:
    """Take offsets away, except in topics that the group's members read."""
    group_id = request.group_id
    check_group(services, context, Operation.DELETE, group_id)
    coordinator = services.groups.find(group_id)
    if coordinator.describe(group_id) is None:
        raise KafkaError(ErrorCode.GROUP_ID_NOT_FOUND, f"there is no group {group_id}")
    in_use = coordinator.topics_in_use(group_id)
    if in_use is None:
        raise KafkaError(ErrorCode.NON_EMPTY_GROUP, f"group {group_id} has members")
    topics, places, answers = [], dict[Place, None](), list[Any]()
    for asked in request.topics:
        fault = _topic_fault(services, context, asked.name)
        if not fault and asked.name in in_use:
            fault = ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC
        topic = services.image().topic(asked.name)
        parts = []
        for part in asked.partitions:
            index = part.partition_index
            known = _has(topic, index)
            error = fault or (ErrorCode.NONE if known else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
            answer = _D.OffsetDeleteResponsePartition(partition_index=index, error_code=error.value)
            parts.append(answer)
            if error is ErrorCode.NONE:
                answers.append(answer)
                if (asked.name, index) in coordinator.offsets(group_id):
                    places[asked.name, index] = None
        topics.append(_D.OffsetDeleteResponseTopic(name=asked.name, partitions=parts))
    return _delete(services, context, coordinator, group_id, list(places), answers, topics)


def _delete(
    services: Services,
    context: RequestContext,
    coordinator: Coordinator,
    group_id: str,
    places: list[Place],
    answers: list[Any],
    topics: list[Any],
) -> Answer:
    gather = Gather()

    def settled(error: ErrorCode) -> None:
        for answer in answers:
            answer.error_code = error.value
        gather.arrived()

    if answers:
        for answer in answers:
            answer.error_code = ErrorCode.COORDINATOR_NOT_AVAILABLE.value
        gather.expect()
        if places:
            coordinator.delete_offsets(group_id, places, settled)
        else:  # that there is nothing to delete is only known by who leads still
            coordinator.confirm(settled)
    body = _D.OffsetDeleteResponse(error_code=0, topics=topics)
    return gather.start(body, services.deadlines, context.received_us + TIMEOUT_US)


def refuse_delete(context: RequestContext, request: Any, error: KafkaError) -> Body:
    """The whole request's error."""
    return _D.OffsetDeleteResponse(error_code=error.code.value, topics=[])
