"""Requests as raw frames, for measurements in which a client library would be the slower part."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable
from typing import Any, NamedTuple

from partitions import wire
from partitions.wire import ApiKey

TIMEOUT_S = 60.0
READ_BYTES = 1 << 18
COMMIT_VERSION, FETCH_VERSION, FIND_VERSION, DESCRIBE_VERSION = 8, 7, 3, 5

Address = tuple[str, int]


def address(text: str) -> Address:
    """`host:port`, the first one of several."""
    host, _, port = text.partition(",")[0].rpartition(":")
    return host, int(port)


class Connection:
    """One connection to one broker; several requests may be under way."""

    def __init__(self, to: Address) -> None:
        self._socket = socket.create_connection(to, TIMEOUT_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = bytearray()

    def send(self, data: bytes) -> None:
        """Whole frames, as `frame` makes them."""
        self._socket.sendall(data)

    def receive(self) -> list[bytes]:
        """The responses that are there, without size prefixes; waits for the first."""
        frames: list[bytes] = []
        while not frames:
            data = self._socket.recv(READ_BYTES)
            if not data:
                raise ConnectionError("the broker closed the connection")
            self._buffer += data
            at = 0
            while len(self._buffer) >= at + 4:
                end = at + 4 + int.from_bytes(self._buffer[at : at + 4], "big")
                if len(self._buffer) < end:
                    break
                frames.append(bytes(self._buffer[at + 4 : end]))
                at = end
            del self._buffer[:at]
        return frames

    def ask(self, key: ApiKey, version: int, body: Any) -> Any:
        """One request, nothing else being under way; its answer."""
        self.send(frame(key, version, body))
        (answer,) = self.receive()
        return wire.decode_response(key, version, answer)[1]

    def fileno(self) -> int:
        """For select."""
        return self._socket.fileno()

    def close(self) -> None:
        """At once."""
        self._socket.close()


def frame(key: ApiKey, version: int, body: Any) -> bytes:
    """A request with its size prefix."""
    return b"".join(wire.encode_request(key, version, 1, "bench", body))


class Coordinator(NamedTuple):
    """Who speaks for a group."""

    node: int
    address: Address


def coordinator(to: Address, group: str, timeout_s: float = TIMEOUT_S) -> Coordinator:
    """As the broker at `to` says, once it knows."""
    request = wire.messages(ApiKey.FIND_COORDINATOR).FindCoordinatorRequest(key=group, key_type=0)
    end = time.monotonic() + timeout_s
    connection = Connection(to)
    while True:
        found = connection.ask(ApiKey.FIND_COORDINATOR, FIND_VERSION, request)
        if not found.error_code:
            connection.close()
            return Coordinator(found.node_id, (found.host, found.port))
        if time.monotonic() > end:
            raise SystemExit(f"no coordinator of {group}: error {found.error_code}")
        time.sleep(0.05)


def commit(group: str, topic: str, partitions: Iterable[int], offset: int) -> bytes:
    """The frame of an OffsetCommit from outside the group."""
    types = wire.messages(ApiKey.OFFSET_COMMIT)
    parts = [
        types.OffsetCommitRequestPartition(
            partition_index=number,
            committed_offset=offset,
            committed_leader_epoch=-1,
            committed_metadata="",
        )
        for number in partitions
    ]
    body = types.OffsetCommitRequest(
        group_id=group,
        generation_id_or_member_epoch=-1,
        member_id="",
        group_instance_id=None,
        topics=[types.OffsetCommitRequestTopic(name=topic, partitions=parts)],
    )
    return frame(ApiKey.OFFSET_COMMIT, COMMIT_VERSION, body)


def commit_errors(answer: bytes) -> set[int]:
    """The error codes in the answer to a commit."""
    _, body = wire.decode_response(ApiKey.OFFSET_COMMIT, COMMIT_VERSION, answer)
    return {part.error_code for topic in body.topics for part in topic.partitions}


def fetch(group: str, topic: str, partition: int) -> bytes:
    """The frame of an OffsetFetch."""
    types = wire.messages(ApiKey.OFFSET_FETCH)
    wanted = types.OffsetFetchRequestTopic(name=topic, partition_indexes=[partition])
    body = types.OffsetFetchRequest(group_id=group, topics=[wanted], require_stable=False)
    return frame(ApiKey.OFFSET_FETCH, FETCH_VERSION, body)


def fetched(answer: bytes) -> tuple[int, int]:
    """(error code, committed offset or -1) of its answer."""
    _, body = wire.decode_response(ApiKey.OFFSET_FETCH, FETCH_VERSION, answer)
    offsets = [part.committed_offset for topic in body.topics for part in topic.partitions]
    return body.error_code, offsets[0] if offsets else -1
