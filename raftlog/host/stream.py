"""A non-blocking socket with a framed reader and an ordered, inline writer.

Reading: all streams of a process share one receive buffer, because whatever is received is
handled before the next await. Only the rest of an incomplete frame is kept, in a buffer into
which the socket is then read directly. It grows to the frame's size with what has come of it:
a length alone, which any stranger may claim, sets no memory aside. Such buffers are lent from
a small pool: touching fresh memory costs as much as receiving into it.

Writing: `write` sends at once what the socket takes; a task waits only when it is full.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from itertools import islice
from typing import Protocol

import trio
from trio.lowlevel import wait_readable, wait_writable

from raftlog.host.reactor import Wake
from raftlog.types import Buffer

RECEIVE_BYTES = 256 * 1024
GROWTH = 8
"""A frame's buffer has at most this many times what came of it (and `_Pool.STEP_BYTES` at least):
one or two copies for frames of a megabyte, and a bound for those that never come."""
_IOV_MAX = 1000
_received = memoryview(bytearray(RECEIVE_BYTES))

Consume = Callable[[memoryview], tuple[int, int]]
"""Handles the whole frames at the start of a view: (bytes consumed, bytes the next frame needs,
0 if unknown). Consuming nothing of a whole frame means: paused, offer it again on resume."""


class ReadAhead(Protocol):
    """How much may be received before it is known what it is; shared by many streams."""

    @property
    def read_bytes(self) -> int:
        """At most RECEIVE_BYTES."""


class FullReadAhead:
    """As much as the shared buffer takes."""

    read_bytes = RECEIVE_BYTES


class _Pool:
    """Buffers of incomplete frames, kept for the next one. Bounded in number and size."""

    KEPT_MAX = 8
    KEPT_BYTES_MAX = 2 * 1024 * 1024
    STEP_BYTES = 64 * 1024

    def __init__(self) -> None:
        self._free: list[memoryview] = []

    def take(self, size: int) -> memoryview:
        """A buffer of at least `size` bytes; of just that if it is a small one."""
        if size < self.STEP_BYTES:
            return memoryview(bytearray(size))
        for place, buffer in enumerate(self._free):
            if len(buffer) >= size:
                return self._free.pop(place)
        return memoryview(bytearray(-(-size // self.STEP_BYTES) * self.STEP_BYTES))

    def give_back(self, buffer: memoryview) -> None:
        """Keep the buffer if it is worth it; nobody may use it any more."""
        if not self.STEP_BYTES <= len(buffer) <= self.KEPT_BYTES_MAX:
            return
        if len(self._free) >= self.KEPT_MAX:
            smallest = min(range(len(self._free)), key=lambda place: len(self._free[place]))
            if len(self._free[smallest]) >= len(buffer):
                return
            del self._free[smallest]
        self._free.append(buffer)


_pool = _Pool()


def _room(needed: int, have: int) -> int:
    """How large a buffer to take for a frame of `needed` bytes of which `have` are there."""
    return max(have + 1, min(needed, max(_Pool.STEP_BYTES, GROWTH * have)))


class Stream:
    """Owns `sock`; `run` it in a nursery, it returns when the connection is over."""

    def __init__(
        self,
        sock: socket.socket,
        *,
        max_pending_bytes: int,
        on_sent: Callable[[int], None] | None = None,
        ahead: ReadAhead | None = None,
    ) -> None:
        """`on_sent(bytes)` is called as the kernel takes what was written."""
        sock.setblocking(False)
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sock = sock
        self._out: list[Buffer] = []
        self._blocked = False
        self._wake = Wake()
        self._resume = Wake()
        self.paused = False
        """Nothing is received until `resume`."""
        self._ahead = ahead or FullReadAhead()
        self.kept_bytes = 0
        """Received of the frame that is not whole, or not yet handled."""
        self._scope = trio.CancelScope()
        self.pending_bytes = 0
        """Bytes queued and not yet taken by the kernel."""
        self._max_pending_bytes = max_pending_bytes
        self.closed = False
        self._on_sent = on_sent

    # --- writing

    def write(self, buffers: list[Buffer]) -> bool:
        """Send in order; False (and the connection closes) when the peer reads too slowly."""
        if self.closed:
            return False
        self._out += buffers
        if self._blocked:
            self.pending_bytes += sum(map(len, buffers))
            if self.pending_bytes > self._max_pending_bytes:
                self.close()
                return False
            return True
        try:
            self._send()
        except BlockingIOError:
            self._blocked = True
            self.pending_bytes = sum(map(len, self._out))
            self._wake.set()
        except OSError:
            self.close()
        return True

    def _send(self) -> None:
        out = self._out
        while out:
            batch = out if len(out) <= _IOV_MAX else list(islice(out, _IOV_MAX))
            sent = self._sock.sendmsg(batch)
            self._drop(sent)
            if self._on_sent is not None:
                self._on_sent(sent)

    def _drop(self, sent: int) -> None:
        """Forget the first `sent` bytes of the queue."""
        out = self._out
        for position, buffer in enumerate(out):
            if sent < len(buffer):
                out[position] = memoryview(buffer)[sent:]
                del out[:position]
                return
            sent -= len(buffer)
        out.clear()

    async def _drain(self) -> None:
        while True:
            await self._wake.wait()
            while self._out:
                try:
                    self._send()
                except BlockingIOError:
                    self.pending_bytes = sum(map(len, self._out))
                    await wait_writable(self._sock)
            self.pending_bytes = 0
            self._blocked = False

    # --- reading

    def pause(self) -> None:
        """Stop reading after the frame at hand."""
        self.paused = True

    def resume(self) -> None:
        """Read on."""
        if self.paused:
            self.paused = False
            self._resume.set()

    async def _read(self, consume: Consume) -> None:
        sock = self._sock
        while True:
            await wait_readable(sock)
            count = sock.recv_into(_received, self._ahead.read_bytes)
            if not count:
                return
            view = _received[:count]
            consumed, needed = consume(view)
            if consumed == count:
                while self.paused:
                    await self._resume.wait()
                continue
            if not await self._read_rest(consume, view[consumed:], needed):
                return

    async def _read_rest(self, consume: Consume, rest: memoryview, needed: int) -> bool:
        """Keep `rest` until its frame is whole and handled; False at the end of the stream."""
        have = len(rest)
        held = memoryview(bytearray(rest)) if self.paused else self._copy(rest, needed)
        try:
            while True:
                count = await self._fill(held, have, needed)
                if not count:
                    return False
                consumed, needed = consume(held[:count])
                have = count - consumed
                if not have:
                    return True
                held = self._carry(held, consumed, count, needed)
        finally:
            self.kept_bytes = 0
            _pool.give_back(held)

    @staticmethod
    def _copy(rest: memoryview, needed: int) -> memoryview:
        held = _pool.take(_room(needed, len(rest)))
        held[: len(rest)] = rest
        return held

    def _carry(self, held: memoryview, consumed: int, count: int, needed: int) -> memoryview:
        """Move what is left of `held` to the front of a buffer with room for more of it.

        While paused it needs no more room than it has.
        """
        have = count - consumed
        room = have if self.paused else _room(needed, have)
        if room > len(held):
            larger = _pool.take(room)
            larger[:have] = held[consumed:count]
            _pool.give_back(held)
            return larger
        if consumed:
            held[:have] = bytes(held[consumed:count])
        return held

    async def _fill(self, held: memoryview, have: int, needed: int) -> int:
        """Receive until `held` is full or has `needed` bytes (0: any more); 0 at the end.

        While paused nothing is received: what is there is offered again on resume.
        """
        self.kept_bytes = have
        more = have < needed or not needed
        while more and not self.paused:
            await wait_readable(self._sock)
            count = self._sock.recv_into(held[have : max(needed, have + 1)])
            if not count:
                return 0
            have += count
            self.kept_bytes = have
            more = have < min(needed, len(held))
        while self.paused:
            await self._resume.wait()
        return have

    async def run(self, consume: Consume) -> None:
        """Read and write until either side closes. Exceptions of `consume` pass through."""
        try:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._drain_until_broken)
                    try:
                        await self._read(consume)
                    except OSError:
                        pass  # the peer went away: the same as an end of stream
                    nursery.cancel_scope.cancel()
        finally:
            self.close()
            self._sock.close()

    async def _drain_until_broken(self) -> None:
        try:
            await self._drain()
        except OSError:
            self.close()

    def close(self) -> None:
        """End the connection; what is queued is dropped."""
        self.closed = True
        self._out.clear()
        self._scope.cancel()
