"""Requests from broker to broker over the engine's application frames.

A frame is one channel byte and a CBOR list. Requests are matched to answers by a number;
each has a deadline, and the number of open ones is bounded. Nothing is repeated here:
whoever asks knows whether asking twice is safe.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import cbor2

from raftlog.errors import PeerFault
from raftlog.plain import NotPlain, decode_plain
from raftlog.seams import Reactor, Timer
from raftlog.types import Buffer, ReplicaId

REQUEST, REPLY, NOTICE = 1, 2, 3
OPEN_CALLS_MAX = 10_000
FRAME_BYTES_MAX = 8 * 1024 * 1024
ITEMS_MAX = 500_000
"""Values in one frame: ten thousand topics with all that is said of each come to a third."""
DEPTH_MAX = 8

UNREACHABLE = "UNREACHABLE"
"""Error of an answer that never came: what was asked may or may not have happened."""


class Answer(NamedTuple):
    """What a call came to: `error` is None or a code's name, `message` a sentence."""

    value: Any = None
    error: str | None = None
    message: str = ""


OnAnswer = Callable[[Answer], None]
Handler = Callable[[ReplicaId, Any, OnAnswer], None]
"""Serves (sender, arguments); answers once, at once or later."""


class _Call(NamedTuple):
    node: int
    on_answer: OnAnswer
    timer: Timer


class Rpc:
    """Calls out and serves calls of other brokers; one per broker."""

    def __init__(
        self, reactor: Reactor, me: ReplicaId, send: Callable[[int, list[Buffer]], None]
    ) -> None:
        self._reactor = reactor
        self._me = me
        self._send = send
        self._open: dict[int, _Call] = {}
        self._next = 1
        self._handlers: dict[str, Handler] = {}
        self._notices: dict[str, Callable[[ReplicaId, Any], None]] = {}

    def serve(self, operation: str, handler: Handler) -> None:
        """Answer calls of `operation`."""
        self._handlers[operation] = handler

    def listen(self, topic: str, handler: Callable[[ReplicaId, Any], None]) -> None:
        """Take notices (messages without an answer) of `topic`."""
        self._notices[topic] = handler

    def call(
        self, node: int, operation: str, arguments: Any, on_answer: OnAnswer, timeout_us: int
    ) -> None:
        """Ask `node`; `on_answer` is called once, with UNREACHABLE after `timeout_us`."""
        if node == self._me.node:
            self._handlers[operation](self._me, arguments, on_answer)
            return
        if len(self._open) >= OPEN_CALLS_MAX:
            on_answer(Answer(error=UNREACHABLE, message="too many calls between brokers are open"))
            return
        number = self._next
        self._next += 1
        due = self._reactor.now_us() + timeout_us
        timer = self._reactor.call_at(due, lambda: self._expire(number))
        self._open[number] = _Call(node, on_answer, timer)
        self._send(node, [bytes([REQUEST]), cbor2.dumps([number, operation, arguments])])

    def notify(self, node: int, topic: str, body: Any) -> None:
        """Send a notice; lost if the node is not connected."""
        self._send(node, [bytes([NOTICE]), cbor2.dumps([topic, body])])

    def _expire(self, number: int) -> None:
        call = self._open.pop(number, None)
        if call is not None:
            message = f"node {call.node} did not answer in time"
            call.on_answer(Answer(error=UNREACHABLE, message=message))

    def disconnected(self, node: int) -> None:
        """The connection is gone: the answers to open calls will not come."""
        for number in [n for n, call in self._open.items() if call.node == node]:
            self._open[number].timer.cancel()
            self._expire(number)

    def receive(self, sender: ReplicaId, body: memoryview) -> None:
        """One application frame. Raises PeerFault if it is not what another Rpc sends."""
        if not 0 < len(body) <= FRAME_BYTES_MAX:
            raise PeerFault(f"application frame of {len(body)} bytes, at most {FRAME_BYTES_MAX}")
        try:
            fields = decode_plain(bytes(body[1:]), items_max=ITEMS_MAX, depth_max=DEPTH_MAX)
        except NotPlain as error:
            raise PeerFault(f"application frame: {error}") from error
        channel = body[0]
        if channel == REQUEST and _are(fields, int, str, object):
            self._request(sender, *fields)
        elif channel == REPLY and _are(fields, int, object, str | None, str):
            self._reply(sender, *fields)
        elif channel == NOTICE and _are(fields, str, object):
            self._notice(sender, *fields)
        else:
            raise PeerFault(f"application frame of channel {channel} is malformed")

    def _request(self, sender: ReplicaId, number: int, operation: str, arguments: Any) -> None:
        handler = self._handlers.get(operation)

        def answer(result: Answer) -> None:
            fields = [number, result.value, result.error, result.message]
            self._send(sender.node, [bytes([REPLY]), cbor2.dumps(fields)])

        if handler is None:
            answer(Answer(error="UNSUPPORTED_VERSION", message=f"no operation {operation!r} here"))
        else:
            handler(sender, arguments, answer)

    def _notice(self, sender: ReplicaId, topic: str, body: Any) -> None:
        listener = self._notices.get(topic)
        if listener is not None:  # else a later release has more to tell: it does without us
            listener(sender, body)

    def _reply(
        self, sender: ReplicaId, number: int, value: Any, error: str | None, message: str
    ) -> None:
        call = self._open.get(number)
        if call is not None and call.node == sender.node:
            del self._open[number]
            call.timer.cancel()
            call.on_answer(Answer(value, error, message))


def _are(fields: Any, *types: Any) -> bool:
    """Is `fields` a list of values of these types?"""
    return (
        type(fields) is list
        and len(fields) == len(types)
        and all(
            isinstance(value, wanted) and (wanted is object or type(value) is not bool)
            for value, wanted in zip(fields, types, strict=True)
        )
    )
