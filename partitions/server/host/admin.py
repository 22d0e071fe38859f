"""The admin port: sockets and time-outs around `partitions.ops`.

One request per connection. Everything is bounded: how many connections there are, how long a
request may take to arrive and a response to be taken, how many bytes are read. A scrape gives
way to the broker's other tasks between its pieces.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from functools import partial

import structlog
import trio

from partitions.ops import http
from partitions.ops.answering import Answer, refusal

log = structlog.get_logger()

CONNECTIONS_MAX = 16
"""Further ones are closed at once."""
REQUEST_S = 5.0
RESPONSE_S = 20.0
LINGER_S = 1.0
LINGER_BYTES_MAX = 64 * 1024
"""What a client sent beyond its request is read for so long and so much: closing over unread
bytes would reset the connection, and the response with it."""
ACCEPT_PAUSE_S = 0.1
_READ_BYTES = 4096


class AdminPort:
    """One bound address."""

    def __init__(
        self,
        sock: socket.socket,
        respond: Callable[[http.Request], Answer],
        request_s: float = REQUEST_S,
    ) -> None:
        """`respond` answers a request, on the loop thread; `request_s` is its time to arrive."""
        self._sock = sock
        self._respond = respond
        self._request_s = request_s
        self._present = 0

    async def run(self) -> None:
        """Serve until cancelled."""
        self._sock.setblocking(False)
        listener = trio.socket.from_stdlib_socket(self._sock)
        async with trio.open_nursery() as nursery:
            while True:
                try:
                    sock, _ = await listener.accept()
                except OSError as error:
                    log.warning("cannot accept at the admin port", reason=str(error))
                    await trio.sleep(ACCEPT_PAUSE_S)
                    continue
                if self._present >= CONNECTIONS_MAX:
                    sock.close()
                    continue
                self._present += 1
                nursery.start_soon(self._serve, trio.SocketStream(sock))

    async def _serve(self, stream: trio.SocketStream) -> None:
        try:
            make = None
            with trio.move_on_after(self._request_s):
                make = await self._receive(stream)
            if make is not None:
                with trio.move_on_after(RESPONSE_S):
                    await _send(stream, await _made(make))
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # the client has left
        except Exception as error:  # whatever it is, it does not end the broker
            log.error("the admin port failed", exc_info=error)
        finally:
            self._present -= 1
            stream.socket.close()

    async def _receive(self, stream: trio.SocketStream) -> Callable[[], Answer] | None:
        """What answers the client; None if it leaves before it has asked."""
        data = bytearray()
        try:
            while not (length := http.head_length(data)):
                more = await stream.receive_some(_READ_BYTES)
                if not more:
                    return None
                data += more
            return partial(self._respond, http.parse(bytes(data[:length])))
        except http.Refused as error:
            return partial(refusal, error)


async def _made(make: Callable[[], Answer]) -> bytes:
    """A whole response; a failure costs the request an answer, not the broker its life."""
    try:
        answer = make()
        body = []
        for piece in answer.body:
            body.append(piece)
            await trio.lowlevel.checkpoint()
    except Exception as error:
        log.error("an operator's request failed", exc_info=error)
        answer = refusal(http.Refused(500, "see the broker's log"))
        body = list(answer.body)
    more = {"Allow": "GET"} if answer.status == 405 else {}
    size = sum(map(len, body))
    head = http.response_head(answer.status, answer.content_type, size, more)
    return b"".join([head, *body])


async def _send(stream: trio.SocketStream, response: bytes) -> None:
    await stream.send_all(response)
    await stream.send_eof()
    with trio.move_on_after(LINGER_S):
        left = LINGER_BYTES_MAX
        while left > 0 and (data := await stream.receive_some(_READ_BYTES)):
            left -= len(data)
