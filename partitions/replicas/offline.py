"""A partition's copy that is out of service on this broker: what is left to know of it.

The group stopped when its log turned out not to be what it had been (`raftlog.engine.offline`).
Its files are kept as they are; clients are told KAFKA_STORAGE_ERROR and find the next leader.
"""

from __future__ import annotations

from typing import NamedTuple

import structlog

from partitions.errors import ErrorCode, KafkaError

log = structlog.get_logger()


class OfflineReplica(NamedTuple):
    """See the module."""

    group: int
    topic: str
    topic_id: bytes
    partition: int
    path: str
    """The partition's directory."""
    size_bytes: int
    """Of its segment files, when it went out of service."""
    reason: str


def report(replica: OfflineReplica, data_directory: str) -> None:
    """One line for the operator; several brokers of a host may write to one terminal."""
    log.error(
        "partition offline on this broker",
        topic=replica.topic,
        partition=replica.partition,
        group=replica.group,
        directory=f"{data_directory}/{replica.path}",
        reason=replica.reason,
        action="The other replicas go on with one less. Check this machine's disk and memory; the "
        "files are kept for inspection, and this copy stays offline until it is replaced",
    )


def storage_error(topic: str, partition: int) -> KafkaError:
    """What clients are told who ask this broker."""
    return KafkaError(
        ErrorCode.KAFKA_STORAGE_ERROR,
        f"the replica of {topic}-{partition} on this broker is offline; refresh the metadata",
    )
