"""Requests of the soak: one broker or the coordinator, and what it says."""

from __future__ import annotations

import random
import struct
import threading
from collections import Counter
from typing import Any

from cli.context import Address
from partitions import wire
from partitions.wire import ApiKey
from tests.live.cluster import Cluster
from tests.live.raw import Connection

ASK_S = 2.0
VERSIONS = {
    ApiKey.FIND_COORDINATOR: 3,
    ApiKey.JOIN_GROUP: 7,
    ApiKey.SYNC_GROUP: 5,
    ApiKey.HEARTBEAT: 4,
    ApiKey.LEAVE_GROUP: 4,
    ApiKey.OFFSET_COMMIT: 7,
    ApiKey.OFFSET_FETCH: 7,
    ApiKey.OFFSET_DELETE: 0,
    ApiKey.DELETE_GROUPS: 2,
    ApiKey.DESCRIBE_GROUPS: 5,
    ApiKey.METADATA: 12,
    ApiKey.CREATE_TOPICS: 7,
    ApiKey.DELETE_TOPICS: 6,
    ApiKey.CREATE_PARTITIONS: 3,
    ApiKey.INCREMENTAL_ALTER_CONFIGS: 1,
    ApiKey.DESCRIBE_CONFIGS: 4,
    ApiKey.ELECT_LEADERS: 2,
}
Unanswered = (OSError, AssertionError, struct.error)
"""No answer came: whether the request was carried out is not known."""


class Peer:
    """A connection that asks for one answer at a time, and counts what it is told."""

    def __init__(self, address: Address, told: Counter[str], patience_s: float = ASK_S) -> None:
        self._connection = Connection(address)
        self._told = told
        self._patience_s = patience_s

    def ask(self, key: ApiKey, body: Any, patience_s: float = 0.0) -> Any:
        """The answer, decoded."""
        self._connection.be_patient(patience_s or self._patience_s)
        answer = self._connection.ask(key, VERSIONS[key], body)
        self._told[f"{key.name} answered"] += 1
        return answer

    def close(self) -> None:
        self._connection.close()


class Cast:
    """The cluster as clients see it: addresses, and whom they may ask."""

    def __init__(self, cluster: Cluster, seed: int) -> None:
        self.cluster = cluster
        self.random = random.Random(seed)
        self.told: Counter[str] = Counter()
        self.ended = threading.Event()
        self.addresses = {each.id: each.kafka for each in cluster.brokers.values()}

    def peer(self, broker: int, patience_s: float = ASK_S) -> Peer:
        return Peer(self.addresses[broker], self.told, patience_s)

    def ask(
        self, key: ApiKey, body: Any, broker: int | None = None, patience_s: float = ASK_S
    ) -> Any:
        """One request to `broker`, or to any."""
        peer = self.peer(broker or self.random.choice(list(self.addresses)), patience_s)
        try:
            return peer.ask(key, body)
        finally:
            peer.close()

    def coordinator(self, group: str) -> int | None:
        """The broker's id, as some broker says; None: it does not."""
        types = wire.messages(ApiKey.FIND_COORDINATOR)
        try:
            found = self.ask(
                ApiKey.FIND_COORDINATOR, types.FindCoordinatorRequest(key=group, key_type=0)
            )
        except Unanswered:
            return None
        return None if found.error_code else int(found.node_id)

    def sleep(self, seconds: float) -> None:
        """Until then, or the end."""
        self.ended.wait(seconds)


def subscription(topic: str) -> bytes:
    """A ConsumerProtocolSubscription."""
    name = topic.encode()
    return struct.pack(f">hih{len(name)}si", 0, 1, len(name), name, -1)


def assignment(topic: str, partitions: list[int]) -> bytes:
    """A ConsumerProtocolAssignment."""
    name = topic.encode()
    head = struct.pack(f">hih{len(name)}si", 0, 1, len(name), name, len(partitions))
    return head + b"".join(struct.pack(">i", each) for each in partitions) + struct.pack(">i", -1)


def assigned(data: bytes) -> list[tuple[str, int]]:
    """Partitions of a ConsumerProtocolAssignment of one topic."""
    if not data:
        return []
    (length,) = struct.unpack_from(">h", data, 6)
    topic = data[8 : 8 + length].decode()
    (count,) = struct.unpack_from(">i", data, 8 + length)
    return [(topic, each) for each in struct.unpack_from(f">{count}i", data, 12 + length)]
