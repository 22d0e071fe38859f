"""Fetch (key 1): committed batches as they lie in the log, now or when there are enough.

A long poll keeps the targets, not what it has read: when a watched high watermark moves, it
reads again, at most once per pass of the loop. Targets take tens of times the bytes of their
request, so polls have a budget: over it, a Fetch is answered at once with what there is.

Fetch sessions (KIP-227) are not kept: every response names session 0, which tells the
client to send whole requests. Clients whose `replica_id` is a broker's are refused:
replication has its own path.
"""

from __future__ import annotations

from typing import Any

from partitions import wire
from partitions.api.context import Answer, Body, RequestContext
from partitions.api.fetchplan import READ_COMMITTED, FetchPlan
from partitions.api.fetchwait import FetchWait
from partitions.api.services import Services
from partitions.errors import ErrorCode, KafkaError
from partitions.replicas.interface import NO_OFFSET

FULL_SESSION_EPOCHS = (0, -1)
"""Session epochs of a request that names all its partitions."""

_M = wire.messages(wire.ApiKey.FETCH)
_Part, _Topic, _FetchResponse = _M.PartitionData, _M.FetchableTopicResponse, _M.FetchResponse


def handle(services: Services, context: RequestContext, request: Any) -> Answer:
    """Answer at once when there is enough, something failed, or nothing may be waited for."""
    _check(services, request)
    plan = FetchPlan(services, context, request)
    address = context.peer.rpartition(":")[0]
    may_wait = (
        request.max_wait > 0
        and request.min_bytes > 0
        and bool(plan.targets)
        and not services.poll_budget.is_short(address)
    )
    if not (may_wait and plan.idle):
        answers, total, failed = plan.read()
        if failed or total >= request.min_bytes or not may_wait:
            return plan.body(answers)
    until_us = context.received_us + request.max_wait * 1000
    return FetchWait(services, plan, max(1, request.min_bytes), until_us, address)


def _check(services: Services, request: Any) -> None:
    replica_state = request.replica_state
    if request.replica_id >= 0 or (replica_state is not None and replica_state.replica_id >= 0):
        raise KafkaError(ErrorCode.INVALID_REQUEST, "replica_id: brokers do not fetch this way")
    if request.session_id != 0 and request.session_epoch not in FULL_SESSION_EPOCHS:
        raise KafkaError(
            ErrorCode.FETCH_SESSION_ID_NOT_FOUND, f"no fetch session {request.session_id}"
        )
    if not 0 <= request.isolation_level <= READ_COMMITTED:
        raise KafkaError(ErrorCode.INVALID_REQUEST, "isolation_level is neither 0 nor 1")
    asked = sum(len(topic.partitions) for topic in request.topics)
    if asked > 1:
        _check_each_once(request, asked)
    if asked > services.settings.fetch_partitions_max:
        raise KafkaError(
            ErrorCode.INVALID_REQUEST,
            f"{asked} partitions in one Fetch; {services.settings.fetch_partitions_max} at most",
        )


def _check_each_once(request: Any, asked: int) -> None:
    """A poll holds watches of each partition that it names: no more than there are."""
    distinct = {
        (topic.topic, topic.topic_id, part.partition)
        for topic in request.topics
        for part in topic.partitions
    }
    if len(distinct) != asked:
        raise KafkaError(ErrorCode.INVALID_REQUEST, "a partition is asked for twice")


def refuse(context: RequestContext, request: Any, error: KafkaError) -> Body:
    """The error at the top (version 7 on) and, for older clients, on every partition."""
    if error.code is ErrorCode.FETCH_SESSION_ID_NOT_FOUND:
        return _FetchResponse(error_code=error.code.value)
    return _FetchResponse(
        error_code=error.code.value,
        responses=[
            _Topic(
                topic=topic.topic,
                topic_id=topic.topic_id,
                partitions=[
                    _Part(
                        partition_index=part.partition,
                        error_code=error.code.value,
                        high_watermark=NO_OFFSET,
                        records=b"",
                    )
                    for part in topic.partitions
                ],
            )
            for topic in request.topics
        ],
    )
