"""One budget for the requests of all connections: `queued.max.request.bytes`.

Held are the frames that came in part and the frames whose response is not known yet. A frame
that is whole when it is read asks for nothing; until it is answered it is only counted.

A frame that is not whole asks for room for all of itself before more of it is read, and has
its room until it is answered. So what was granted can always be finished, and the sum never
passes the budget, however many begin. Who does not get room is not read from and waits. There
are three such queues, by size, each with its share of the budget: a heartbeat does not wait behind
megabytes, nor an ordinary batch behind those who send the largest frames there may be. Whoever has
room, does not get on and makes others wait is to be closed by the host (`host.stalls`), so that
the queues always move.

One address has at most half of a share, or one frame, so that nobody fills it alone by being
slow; and addresses get room in turn, so that nobody waits for all that another one asks. Of one
address, the order is that of asking.

Bytes that were read before it was known whose they are cannot be put back. While anybody
waits, streams are therefore read `PRESSED_READ_BYTES` at a time: what may be held beyond the
budget is that much per connection.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple, Protocol

KIB = 1024
SMALL_BYTES = 64 * KIB
"""Frames up to this size are small: all requests of a usual client but Produce."""
ORDINARY_BYTES = 2 * 1024 * KIB
"""Frames up to this size are ordinary: batches within the default `message.max.bytes`."""
SMALL_PARTS, ORDINARY_PARTS, UNANSWERED_PARTS, PARTS = 1, 3, 4, 16
"""How the budget is divided. What is left for large frames is half of it, and no frame may be
larger than that (`metadata.configs.consistency`)."""
ADDRESS_PARTS = 2
"""One address may hold this part of a share."""
READ_BYTES = 256 * KIB
PRESSED_READ_BYTES = 4 * KIB


class Asker(Protocol):
    """A session, as the budget sees it."""

    address: str
    """The client's, without its port."""

    def granted(self) -> None:
        """There is room now; runs inside a `give_back`, and must only schedule work."""


class IntakeStatistics(NamedTuple):
    """As of now."""

    granted_bytes: int
    unanswered_bytes: int
    waiting: int
    """Connections that are not read from because there is no room for their frame."""


class _Queue:
    """The frames of one class of sizes."""

    __slots__ = ("_held", "_limit", "used", "waiting")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held: dict[str, int] = {}
        """Granted bytes by address."""
        self.used = 0
        self.waiting: OrderedDict[str, OrderedDict[Asker, int]] = OrderedDict()
        """By address, the one whose turn is next first."""

    def fits(self, size: int) -> bool:
        """A frame larger than the whole share passes alone: every frame can pass."""
        return self.used + size <= self._limit or not self.used

    def may(self, address: str, size: int) -> bool:
        """Would `address` hold no more than half with a frame of `size` more?"""
        held = self._held.get(address, 0)
        return not held or held + size <= self._limit // ADDRESS_PARTS

    def next(self) -> tuple[Asker, int] | None:
        """Whose turn it is, whether or not there is room. At most a few addresses are passed over:
        those that hold their half."""
        for address, askers in self.waiting.items():
            asker, size = next(iter(askers.items()))
            if self.may(address, size):
                return asker, size
        return None

    def take(self, address: str, size: int) -> None:
        """Hold `size` bytes for `address`."""
        self.used += size
        self._held[address] = self._held.get(address, 0) + size

    def give_back(self, address: str, size: int) -> None:
        """The end of `take`."""
        self.used -= size
        left = self._held.pop(address, 0) - size
        assert left >= 0, "more bytes given back than were granted"
        if left:
            self._held[address] = left

    def wait(self, asker: Asker, size: int) -> None:
        """Behind those of its address."""
        self.waiting.setdefault(asker.address, OrderedDict())[asker] = size

    def leave(self, asker: Asker) -> None:
        """Wait no more; the next turn is another address's."""
        askers = self.waiting[asker.address]
        del askers[asker]
        if askers:
            self.waiting.move_to_end(asker.address)
        else:
            del self.waiting[asker.address]


class RequestBudget:
    """See the module. All on the loop thread; sizes in bytes, prefixes included."""

    __slots__ = ("_queues", "read_bytes", "unanswered_bytes", "unanswered_max")

    def __init__(self, limit: int) -> None:
        """`limit`: queued.max.request.bytes."""
        small, ordinary = limit * SMALL_PARTS // PARTS, limit * ORDINARY_PARTS // PARTS
        self.unanswered_max = limit * UNANSWERED_PARTS // PARTS
        large = limit - small - ordinary - self.unanswered_max
        self._queues = (_Queue(small), _Queue(ordinary), _Queue(large))
        self.unanswered_bytes = 0
        """Of frames that were whole when they were read."""
        self.read_bytes = READ_BYTES
        """How much of a stream may be read before it is known what it is."""

    @property
    def pressed(self) -> bool:
        """Does somebody wait, or is less read than there might be?"""
        return self.read_bytes != READ_BYTES

    def hinders(self, address: str, size: int) -> bool:
        """Does a frame of `size` from `address` hold what somebody waits for?

        Who waits because his own address has its half is no reason to end another one's.
        """
        queue = self._queue(size)
        full = self.unanswered_bytes >= self.unanswered_max
        return full or address in queue.waiting or queue.next() is not None

    def ask(self, asker: Asker, size: int) -> bool:
        """Room for a frame of `size` bytes: now (True), or `asker.granted` is called later."""
        queue = self._queue(size)
        address = asker.address
        first = address not in queue.waiting and queue.next() is None
        if first and queue.fits(size) and queue.may(address, size):
            queue.take(address, size)
            return True
        queue.wait(asker, size)
        self.read_bytes = PRESSED_READ_BYTES
        return False

    def withdraw(self, asker: Asker, size: int) -> None:
        """The asker, still waiting, has left."""
        queue = self._queue(size)
        queue.leave(asker)
        self._grant(queue)

    def give_back(self, size: int, address: str) -> None:
        """A granted frame is answered, or its connection over."""
        queue = self._queue(size)
        queue.give_back(address, size)
        if queue.waiting:
            self._grant(queue)

    def hold(self, size: int) -> None:
        """A frame that needed no room waits for its answer."""
        self.unanswered_bytes += size
        if self.unanswered_bytes >= self.unanswered_max:
            self.read_bytes = PRESSED_READ_BYTES

    def answered(self, size: int) -> None:
        """The end of `hold`."""
        self.unanswered_bytes -= size
        if self.pressed:
            self._relax()

    def statistics(self) -> IntakeStatistics:
        """As of now."""
        return IntakeStatistics(
            sum(queue.used for queue in self._queues),
            self.unanswered_bytes,
            sum(len(askers) for queue in self._queues for askers in queue.waiting.values()),
        )

    def _queue(self, size: int) -> _Queue:
        return self._queues[(size > SMALL_BYTES) + (size > ORDINARY_BYTES)]

    def _grant(self, queue: _Queue) -> None:
        while (found := queue.next()) is not None:
            asker, size = found
            if not queue.fits(size):
                return
            queue.leave(asker)
            queue.take(asker.address, size)
            asker.granted()
        self._relax()

    def _relax(self) -> None:
        if any(queue.waiting for queue in self._queues):
            return
        if self.unanswered_bytes < self.unanswered_max:
            self.read_bytes = READ_BYTES
