"""Connections on the virtual network: what TCP gives, and what it takes away.

Rules:
- Items arrive in order and once, until the connection resets; what was still on its way then
  is lost, and the sender cannot know how much of it.
- A lost packet only delays (a retransmission), and with it everything behind it. A cut link
  stalls; a stall longer than `give_up_us` resets both ends.
- A process that ends takes its connections with it: the peer learns by a reset that travels
  like a packet (`kill`), or, after a power loss, only when it next sends something.
- Callbacks never run inside `send`, `close` or `connect`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Generic, TypeVar

from raftlog.testing.network import Address, VirtualNetwork
from raftlog.testing.reactor import VirtualProcess, VirtualReactor

Item = TypeVar("Item")

RETRANSMIT_US = 200_000
GIVE_UP_US = 5_000_000
_FIN = object()


class StreamReset(ConnectionError):
    """The connection broke: the peer died, gave up, or was unreachable for too long."""


class Stream(Generic[Item]):
    """One end of a connection. Set `on_item` and `on_closed` in the callback that gives it."""

    def __init__(self, network: StreamNetwork[Item], process: VirtualProcess, address: Address):
        self.address = address
        """Of this end."""
        self.process = process
        self.on_item: Callable[[Item], None] = lambda item: None
        self.on_closed: Callable[[StreamReset | None], None] = lambda error: None
        """Called once: None when the peer closed in good order."""
        self.is_open = True
        self.peer: Stream[Item]
        self._network = network
        self._queue: deque[tuple[int, object]] = deque()
        self._pumping = False
        self._stalled_since = -1

    @property
    def in_flight(self) -> int:
        """Items sent and not yet delivered: what a sender bounds itself by."""
        return len(self._queue)

    def send(self, item: Item) -> None:
        """Queue one item for the peer; dropped without a word once the connection is gone."""
        if self.is_open:
            self._push(item)

    def close(self) -> None:
        """Close in good order: what was sent still arrives. No callback runs here any more."""
        if self.is_open:
            self.is_open = False
            self._push(_FIN)

    def reset(self) -> None:
        """Break the connection now, from outside: both ends lose what was on its way."""
        for end in (self, self.peer):
            end._queue.clear()
            end._end(StreamReset("connection reset"))

    def _push(self, item: object) -> None:
        network = self._network.network
        quality = network.quality_of(self.address, self.peer.address)
        delay = network.delay_us(quality)
        if quality.loss and self._network.random.random() < quality.loss:
            delay += RETRANSMIT_US
        ready = self._network.reactor.now_us() + delay
        if self._queue:
            ready = max(ready, self._queue[-1][0])
        self._queue.append((ready, item))
        if not self._pumping:
            self._pump_at(ready)

    def _pump_at(self, when_us: int) -> None:
        self._pumping = True
        self._network.reactor.post_at(when_us, self._pump)

    def _pump(self) -> None:
        """Deliver what is due, or find out why it cannot be."""
        self._pumping = False
        now, peer = self._network.reactor.now_us(), self.peer
        if not self._queue:
            return
        if self._network.network.is_cut(self.address, peer.address):
            self._stall(now)
        elif not peer.process.alive:
            self._queue.clear()
            self._end(StreamReset("the peer's process is gone"))
        elif peer.process.paused:
            peer.process.deliver_at(now, self._pump)
        else:
            self._stalled_since = -1
            while self._queue and self._queue[0][0] <= now:
                peer._deliver(self._queue.popleft()[1])
            if self._queue:
                self._pump_at(self._queue[0][0])

    def _stall(self, now: int) -> None:
        if self._stalled_since < 0:
            self._stalled_since = now
        if now - self._stalled_since > self._network.give_up_us:
            self.reset()
        else:
            self._pump_at(now + RETRANSMIT_US)

    def _deliver(self, item: Any) -> None:
        if not self.is_open:
            return
        if item is _FIN:
            self._end(None)
        else:
            self.on_item(item)

    def _end(self, error: StreamReset | None) -> None:
        if self.is_open:
            self.is_open = False
            if self.process.alive:
                closed = partial(self.on_closed, error)
                self.process.deliver_at(self._network.reactor.now_us(), closed)
        self._network.forget(self)


class StreamNetwork(Generic[Item]):
    """Listeners and connections over the links of a VirtualNetwork."""

    def __init__(
        self,
        reactor: VirtualReactor,
        network: VirtualNetwork[Any],
        *,
        give_up_us: int = GIVE_UP_US,
    ) -> None:
        self.reactor = reactor
        self.network = network
        self.random = reactor.random
        self.give_up_us = give_up_us
        self._listeners: dict[
            tuple[Address, int], tuple[VirtualProcess, Callable[[Stream[Item]], None]]
        ] = {}
        self._streams: dict[int, Stream[Item]] = {}

    def listen(
        self,
        address: Address,
        port: int,
        process: VirtualProcess,
        accept: Callable[[Stream[Item]], None],
    ) -> None:
        """Give every new connection to `port` to `accept`, while `process` lives."""
        self._listeners[address, port] = (process, accept)

    def connect(
        self,
        process: VirtualProcess,
        source: Address,
        target: Address,
        port: int,
        connected: Callable[[Stream[Item] | None], None],
    ) -> None:
        """Open a connection; `connected(None)` when refused or unreachable for too long."""
        started = self.reactor.now_us()

        def answer(stream: Stream[Item] | None) -> None:
            back = self.network.delay_us(self.network.quality_of(target, source))
            process.deliver_at(self.reactor.now_us() + back, partial(connected, stream))

        def arrive() -> None:
            now = self.reactor.now_us()
            cut = self.network.is_cut(source, target) or self.network.is_cut(target, source)
            if cut and now - started <= self.give_up_us:
                self.reactor.post_at(now + RETRANSMIT_US, arrive)
                return
            listener = self._listeners.get((target, port))
            if cut or listener is None or not listener[0].alive:
                answer(None)
                return
            near, far = self._pair(process, source, listener[0], target)
            answer(near)
            far.process.deliver_at(now, partial(listener[1], far))

        delay = self.network.delay_us(self.network.quality_of(source, target))
        self.reactor.post_at(started + delay, arrive)

    def kill(self, process: VirtualProcess) -> None:
        """`process` ended and its machine did not: the kernel resets its connections."""
        for stream in list(self._streams.values()):
            if stream.process is process:
                stream.is_open = False
                peer = stream.peer
                delay = self.network.delay_us(self.network.quality_of(stream.address, peer.address))
                self.reactor.post_at(self.reactor.now_us() + delay, peer.reset)

    def forget(self, stream: Stream[Item]) -> None:
        """A stream has ended."""
        self._streams.pop(id(stream), None)

    @property
    def open_streams(self) -> int:
        """Ends that are open."""
        return len(self._streams)

    def _pair(
        self, process: VirtualProcess, source: Address, other: VirtualProcess, target: Address
    ) -> tuple[Stream[Item], Stream[Item]]:
        near = Stream(self, process, source)
        far = Stream(self, other, target)
        near.peer, far.peer = far, near
        for stream in (near, far):
            self._streams[id(stream)] = stream
        return near, far
