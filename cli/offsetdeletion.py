"""OffsetDelete, which the client library cannot ask for: sent to the group's coordinator."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from cli.codes import code_name
from cli.connection import Connection, Silence, Unavailable, attempt
from cli.context import Address
from cli.places import Place
from partitions import wire

COORDINATOR_VERSION = 2
GROUP_KEY = 0


def coordinator(connection: Connection, group: str) -> Address:
    """Where the group's coordinator listens, as one broker knows it; raises Unavailable."""
    types = wire.messages(wire.ApiKey.FIND_COORDINATOR)
    question = types.FindCoordinatorRequest(key=group, key_type=GROUP_KEY)
    answer = connection.call(wire.ApiKey.FIND_COORDINATOR, COORDINATOR_VERSION, question)
    if answer.error_code:
        text = answer.error_message or f"it knows no coordinator of group {group!r}"
        raise Unavailable(f"{text} [{code_name(answer.error_code)}]")
    return Address(answer.host, answer.port)


def delete(
    address: Address, group: str, places: Iterable[Place], limit_s: float
) -> dict[Place, int] | Silence:
    """The error code of each place, or 0; Unavailable when the group as a whole is refused."""
    by_topic: dict[str, list[int]] = {}
    for topic, partition in places:
        by_topic.setdefault(topic, []).append(partition)
    return attempt(address, limit_s, lambda connection: _ask(connection, group, by_topic))


def _ask(connection: Connection, group: str, by_topic: Mapping[str, list[int]]) -> dict[Place, int]:
    types = wire.messages(wire.ApiKey.OFFSET_DELETE)
    topics = [
        types.OffsetDeleteRequestTopic(
            name=topic,
            partitions=[types.OffsetDeleteRequestPartition(partition_index=n) for n in numbers],
        )
        for topic, numbers in by_topic.items()
    ]
    question = types.OffsetDeleteRequest(group_id=group, topics=topics)
    answer: Any = connection.call(wire.ApiKey.OFFSET_DELETE, 0, question)
    if answer.error_code:
        raise Unavailable(f"group {group!r}: [{code_name(answer.error_code)}]")
    return {
        (topic.name, part.partition_index): part.error_code
        for topic in answer.topics
        for part in topic.partitions
    }
