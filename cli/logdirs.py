"""Every broker's data directory, asked of each broker: what it holds and what room is left."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from cli.codes import code_name
from cli.connection import Connection, Silence, Unavailable, attempt
from cli.context import Address
from partitions import wire
from partitions.errors import ErrorCode

KEY, VERSION = wire.ApiKey.DESCRIBE_LOG_DIRS, 4
CLUSTER_VERSION = 2
ASKED_AT_ONCE_MAX = 32
_UNKNOWN = -1


def brokers(connection: Connection) -> dict[int, Address]:
    """Every registered broker's address, as one broker knows it; those that are down too."""
    types = wire.messages(wire.ApiKey.DESCRIBE_CLUSTER)
    question = types.DescribeClusterRequest(include_fenced_brokers=True)
    answer = connection.call(wire.ApiKey.DESCRIBE_CLUSTER, CLUSTER_VERSION, question)
    if answer.error_code:
        raise Unavailable(f"{answer.error_message} [{code_name(answer.error_code)}]")
    return {each.broker_id: Address(each.host, each.port) for each in answer.brokers}


def collect(
    places: Mapping[int, Address], topics: Iterable[str], limit_s: float
) -> list[dict[str, Any]]:
    """One row per broker, by id; `topics` narrows it down unless it is empty."""
    wanted = set(topics)
    with ThreadPoolExecutor(ASKED_AT_ONCE_MAX) as pool:
        nodes = sorted(places)
        answers = pool.map(lambda node: attempt(places[node], limit_s, ask), nodes)
        return [row(n, places[n], a, wanted) for n, a in zip(nodes, list(answers), strict=True)]


def without_copies(rows: Iterable[Mapping[str, Any]], topics: Iterable[str]) -> list[str]:
    """Those of `topics` of which no broker has a copy; empty unless every broker has answered."""
    rows = list(rows)
    held = {copy["topic"] for row in rows for copy in row["partitions"]}
    return [] if any(row["reason"] for row in rows) else [t for t in topics if t not in held]


def ask(connection: Connection) -> Any:
    """All copies of one broker: the answer is bounded by what it holds."""
    types = wire.messages(KEY)
    return connection.call(KEY, VERSION, types.DescribeLogDirsRequest(topics=None))


def row(node: int, address: Address, answer: Any, wanted: set[str]) -> dict[str, Any]:
    """A broker's row from its answer, or from its silence. `reason` is None if all is well."""
    silent = {"id": node, "address": str(address), "directory": None, "replicas": None}
    silent |= {"bytes": None, "total_bytes": None, "free_bytes": None, "offline": None}
    if isinstance(answer, Silence):
        return {**silent, "partitions": [], "reason": f"unreachable, {answer.reason}"}
    if answer.error_code or not answer.results:
        reason = code_name(answer.error_code or ErrorCode.UNKNOWN_SERVER_ERROR)
        return {**silent, "partitions": [], "reason": reason}
    (result, *_) = answer.results
    partitions = [
        {
            "topic": topic.name,
            "partition": part.partition_index,
            "bytes": part.partition_size,
            "offline": part.offset_lag == _UNKNOWN,
        }
        for topic in result.topics
        if not wanted or topic.name in wanted
        for part in topic.partitions
    ]
    return {
        "id": node,
        "address": str(address),
        "directory": result.log_dir,
        "replicas": len(partitions),
        "bytes": sum(each["bytes"] for each in partitions),
        "total_bytes": _known(result.total_bytes),
        "free_bytes": _known(result.usable_bytes),
        "offline": sum(each["offline"] for each in partitions),
        "partitions": partitions,
        "reason": code_name(result.error_code) if result.error_code else None,
    }


def _known(number: int) -> int | None:
    return None if number == _UNKNOWN else number
