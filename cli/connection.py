"""A connection to one broker for the few commands that ask a particular broker, in its own words.

A Kafka client hides which broker answered, and librdkafka cannot name all brokers at once in an
admin request.
"""

from __future__ import annotations

import socket
import time
from typing import Any

from cli.context import Address
from partitions import wire

ANSWER_BYTES_MAX = 256 * 1024 * 1024


class Connection:
    """A blocking connection on which everything together takes a bounded time."""

    def __init__(self, limit_s: float) -> None:
        """Not open yet; the time counts from now."""
        self._deadline = time.monotonic() + limit_s
        self._socket: socket.socket | None = None
        self._calls = 0

    @property
    def connected(self) -> bool:
        """Was it opened?"""
        return self._socket is not None

    def open(self, address: Address) -> None:
        """OSError, TimeoutError among them."""
        self._socket = socket.create_connection((address.host, address.port), self._left_s())

    def close(self) -> None:
        """End it, if it was opened."""
        if self._socket is not None:
            self._socket.close()

    def call(self, key: wire.ApiKey, version: int, question: Any) -> Any:
        """One request and its response's body.

        TimeoutError, OSError when the connection breaks, MalformedFrame or ValueError when the
        answer cannot be read.
        """
        assert self._socket is not None
        self._calls += 1
        frame = wire.encode_request(key, version, self._calls, "quorate-cli", question)
        self._socket.settimeout(self._left_s())
        self._socket.sendall(b"".join(frame))
        size = int.from_bytes(self._read(4), "big")
        if size > ANSWER_BYTES_MAX:
            raise ValueError(f"{size} bytes announced")
        number, body = wire.decode_response(key, version, self._read(size))
        if number != self._calls:
            raise ValueError("the answer is to another request")
        return body

    def _read(self, count: int) -> bytes:
        assert self._socket is not None
        parts = bytearray()
        while len(parts) < count:
            self._socket.settimeout(self._left_s())
            part = self._socket.recv(min(count - len(parts), 1 << 20))
            if not part:
                raise ConnectionResetError("the connection was closed instead of an answer")
            parts += part
        return bytes(parts)

    def _left_s(self) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left
