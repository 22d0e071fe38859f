"""A number of bytes that many connections share."""

from __future__ import annotations

from collections.abc import Callable

ADDRESS_PARTS = 2
"""One address should hold this part of the limit at most."""
OVERDRAFT_PARTS = 4
"""What may be held beyond a limit, as a part of it."""
NOBODY = ""


class ByteBudget:
    """Counts bytes that are held, and for whom; who wants to hold more can wait for room.

    Taking never fails: a response that exists must be sent. Whoever is about to make a large
    one asks `available` first, so the overdraft is at most one item per asker; and when it is a
    quarter of the limit, nobody should make any (`is_full`). The same holds for each address with
    half of the limit, so that no address alone brings the others to a stop.
    """

    __slots__ = ("_crowding", "_held", "_waiting", "limit", "used")

    def __init__(self, limit: int) -> None:
        """`limit` in bytes."""
        self.limit = limit
        self.used = 0
        self._held: dict[str, int] = {}
        self._crowding: set[str] = set()
        """Addresses that hold what one should hold at most."""
        self._waiting: dict[int, tuple[str, Callable[[], None]]] = {}

    @property
    def available(self) -> int:
        """Bytes that may still be taken; negative when overdrawn."""
        return self.limit - self.used

    @property
    def pressed(self) -> bool:
        """Is there anybody for whom there is none?"""
        return self.used >= self.limit or bool(self._crowding)

    def is_short(self, address: str) -> bool:
        """Is there no room for what `address` would take?"""
        return self.used >= self.limit or address in self._crowding

    def is_full(self, address: str) -> bool:
        """Is the overdraft at its bound, too, of all or of `address`?"""
        if self.used >= self.limit + self.limit // OVERDRAFT_PARTS:
            return True
        share = self.limit // ADDRESS_PARTS
        return address in self._crowding and self._held[address] >= share + share // OVERDRAFT_PARTS

    def take(self, size: int, address: str = NOBODY) -> None:
        """Hold `size` bytes for `address`."""
        self.used += size
        if address:
            held = self._held[address] = self._held.get(address, 0) + size
            if held >= self.limit // ADDRESS_PARTS:
                self._crowding.add(address)

    def give_back(self, size: int, address: str = NOBODY) -> None:
        """Hold `size` bytes less, and wake who waits if there is room again."""
        was_over = self.used >= self.limit
        self.used -= size
        left = self._held.pop(address, 0) - size if address else 0
        assert self.used >= 0 <= left, "more bytes given back than were taken"
        if left:
            self._held[address] = left
        eased = address in self._crowding and left < self.limit // ADDRESS_PARTS
        if eased:
            self._crowding.discard(address)
        if self._waiting and self.used < self.limit:
            if was_over:
                self._wake(lambda waits: waits not in self._crowding)
            elif eased:
                self._wake(lambda waits: waits == address)

    def _wake(self, chosen: Callable[[str], bool]) -> None:
        due = {key: callback for key, (waits, callback) in self._waiting.items() if chosen(waits)}
        for key in due:
            del self._waiting[key]
        for callback in due.values():
            callback()

    def watch(self, callback: Callable[[], None], address: str = NOBODY) -> Callable[[], None]:
        """Run `callback` once when there is room again, also for `address`; returns a function that
        forgets it.

        `callback` runs inside `give_back`: it should only schedule work.
        """
        key = id(callback)
        self._waiting[key] = (address, callback)
        return lambda: self._forget(key)

    def _forget(self, key: int) -> None:
        self._waiting.pop(key, None)
