"""Does the cluster serve? Asked as a client would: a Metadata request to every broker.

The request is version 1, the smallest that names the controller, written out by hand, so that
readiness depends on the broker alone and costs no thread.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import trio

from cli.context import Address

METADATA = 3
VERSION = 1
CORRELATION = 0x71756F72
CLIENT_ID = b"quorate-probe"
ANSWER_BYTES_MAX = 1 << 20
ASK_TIMEOUT_S = 2.0
POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class View:
    """What one broker says: who is in the cluster, and who is its controller."""

    brokers: tuple[int, ...]
    controller: int | None


def request() -> bytes:
    """A Metadata v1 request for no topic at all (an empty array; null would mean all)."""
    header = struct.pack(">hhih", METADATA, VERSION, CORRELATION, len(CLIENT_ID)) + CLIENT_ID
    body = header + struct.pack(">i", 0)
    return struct.pack(">i", len(body)) + body


def parse(answer: bytes) -> View:
    """Parse a response without its size prefix; ValueError when it is not one."""
    reader = _Reader(answer)
    if reader.int32() != CORRELATION:
        raise ValueError("not the answer to this request")
    brokers = []
    for _ in range(reader.int32()):
        brokers.append(reader.int32())
        reader.string()
        reader.int32()
        reader.string()
    controller = reader.int32()
    return View(tuple(sorted(brokers)), controller if controller >= 0 else None)


class _Reader:
    """Walks over a response; every read is bounded by what is there."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def _take(self, count: int) -> bytes:
        end = self._position + count
        if end > len(self._data):
            raise ValueError("response ends too early")
        part = self._data[self._position : end]
        self._position = end
        return part

    def int32(self) -> int:
        return int.from_bytes(self._take(4), "big", signed=True)

    def string(self) -> bytes:
        length = int.from_bytes(self._take(2), "big", signed=True)
        return self._take(max(length, 0))


async def ask(address: Address) -> View | None:
    """One broker's view, or None when it does not answer (properly) yet."""
    with trio.move_on_after(ASK_TIMEOUT_S):
        try:
            async with await trio.open_tcp_stream(address.host, address.port) as stream:
                await stream.send_all(request())
                size = int.from_bytes(await _exactly(stream, 4), "big", signed=True)
                if not 0 < size <= ANSWER_BYTES_MAX:
                    return None
                return parse(await _exactly(stream, size))
        except (OSError, trio.BrokenResourceError, ValueError):
            return None
    return None


async def _exactly(stream: trio.SocketStream, count: int) -> bytes:
    parts = bytearray()
    while len(parts) < count:
        part = await stream.receive_some(count - len(parts))
        if not part:
            raise ValueError("connection closed in the middle of a response")
        parts += part
    return bytes(parts)


async def wait_until_serving(wanted: Callable[[], Mapping[int, Address]]) -> None:
    """Return when each of the wanted brokers lists them all, and one of them as the controller.

    `wanted` is asked again and again: a broker that turns out not to start is not waited for.
    Unbounded: the caller sets the time-out.
    """
    # There is nothing to wait on: another process becomes ready, and only asking tells.
    while not await _all_serve(wanted()):  # noqa: ASYNC110
        await trio.sleep(POLL_S)


async def _all_serve(brokers: Mapping[int, Address]) -> bool:
    for address in brokers.values():
        view = await ask(address)
        if view is None or view.controller not in brokers or not set(view.brokers) >= set(brokers):
            return False
    return True
