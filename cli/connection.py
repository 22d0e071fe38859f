"""A plain Kafka connection to one broker, for questions that belong to that broker alone.

A client library asks whichever broker it likes, and not all that brokers can tell.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from cli.context import Address
from cli.dialing import dial, left_s
from partitions import wire

ANSWER_BYTES_MAX = 32 * 1024 * 1024
"""That is all of half a million partitions. To read an answer takes time that nothing bounds."""

T = TypeVar("T")


class Silence(NamedTuple):
    """Why there is no answer."""

    reason: str
    connected: bool


class Unavailable(Exception):
    """A broker answered, but with an error: one sentence with the code."""


def attempt(address: Address, limit_s: float, work: Callable[[Connection], T]) -> T | Silence:
    """What `work` does with a connection, or why it could not within `limit_s`."""
    connection = Connection(limit_s)
    try:
        connection.open(address)
        return work(connection)
    except TimeoutError:
        doing = "no answer" if connection.connected else "no connection"
        reason = f"{doing} within {limit_s:g} s"
    except (wire.MalformedFrame, ValueError) as error:
        reason = f"its answer cannot be read: {error}"
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
    finally:
        connection.close()
    return Silence(reason, connection.connected)


class Connection:
    """A blocking connection on which everything together takes a bounded time."""

    def __init__(self, limit_s: float) -> None:
        self._deadline = time.monotonic() + limit_s
        self._socket: socket.socket | None = None
        self._calls = 0

    @property
    def connected(self) -> bool:
        """Was the broker reached?"""
        return self._socket is not None

    def open(self, address: Address) -> None:
        """OSError, TimeoutError among them."""
        self._socket = dial(address, self._left_s())

    def close(self) -> None:
        """Harmless when it was never open."""
        if self._socket is not None:
            self._socket.close()

    def call(self, key: wire.ApiKey, version: int, question: Any) -> Any:
        """One request and its response's body."""
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
        return left_s(self._deadline)
