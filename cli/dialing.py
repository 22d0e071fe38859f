"""Connections to addresses of which nobody knows whether they answer, their names included."""

from __future__ import annotations

import socket
import threading
import time
from concurrent.futures import Future, wait
from typing import Any

from cli.context import Address

PORT_MAX = 65535


def dial(address: Address, limit_s: float) -> socket.socket:
    """A connection after at most `limit_s`, for its name and all that the name stands for.

    Raises OSError: TimeoutError among them, and whatever the name or the port may be.
    """
    deadline = time.monotonic() + limit_s
    if not 0 < address.port <= PORT_MAX:
        raise OSError(f"no port: {address.port}")
    failure = OSError("its name stands for no address")
    for family, kind, protocol, _, where in _resolve(address, deadline):
        connection = socket.socket(family, kind, protocol)
        try:
            connection.settimeout(left_s(deadline))
            connection.connect(where)
        except OSError as error:
            connection.close()
            failure = error
        else:
            return connection
    raise failure


def left_s(deadline: float) -> float:
    """Until `deadline`, of the monotonic clock in seconds; TimeoutError when it is over."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _resolve(address: Address, deadline: float) -> list[Any]:
    """The addresses of a name. A lookup cannot be ended: one that takes too long is left behind."""
    limit_s = left_s(deadline)
    try:
        return _lookup(address, socket.AI_NUMERICHOST)
    except OSError:
        pass  # a name, then
    future: Future[list[Any]] = Future()

    def run() -> None:
        try:
            future.set_result(_lookup(address, 0))
        except OSError as error:
            future.set_exception(error)

    # Not of a pool: the interpreter waits for a pool's threads at its end.
    threading.Thread(target=run, daemon=True).start()
    if not wait([future], limit_s).done:
        raise TimeoutError
    return future.result()


def _lookup(address: Address, flags: int) -> list[Any]:
    try:
        return socket.getaddrinfo(
            address.host, address.port, 0, socket.SOCK_STREAM, socket.IPPROTO_TCP, flags
        )
    except ValueError as error:
        raise OSError(f"no host's name: {error}") from error
