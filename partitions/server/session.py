"""One client connection without its socket: frames in, responses out, in the order asked.

The host owns the receive buffer. It hands what it has read to `consume`, which handles every
whole frame in it and says how much it used and how much is needed for the next; then it
writes what `take_output` gives and reports it with `sent`. Rules:

- Responses leave in the order of their requests, though answers may become known in any
  order. Requests are handled as they come, without waiting for earlier answers.
- Everything is bounded: the size of a frame, requests in flight, bytes not yet sent, and over
  all connections the bytes of requests (`intake`) and of responses. At a bound `wants_read`
  is false and `consume` stops between two frames. Over the budget of responses (or an address
  over its half) only those are served that took all of theirs; a quarter above it nobody is.
- A frame that is not a request ends the connection with one log line; so does an API that is
  not served, except ApiVersions, whose clients learn the right version from the answer.
- A handler that fails unforeseen costs its request an error response, not the connection.
- `consume` is never re-entered. `on_output` runs when an answer came in between: there is
  output, and there may be room to `consume` frames that were left in the buffer.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from partitions import wire
from partitions.api import (
    BY_KEY,
    VERSIONS,
    Api,
    CancellablePending,
    CloseConnection,
    Failed,
    RequestContext,
    Services,
)
from partitions.errors import ErrorCode, KafkaError
from partitions.ops.requests import RequestCounters
from partitions.pending import Pending
from partitions.security import ANONYMOUS, Principal
from partitions.server.intake import RequestBudget
from partitions.server.limits import SessionLimits, size_complaint, unserved
from partitions.server.log import Log
from partitions.server.slot import SIZE_BYTES, Slot, encoded
from partitions.server.statistics import SessionStatistics
from partitions.wire.frames import HEADER_BYTES_MIN
from raftlog.types import Buffer

_PRODUCE = int(wire.ApiKey.PRODUCE)
_API_VERSIONS = int(wire.ApiKey.API_VERSIONS)

_SIZE = struct.Struct(">i").unpack_from


class Session:
    """See the module's text. One per connection, all on the loop thread."""

    __slots__ = (
        "_apis",
        "_asked",
        "_consuming",
        "_counters",
        "_granted",
        "_kept",
        "_limits",
        "_log",
        "_on_output",
        "_output",
        "_received_bytes",
        "_requests",
        "_responses",
        "_room",
        "_sent_bytes",
        "_services",
        "_slots",
        "_unwatch",
        "address",
        "close_reason",
        "connection_id",
        "listener",
        "peer",
        "principal",
        "unsent_bytes",
    )

    def __init__(
        self,
        services: Services,
        *,
        connection_id: int,
        peer: str,
        listener: str,
        limits: SessionLimits,
        room: RequestBudget,
        log: Log,
        on_output: Callable[[], None],
        apis: Mapping[int, Api] = BY_KEY,
        counters: RequestCounters | None = None,
    ) -> None:
        """`peer`: `host:port`; `listener`: its name; the broker's sessions share `room` and
        `counters`."""
        self._counters = counters or RequestCounters()
        self._services = services
        self._responses = services.response_budget
        self._limits = limits
        self._room = room
        self._asked = 0
        self._granted = 0
        self._kept = 0
        """Bytes that the host holds while no more requests are taken."""
        self._log = log
        self._on_output = on_output
        self._apis = apis
        self._slots: deque[Slot] = deque()
        self._output: list[Buffer] = []
        self._unwatch: Callable[[], None] | None = None
        """Set while there is no room for anybody's responses."""
        self._consuming = False
        self._requests = 0
        self._received_bytes = 0
        self._sent_bytes = 0
        self.connection_id = connection_id
        self.peer = peer
        self.address = peer.rpartition(":")[0]
        self.listener = listener
        self.principal: Principal = ANONYMOUS
        self.unsent_bytes = 0
        """Bytes of responses that were not reported as sent."""
        self.close_reason: str | None = None
        """Set once the connection is to be closed, after what `take_output` still gives."""

    @property
    def wants_read(self) -> bool:
        """May another request be taken in? False: leave bytes in the socket."""
        return (
            self.close_reason is None
            and not self._asked
            and len(self._slots) < self._limits.in_flight_max
            and self.unsent_bytes < self._limits.unsent_bytes_max
            # Over these two, only who has nothing open here is served: one request at a time.
            and (not self._slots or self._room.unanswered_bytes < self._room.unanswered_max)
            and (not self.unsent_bytes or not self._responses.is_short(self.address))
            and not self._responses.is_full(self.address)
        )

    def consume(self, data: memoryview) -> tuple[int, int]:
        """Handle the whole frames at the start of `data`: (bytes used, bytes needed).

        `data` must be writable: batches are stamped in place. Needed is how many bytes from the
        first unused one on make the next step possible (a size prefix, or a whole frame with
        it); 0 while nothing may be handled. No view of `data` is kept. `wants_read` is false
        after it when there is no room for the frame that is not whole.
        """
        used, end, needed = 0, len(data), 0
        if self._kept:
            self._forget_kept()
        self._consuming = True
        try:
            while self.wants_read:
                if end - used < SIZE_BYTES:
                    needed = SIZE_BYTES
                    break
                (size,) = _SIZE(data, used)
                if not HEADER_BYTES_MIN <= size <= self._limits.request_bytes_max:
                    self._fail(size_complaint(data[used:], size, self._limits))
                    break
                stop = used + SIZE_BYTES + size
                if stop > end:
                    needed = SIZE_BYTES + size
                    if not self._granted:
                        self._ask(needed)
                    break
                self._handle(data[used + SIZE_BYTES : stop])
                used = stop
                if self._granted:
                    self._let_go()
        finally:
            self._received_bytes += used
            self._consuming = False
        if used < end and not self._granted and not self.wants_read:
            self._keep(end - used)
        if self.close_reason is None and self._responses.is_full(self.address):
            self._unwatch = self._unwatch or self._responses.watch(self._room_again, self.address)
        return used, needed

    def _room_again(self) -> None:
        self._unwatch = None
        self._wake()

    def _keep(self, size: int) -> None:
        if self.close_reason is None:
            self._kept = size
            self._room.hold(size)

    def _forget_kept(self) -> None:
        kept, self._kept = self._kept, 0
        self._room.answered(kept)

    def _ask(self, size: int) -> None:
        if self._room.ask(self, size):
            self._granted = size
        else:
            self._asked = size

    def granted(self) -> None:
        """The budget has room for the frame that was waiting: the host may read on."""
        self._granted, self._asked = self._asked, 0
        self._wake()

    def _let_go(self) -> None:
        """Of what was received and is not handled."""
        granted, asked = self._granted, self._asked
        self._granted = self._asked = 0
        if granted:
            self._room.give_back(granted, self.address)
        elif asked:
            self._room.withdraw(self, asked)
        if self._kept:
            self._forget_kept()

    def take_output(self) -> list[Buffer]:
        """The responses to write now, in order; report with `sent` when they are written."""
        output, self._output = self._output, []
        return output

    def sent(self, size: int) -> None:
        """`size` bytes of what `take_output` gave have left this process."""
        size = min(size, self.unsent_bytes)  # nothing is owed any more after `close`
        self.unsent_bytes -= size
        self._sent_bytes += size
        self._responses.give_back(size, self.address)

    def close(self, reason: str = "the connection was closed") -> None:
        """The connection is over: let go of everything that waits. May be called twice."""
        if self.close_reason is None:
            self.close_reason = reason
        self._drop_pending()
        self._output.clear()
        unsent, self.unsent_bytes = self.unsent_bytes, 0
        self._responses.give_back(unsent, self.address)

    def statistics(self) -> SessionStatistics:
        """As of now."""
        return SessionStatistics(
            requests=self._requests,
            in_flight=len(self._slots),
            received_bytes=self._received_bytes,
            sent_bytes=self._sent_bytes,
            unsent_bytes=self.unsent_bytes,
            granted_bytes=self._granted,
        )

    def _handle(self, frame: memoryview) -> None:
        key, version, correlation_id = wire.peek_header(frame)
        api = self._apis.get(key)
        if api is None or not api.first <= version <= api.last:
            self._unsupported(key, version, correlation_id)
            return
        if len(frame) > self._limits.control_request_bytes_max and key != _PRODUCE:
            self._fail(f"{api.key.name} request of {len(frame)} bytes is too large")
            return
        try:
            header, body = wire.decode_request(frame)
        except (wire.MalformedFrame, wire.UnsupportedApi) as error:
            self._fail(str(error))
            return
        context = RequestContext(
            self.principal,
            self.listener,
            self.peer,
            header.client_id,
            version,
            self.connection_id,
            self._requests,
            self._services.reactor.now_us(),
        )
        self._requests += 1
        counters = self._counters.of(api.key)
        counters.requests += 1
        counters.bytes_in += len(frame)
        answer = self._answer(api, context, body)
        if answer is not None:
            slot = Slot(api, version, correlation_id, context.received_us)
            self._accept(slot, answer, SIZE_BYTES + len(frame))

    def _answer(self, api: Api, context: RequestContext, body: Any) -> Any:
        """The handler's answer, or what stands for it when it failed."""
        try:
            try:
                return api.handle(self._services, context, body)
            except KafkaError as error:
                return api.refuse(context, body, error)
            except CloseConnection:
                raise
            except Exception as error:
                self._log_failure(api, error)
                broken = KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR, "see the broker's log")
                return api.refuse(context, body, broken)
        except CloseConnection as error:
            self._fail(str(error))
            return None

    def _accept(self, slot: Slot, answer: Any, size: int) -> None:
        """Send the answer to a request of `size` bytes, or keep its place in the order."""
        if isinstance(answer, Pending):
            self._slots.append(slot)
            slot.pending = answer
            if self._granted:
                slot.granted, self._granted = self._granted, 0
            else:
                slot.held = size
                self._room.hold(size)
            answer.then(lambda body: self._resolved(slot, body))
            return
        buffers = self._encode(slot, answer)
        if buffers is None:
            return
        if self._slots:
            slot.buffers = buffers
            self._slots.append(slot)
        else:
            self._output += buffers

    def _resolved(self, slot: Slot, body: Any) -> None:
        slot.pending = None
        slot.release(self._room, self.address)
        if self.close_reason is not None:
            return
        if type(body) is Failed:
            self._log_failure(slot.api, body.error)
            self._fail(f"{slot.api.key.name} failed; see the error before this line")
            self._wake()
            return
        slot.buffers = self._encode(slot, body)
        if slot.buffers is None:
            self._wake()
            return
        slots, progress = self._slots, False
        while slots and slots[0].buffers is not None:
            self._output += slots.popleft().buffers or ()
            progress = True
        if progress:
            self._wake()

    def _encode(self, slot: Slot, body: Any) -> list[Buffer] | None:
        """The response, counted and charged for.

        None: it cannot be encoded, which is a bug here; the connection ends.
        """
        api = slot.api
        counters = self._counters.of(api.key)
        try:
            buffers = encoded(slot, body, counters)
        except Exception as error:
            self._log_failure(api, error)
            self._fail(f"the response to {api.key.name} could not be encoded")
            return None
        size = 0
        for buffer in buffers:
            size += len(buffer)
        self.unsent_bytes += size
        self._responses.take(size, self.address)
        counters.answered(size, self._services.reactor.now_us() - slot.received_us)
        return buffers

    def _wake(self) -> None:
        if not self._consuming:
            self._on_output()

    def _unsupported(self, key: int, version: int, correlation_id: int) -> None:
        if key == _API_VERSIONS and key in self._apis:
            # KIP-511: a version 0 body, whatever was asked, from which the client learns.
            slot = Slot(self._apis[key], 0, correlation_id, self._services.reactor.now_us())
            self._accept(slot, VERSIONS.unsupported(), 0)
            return
        self._fail(unserved(key, version))

    def _fail(self, reason: str) -> None:
        """The peer broke the rules: one log line, and the host closes the connection."""
        if self.close_reason is not None:
            return
        self.close_reason = reason
        self._log.warning("closing connection", peer=self.peer, reason=reason)
        self._drop_pending()

    def _drop_pending(self) -> None:
        self._let_go()
        if self._unwatch is not None:
            self._unwatch()
            self._unwatch = None
        for slot in self._slots:
            slot.release(self._room, self.address)
            pending = slot.pending
            if isinstance(pending, CancellablePending):
                pending.cancel()
        self._slots.clear()

    def _log_failure(self, api: Api, error: Exception) -> None:
        self._log.error("request failed", api=api.key.name, peer=self.peer, exc_info=error)
