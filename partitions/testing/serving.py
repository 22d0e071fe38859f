"""One client's connection as a broker serves it: what `partitions.server.host.listener` does."""

from __future__ import annotations

from typing import Any

from partitions.api import Services
from partitions.server.intake import RequestBudget
from partitions.server.limits import SessionLimits
from partitions.server.session import Session
from partitions.testing.world import LISTENER, World
from raftlog.testing.reactor import VirtualProcess
from raftlog.testing.streams import Stream, StreamReset


class TraceLog:
    """A session's log, written to the trace; `error` means a handler failed unforeseen."""

    def __init__(self, world: World, node: int) -> None:
        self._world = world
        self._node = node

    def warning(self, event: str, **values: Any) -> None:
        """The client broke a rule."""
        self._world.note(self._node, "warning", event, *values.values())

    def error(self, event: str, **values: Any) -> None:
        """A bug of the broker: the simulation ends here."""
        self._world.note(self._node, "error", event)
        raise AssertionError(f"{event}: {values}") from values.get("exc_info")


class ServerConnection:
    """A stream and its session. Bytes come in pieces; output leaves once per pass."""

    def __init__(
        self,
        world: World,
        process: VirtualProcess,
        node: int,
        stream: Stream[bytes],
        services: Services,
        room: RequestBudget,
        number: int,
    ) -> None:
        self._world = world
        self._process = process
        self._stream = stream
        self._node = node
        self._received = bytearray()
        self._pumping = False
        self._session = Session(
            services,
            connection_id=number,
            peer=f"client{stream.peer.address}:{number}",
            listener=LISTENER,
            limits=SessionLimits(),
            room=room,
            log=TraceLog(world, node),
            on_output=self._on_output,
        )
        stream.on_item = self._on_item
        stream.on_closed = self._on_closed

    def _on_item(self, data: bytes) -> None:
        self._world.note_frame(self._node, "request", self._stream.peer.address, data)
        self._received += data
        self._pump()

    def _on_output(self) -> None:
        if not self._pumping:
            self._pumping = True
            self._process.call_soon(self._pump)

    def _pump(self) -> None:
        """Handle what came, write what is ready, close when the session is over."""
        self._pumping = False
        session = self._session
        if self._received and session.wants_read:
            used, _ = session.consume(memoryview(self._received))
            del self._received[:used]  # raises BufferError if the session kept a view
        output = b"".join(session.take_output())
        if output and self._process.alive:
            self._world.send(self._stream, output)
            session.sent(len(output))
        if session.close_reason is not None:
            self._stream.close()
            session.close()

    def _on_closed(self, error: StreamReset | None) -> None:
        self._session.close()
