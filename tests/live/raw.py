"""A plain socket to a broker: frames as the test wants them, well-formed or not."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cli.context import Address
from partitions import wire
from partitions.wire import ApiKey
from tests.live.cluster import Cluster
from tests.live.waiting import wait_for

PATIENCE_S = 60.0
METADATA_VERSION = 9
CORRELATION_ID = 77


class Connection:
    """One connection, requests one at a time."""

    def __init__(self, address: Address, source: str = "") -> None:
        """`source`: the client's own address (of loopback), for limits of one address."""
        self._socket = socket.create_connection(
            (address.host, address.port), PATIENCE_S, (source, 0) if source else None
        )
        host, port = self._socket.getsockname()
        self.own_address = f"{host}:{port}"
        """How the broker calls this client."""

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._socket.sendall(data)

    def end_sending(self) -> None:
        """Close this side's half."""
        self._socket.shutdown(socket.SHUT_WR)

    def ask(self, api_key: ApiKey, version: int, body: Any) -> Any:
        """Send a request, return the decoded body of its response."""
        self.send(request(api_key, version, body))
        correlation_id, answer = wire.decode_response(api_key, version, self.frame())
        assert correlation_id == CORRELATION_ID
        return answer

    def be_patient(self, seconds: float) -> None:
        """How long what is read next may take."""
        self._socket.settimeout(seconds)

    def frame(self) -> bytes:
        """The next whole response frame, without its size prefix."""
        (size,) = struct.unpack(">i", self._exactly(4))
        return self._exactly(size)

    def is_closed(self) -> bool:
        """Wait for the broker to close: True when it did so without another byte."""
        try:
            return self._socket.recv(1) == b""
        except ConnectionResetError:
            # What the broker left unread when it closed turns the end into a reset.
            return True

    def is_closed_after_all(self) -> bool:
        """Wait for the broker to close, whatever it says before."""
        try:
            while self._socket.recv(65536):
                pass
        except ConnectionResetError:
            pass
        return True

    def _exactly(self, count: int) -> bytes:
        parts = bytearray()
        while len(parts) < count:
            part = self._socket.recv(count - len(parts))
            assert part, f"the broker closed the connection after {len(parts)} of {count} bytes"
            parts += part
        return bytes(parts)

    def close(self) -> None:
        """Close both halves."""
        self._socket.close()


def request(api_key: ApiKey, version: int, body: Any) -> bytes:
    """A whole request frame with its size prefix."""
    return b"".join(wire.encode_request(api_key, version, CORRELATION_ID, "raw", body))


@contextmanager
def connected(address: Address) -> Iterator[Connection]:
    """A connection for the block."""
    connection = Connection(address)
    try:
        yield connection
    finally:
        connection.close()


def leaders(address: Address, topic: str) -> list[int]:
    """The leader of each partition as this broker knows it, -1 for none; [] if no such topic."""
    types = wire.messages(ApiKey.METADATA)
    wanted = types.MetadataRequest(
        topics=[types.MetadataRequestTopic(name=topic)], allow_auto_topic_creation=False
    )
    with connected(address) as connection:
        (found,) = connection.ask(ApiKey.METADATA, METADATA_VERSION, wanted).topics
    return [part.leader_id for part in sorted(found.partitions, key=lambda p: p.partition_index)]


def wait_for_leaders(cluster: Cluster, topic: str) -> list[int]:
    """Until every running broker names the same leader for every partition; the leaders."""

    def agreed() -> list[int] | None:
        # A broker names the last leader it knew, even a dead one, until there is another.
        running = {each.id: each for each in cluster.brokers.values() if each.pid is not None}
        views = [leaders(broker.kafka, topic) for broker in running.values()]
        view = views[0]
        known = view and all(leader in running for leader in view)
        return view if known and all(each == view for each in views) else None

    return wait_for(agreed, PATIENCE_S, f"leaders of {topic}")
