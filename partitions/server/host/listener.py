"""Kafka listeners: one task that accepts, one per connection that reads."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from typing import NamedTuple, NoReturn

import trio
from trio.lowlevel import wait_readable

from partitions.api.services import Services
from partitions.ops.requests import RequestCounters
from partitions.server.host.connections import Connections
from partitions.server.host.stalls import Progress, Stalls
from partitions.server.intake import RequestBudget
from partitions.server.limits import SessionLimits
from partitions.server.session import Session
from partitions.server.statistics import SessionStatistics
from raftlog.host import Complaints, Stream, TrioReactor

ACCEPT_PAUSE_S = 0.1
BACKLOG = 512
OURSELVES = "this broker:"
_OUT_OF_RESOURCES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Pump:
    """Writes connections' output once per pass, however many responses came due in it."""

    def __init__(self, reactor: TrioReactor) -> None:
        self._reactor = reactor
        self._ready: list[Connection] = []

    def finish_pass(self) -> None:
        """End the pass here: what a client sent goes to disk and peers without a task switch.

        With one request in flight that is a sixth of its latency; the price under load is
        that clients which sent at the same moment do not share a round.
        """
        self._reactor.finish_pass()

    def add(self, connection: Connection) -> None:
        """Write `connection`'s output at the end of this pass."""
        if not self._ready:
            self._reactor.call_soon(self._run)
        self._ready.append(connection)

    def _run(self) -> None:
        ready, self._ready = self._ready, []
        for connection in ready:
            connection.pump()


class Shared(NamedTuple):
    """What all listeners of a broker have in common."""

    room: RequestBudget
    pump: Pump
    connections: Connections
    stalls: Stalls
    complaints: Complaints


class Connection:
    """A client's socket and its session."""

    __slots__ = ("_complaints", "_pump", "_pumping", "session", "stream")

    def __init__(
        self,
        sock: socket.socket,
        make_session: Callable[[Callable[[], None]], Session],
        limits: SessionLimits,
        shared: Shared,
    ) -> None:
        self._complaints = shared.complaints
        self._pump = shared.pump
        self._pumping = False
        self.session = make_session(self._on_output)
        self.stream = Stream(
            sock,
            max_pending_bytes=limits.unsent_bytes_max + limits.request_bytes_max,
            on_sent=self._on_sent,
            ahead=shared.room,
        )

    def _on_output(self) -> None:
        if not self._pumping:
            self._pumping = True
            self._pump.add(self)

    def _on_sent(self, size: int) -> None:
        self.session.sent(size)
        if self.stream.paused and self.session.wants_read:
            self.stream.resume()

    def consume(self, view: memoryview) -> tuple[int, int]:
        """`stream.Consume` over the session."""
        result = self._handle(view)
        self._pump.finish_pass()
        return result

    def _handle(self, view: memoryview) -> tuple[int, int]:
        session = self.session
        used = 0
        while True:
            more, needed = session.consume(view[used:])
            used += more
            self.pump()
            if session.close_reason is not None:
                return len(view), 0
            if not session.wants_read:
                self.stream.pause()
                return used, needed
            if needed or used == len(view):
                return used, needed
            # writing made room: go on with the frames that were left

    def statistics(self) -> SessionStatistics:
        """Of the session."""
        return self.session.statistics()

    def progress(self) -> Progress:
        """See `stalls.Staller`."""
        now = self.session.statistics()
        return Progress(
            now.requests,
            now.granted_bytes,
            now.received_bytes + self.stream.kept_bytes,
            now.unsent_bytes,
            now.sent_bytes,
            self.session.wants_read,
            self.session.address,
        )

    def close(self, reason: str) -> None:
        """The host ends the connection."""
        self._complaints.info("closing connection", peer=self.session.peer, reason=reason)
        self.session.close(reason)
        self.stream.close()

    def pump(self) -> None:
        """Write what there is; read on if the session takes more; close if it is over."""
        self._pumping = False
        session = self.session
        output = session.take_output()
        if output:
            self.stream.write(output)
        if session.close_reason is not None:
            self.stream.close()
        elif session.wants_read:
            self.stream.resume()


class Listener:
    """One bound address with its name."""

    def __init__(
        self,
        name: str,
        sock: socket.socket,
        services: Services,
        limits: SessionLimits,
        shared: Shared,
        counters: RequestCounters | None = None,
    ) -> None:
        self._counters = counters
        self._name = name
        self._sock = sock
        self._services = services
        self._limits = limits
        self._shared = shared
        self._accepting = trio.CancelScope()

    def stop_accepting(self) -> None:
        """Let nobody in any more, and say so to whoever tries: who has a connection keeps it."""
        self._accepting.cancel()

    async def run(self) -> None:
        """Accept until told otherwise; serve until cancelled."""
        async with trio.open_nursery() as nursery:
            with self._sock, self._accepting:
                await self._accept(nursery)

    async def _accept(self, nursery: trio.Nursery) -> NoReturn:
        self._sock.setblocking(False)
        complaints = self._shared.complaints
        while True:
            await wait_readable(self._sock)
            try:
                sock, address = self._sock.accept()
            except OSError as error:
                if error.errno in _OUT_OF_RESOURCES:
                    complaints.error("cannot accept connections", peer=OURSELVES, reason=str(error))
                    await trio.sleep(ACCEPT_PAUSE_S)
                continue
            refusal = self._shared.connections.refusal(address[0])
            if refusal is not None:
                peer = f"{address[0]}:{address[1]}"
                complaints.warning("too many connections", peer=peer, limit=refusal)
                sock.close()
                continue
            number = self._shared.connections.opened(address[0])
            nursery.start_soon(self._serve, sock, address, number)

    async def _serve(self, sock: socket.socket, address: tuple[str, int], number: int) -> None:
        peer = f"{address[0]}:{address[1]}"

        def make_session(on_output: Callable[[], None]) -> Session:
            return Session(
                self._services,
                connection_id=number,
                peer=peer,
                listener=self._name,
                limits=self._limits,
                room=self._shared.room,
                log=self._shared.complaints,
                on_output=on_output,
                counters=self._counters,
            )

        try:
            connection = Connection(sock, make_session, self._limits, self._shared)
            forget = self._shared.connections.watch(connection)
            forget_too = self._shared.stalls.watch(connection)
            try:
                await connection.stream.run(connection.consume)
            finally:
                forget()
                forget_too()
                connection.session.close()
        finally:
            self._shared.connections.closed(address[0])
