"""ListOffsets (2), OffsetForLeaderEpoch (23) and DeleteRecords (21): questions to leaders."""

from __future__ import annotations

from collections import Counter
from typing import Any

from partitions import wire
from partitions.api.context import Answer, Body, RequestContext
from partitions.api.gather import Gather
from partitions.api.leadership import leading_replica
from partitions.api.services import Services
from partitions.errors import ErrorCode, KafkaError
from partitions.internal import check_not_internal
from partitions.replicas.interface import (
    NO_OFFSET,
    NO_TIMESTAMP,
    Replica,
    TimestampedOffset,
    TrimOutcome,
)
from partitions.security import Operation, topic_resource

LATEST, EARLIEST, MAX_TIMESTAMP, EARLIEST_LOCAL, LATEST_TIERED = -1, -2, -3, -4, -5
"""Timestamps that are questions of their own, and the version that introduced them below."""
_SINCE = {LATEST: 0, EARLIEST: 0, MAX_TIMESTAMP: 7, EARLIEST_LOCAL: 8, LATEST_TIERED: 9}
HIGH_WATERMARK = -1
"""DeleteRecords: everything that is committed."""
_READ_COMMITTED = 1

_L = wire.messages(wire.ApiKey.LIST_OFFSETS)
_E = wire.messages(wire.ApiKey.OFFSET_FOR_LEADER_EPOCH)
_D = wire.messages(wire.ApiKey.DELETE_RECORDS)


def _check(
    services: Services, context: RequestContext, operation: Operation, name: str
) -> KafkaError | None:
    """The error for all partitions of a topic the client may not touch."""
    if services.authorizer.authorize(context, operation, topic_resource(name)):
        return None
    return KafkaError(ErrorCode.TOPIC_AUTHORIZATION_FAILED, f"access to {name} is not allowed")


def _refuse_replicas(replica_id: int) -> None:
    if replica_id >= 0:
        raise KafkaError(ErrorCode.INVALID_REQUEST, "replica_id: brokers do not ask this way")


def list_offsets(services: Services, context: RequestContext, request: Any) -> Answer:
    """The offset at a time, or at one of the ends, per partition."""
    _refuse_replicas(request.replica_id)
    if not 0 <= request.isolation_level <= _READ_COMMITTED:
        raise KafkaError(ErrorCode.INVALID_REQUEST, "isolation_level is neither 0 nor 1")
    topics = []
    times = _times(request.topics)
    for wanted in request.topics:
        denied = _check(services, context, Operation.DESCRIBE, wanted.name)
        topic = services.image().topic(wanted.name)
        answers = []
        for part in wanted.partitions:
            answer = _L.ListOffsetsPartitionResponse(
                partition_index=part.partition_index, error_code=0
            )
            answers.append(answer)
            try:
                _once(times[wanted.name, part.partition_index])
                if denied is not None:
                    raise denied
                replica = leading_replica(
                    services, topic, part.partition_index, part.current_leader_epoch
                )
                found = _offset_at(context, replica, part.timestamp, request.isolation_level)
                answer.timestamp, answer.offset = found
                if found.offset != NO_OFFSET:
                    end = part.timestamp == LATEST
                    answer.leader_epoch = (
                        replica.leader_epoch if end else replica.epoch_at(found.offset)
                    )
            except KafkaError as error:
                answer.error_code = error.code.value
        topics.append(_L.ListOffsetsTopicResponse(name=wanted.name, partitions=answers))
    return _L.ListOffsetsResponse(topics=topics)


def _times(topics: Any) -> Counter[tuple[str, int]]:
    """How often each partition is named. A look-up reads from the disk, a trim is an entry."""
    return Counter(
        (topic.name, part.partition_index) for topic in topics for part in topic.partitions
    )


def _once(times: int) -> None:
    if times > 1:
        raise KafkaError(ErrorCode.INVALID_REQUEST, "the partition is asked for more than once")


def _offset_at(
    context: RequestContext, replica: Replica, timestamp: int, isolation: int
) -> TimestampedOffset:
    """NO_OFFSET when there is no such record."""
    nothing = TimestampedOffset(NO_TIMESTAMP, NO_OFFSET)
    if timestamp < 0 and context.api_version < _SINCE.get(timestamp, 1 << 15):
        raise KafkaError(
            ErrorCode.UNSUPPORTED_VERSION,
            f"timestamp {timestamp} means nothing in ListOffsets version {context.api_version}",
        )
    if timestamp == LATEST:
        committed = isolation == _READ_COMMITTED
        end = replica.last_stable_offset if committed else replica.high_watermark
        return TimestampedOffset(NO_TIMESTAMP, end)
    if timestamp in (EARLIEST, EARLIEST_LOCAL):
        return TimestampedOffset(NO_TIMESTAMP, replica.log_start_offset)
    if timestamp == LATEST_TIERED:
        return nothing
    if timestamp == MAX_TIMESTAMP:
        return replica.max_timestamp() or nothing
    return replica.offset_for_timestamp(timestamp) or nothing


