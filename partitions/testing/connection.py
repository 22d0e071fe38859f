"""A client's connection to one broker: requests out, responses matched in their order."""

from __future__ import annotations

import struct
from collections import deque
from typing import Any, NamedTuple

from partitions import wire
from partitions.testing.tasks import Promise
from partitions.testing.world import KAFKA_PORT, World
from raftlog.testing.reactor import VirtualProcess
from raftlog.testing.streams import Stream, StreamReset

_SIZE = struct.Struct(">i")


class _Open(NamedTuple):
    """A request that waits for its response."""

    correlation_id: int
    key: int
    version: int
    answer: Promise[Any]


class ClientConnection:
    """Give it to nobody else once `is_open` is false. Answers are None when it broke first."""

    def __init__(self, world: World, process: VirtualProcess, address: int, stream: Stream[bytes]):
        self.is_open = True
        self._world = world
        self._address = address
        self._stream = stream
        self._received = bytearray()
        self._open: deque[_Open] = deque()
        self._next = 0
        stream.on_item = self._on_item
        stream.on_closed = self._on_closed

    def request(self, key: int, version: int, body: Any) -> Promise[Any]:
        """Send; the promise is the response's body, or None."""
        answer: Promise[Any] = Promise()
        if not self.is_open:
            answer.resolve(None)
            return answer
        self._next += 1
        frame = wire.encode_request(key, version, self._next, f"client{self._address}", body)
        self._open.append(_Open(self._next, key, version, answer))
        self._world.send(self._stream, b"".join(frame))
        return answer

    def close(self) -> None:
        """Give up on what is open and leave."""
        self._stream.close()
        self._end()

    def _on_item(self, data: bytes) -> None:
        self._world.note_frame(self._address, "response", self._stream.peer.address, data)
        received = self._received
        received += data
        while len(received) >= _SIZE.size:
            (size,) = _SIZE.unpack_from(received)
            stop = _SIZE.size + size
            if len(received) < stop:
                return
            frame = bytes(received[_SIZE.size : stop])
            del received[:stop]
            self._answer(frame)

    def _answer(self, frame: bytes) -> None:
        waiting = self._open.popleft()
        correlation_id, body = wire.decode_response(waiting.key, waiting.version, frame)
        assert correlation_id == waiting.correlation_id, "a response out of order"
        waiting.answer.resolve(body)

    def _on_closed(self, error: StreamReset | None) -> None:
        self._end()

    def _end(self) -> None:
        self.is_open = False
        waiting, self._open = self._open, deque()
        for item in waiting:
            item.answer.resolve(None)


def connect(
    world: World, process: VirtualProcess, address: int, node: int
) -> Promise[ClientConnection | None]:
    """Dial broker `node`; None when it cannot be reached."""
    made: Promise[ClientConnection | None] = Promise()

    def connected(stream: Stream[bytes] | None) -> None:
        if stream is None:
            made.resolve(None)
        elif made.done:
            stream.close()
        else:
            made.resolve(ClientConnection(world, process, address, stream))

    world.streams.connect(process, address, node, KAFKA_PORT, connected)
    return made
