"""DescribeLogDirs (key 35): what partitions take on this broker's disk, and what is left of it.

A broker has one data directory, so there is one result. A partition that was asked for and has
no copy here is left out, as in Kafka: the answer has no place for an error of its own. A copy that
is out of service shows what its files take, with the offset lag -1 for unknown.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from partitions import wire
from partitions.api.context import Answer, Body, RequestContext
from partitions.api.services import Services
from partitions.errors import ErrorCode, KafkaError
from partitions.replicas.interface import ReplicaOnDisk
from partitions.security import CLUSTER, Operation

UNKNOWN_BYTES = -1
_M = wire.messages(wire.ApiKey.DESCRIBE_LOG_DIRS)


def handle(services: Services, context: RequestContext, request: Any) -> Answer:
    """All copies here, or those asked for."""
    if not services.authorizer.authorize(context, Operation.DESCRIBE, CLUSTER):
        raise KafkaError(
            ErrorCode.CLUSTER_AUTHORIZATION_FAILED, "describing the log directories is not allowed"
        )
    try:
        usage = services.disk_usage()
    except OSError:
        return _answer(_result(ErrorCode.KAFKA_STORAGE_ERROR, services.log_directory))
    replicas = _wanted(usage.replicas, request.topics)
    return _answer(
        _result(
            ErrorCode.NONE,
            services.log_directory,
            _topics(replicas),
            usage.total_bytes,
            usage.usable_bytes,
        )
    )


def _wanted(replicas: Iterable[ReplicaOnDisk], topics: Any) -> list[ReplicaOnDisk]:
    """Of `replicas` those asked for, by name and number; null asks for all."""
    found = sorted(replicas)
    if topics is None:
        return found
    wanted = {(topic.topic, number) for topic in topics for number in topic.partitions}
    return [each for each in found if (each.topic, each.partition) in wanted]


def _topics(replicas: Iterable[ReplicaOnDisk]) -> list[Any]:
    by_name: dict[str, list[Any]] = {}
    for each in replicas:
        by_name.setdefault(each.topic, []).append(
            _M.DescribeLogDirsPartition(
                partition_index=each.partition,
                partition_size=each.size_bytes,
                offset_lag=each.offset_lag,
                is_future_key=False,
            )
        )
    return [_M.DescribeLogDirsTopic(name=n, partitions=parts) for n, parts in by_name.items()]


def _result(
    code: ErrorCode,
    directory: str,
    topics: list[Any] | None = None,
    total_bytes: int = UNKNOWN_BYTES,
    usable_bytes: int = UNKNOWN_BYTES,
) -> Any:
    return _M.DescribeLogDirsResult(
        error_code=code.value,
        log_dir=directory,
        topics=topics or [],
        total_bytes=total_bytes,
        usable_bytes=usable_bytes,
        is_cordoned=False,
    )


def _answer(result: Any) -> Body:
    return _M.DescribeLogDirsResponse(error_code=0, results=[result])


def refuse(context: RequestContext, request: Any, error: KafkaError) -> Body:
    """No results; up to version 2 there is no place for the error but in one."""
    code = error.code.value
    first_with_code = 3
    results = [] if context.api_version >= first_with_code else [_result(error.code, "")]
    return _M.DescribeLogDirsResponse(error_code=code, results=results)