def refuse_list_offsets(context: RequestContext, request: Any, error: KafkaError) -> Body:
    """The error for every partition."""
    return _L.ListOffsetsResponse(
        topics=[
            _L.ListOffsetsTopicResponse(
                name=topic.name,
                partitions=[
                    _L.ListOffsetsPartitionResponse(
                        partition_index=part.partition_index, error_code=error.code.value
                    )
                    for part in topic.partitions
                ],
            )
            for topic in request.topics
        ]
    )


def offset_for_epoch(services: Services, context: RequestContext, request: Any) -> Answer:
    """Where a leader epoch ended: how a consumer finds that its log was truncated (KIP-320)."""
    _refuse_replicas(request.replica_id)
    topics = []
    for wanted in request.topics:
        denied = _check(services, context, Operation.DESCRIBE, wanted.topic)
        topic = services.image().topic(wanted.topic)
        answers = []
        for part in wanted.partitions:
            answer = _E.EpochEndOffset(partition=part.partition, error_code=0)
            answers.append(answer)
            try:
                if denied is not None:
                    raise denied
                replica = leading_replica(
                    services, topic, part.partition, part.current_leader_epoch
                )
                _show_epoch_end(answer, replica, part.leader_epoch)
            except KafkaError as error:
                answer.error_code = error.code.value
        topics.append(_E.OffsetForLeaderTopicResult(topic=wanted.topic, partitions=answers))
    return _E.OffsetForLeaderEpochResponse(topics=topics)


def _show_epoch_end(answer: Any, replica: Replica, epoch: int) -> None:
    if epoch < 0 or epoch > replica.leader_epoch:
        return  # undefined: epoch and offset stay -1
    end = replica.end_of_epoch(epoch)
    if end is not None:
        answer.leader_epoch, answer.end_offset = end


def refuse_offset_for_epoch(context: RequestContext, request: Any, error: KafkaError) -> Body:
    """The error for every partition."""
    return _E.OffsetForLeaderEpochResponse(
        topics=[
            _E.OffsetForLeaderTopicResult(
                topic=topic.topic,
                partitions=[
                    _E.EpochEndOffset(partition=part.partition, error_code=error.code.value)
                    for part in topic.partitions
                ],
            )
            for topic in request.topics
        ]
    )


class _Trim:
    """One partition's trim under way; its answer says REQUEST_TIMED_OUT until it is done."""

    __slots__ = ("_answer", "_gather")

    def __init__(self, gather: Gather, answer: Any) -> None:
        self._answer = answer
        self._gather = gather

    def done(self, outcome: TrimOutcome) -> None:
        """The callback of `delete_records`."""
        self._answer.error_code = outcome.error.value
        self._answer.low_watermark = outcome.low_watermark
        self._gather.arrived()


def delete_records(services: Services, context: RequestContext, request: Any) -> Answer:
    """Move log starts up; answered when every trim is committed or the time is up."""
    topics: list[Any] = []
    gather = Gather()
    times = _times(request.topics)
    for wanted in request.topics:
        denied = _check(services, context, Operation.DELETE, wanted.name)
        topic = services.image().topic(wanted.name)
        answers = []
        for part in wanted.partitions:
            answer = _D.DeleteRecordsPartitionResult(
                partition_index=part.partition_index,
                low_watermark=NO_OFFSET,
                error_code=ErrorCode.REQUEST_TIMED_OUT.value,
            )
            answers.append(answer)
            try:
                _once(times[wanted.name, part.partition_index])
                if denied is not None:
                    raise denied
                check_not_internal(wanted.name)
                replica = leading_replica(services, topic, part.partition_index)
                offset = _trim_offset(replica, part.offset)
                replica.delete_records(offset, _Trim(gather, answer).done)
                gather.expect()
            except KafkaError as error:
                answer.error_code = error.code.value
        topics.append(_D.DeleteRecordsTopicResult(name=wanted.name, partitions=answers))
    timeout_ms = max(0, min(request.timeout, services.settings.produce_timeout_ms_max))
    when_us = context.received_us + timeout_ms * 1000
    return gather.start(_D.DeleteRecordsResponse(topics=topics), services.deadlines, when_us)


def _trim_offset(replica: Replica, offset: int) -> int:
    if offset == HIGH_WATERMARK:
        return replica.high_watermark
    if not 0 <= offset <= replica.high_watermark:
        raise KafkaError(
            ErrorCode.OFFSET_OUT_OF_RANGE,
            f"offset {offset} is not between 0 and the high watermark {replica.high_watermark}",
        )
    return offset


def refuse_delete_records(context: RequestContext, request: Any, error: KafkaError) -> Body:
    """The error for every partition."""
    return _D.DeleteRecordsResponse(
        topics=[
            _D.DeleteRecordsTopicResult(
                name=topic.name,
                partitions=[
                    _D.DeleteRecordsPartitionResult(
                        partition_index=part.partition_index,
                        low_watermark=NO_OFFSET,
                        error_code=error.code.value,
                    )
                    for part in topic.partitions
                ],
            )
            for topic in request.topics
        ]
    )
