"""A number of bytes that many connections share."""

from __future__ import annotations

from collections.abc import Callable

OVERDRAFT_PARTS = 4


class ByteBudget:
    """Counts bytes that are held; who wants to hold more can wait until some are given back.

    Taking never fails: a response that exists must be sent. Whoever is about to make a large
    one asks `available` first, so the overdraft is at most one item per asker; and when it is a
    quarter of the limit, nobody should make any (`full`).
    """

    __slots__ = ("_waiting", "limit", "used")

    def __init__(self, limit: int) -> None:
        """`limit` in bytes."""
        self.limit = limit
        self.used = 0
        self._waiting: dict[int, Callable[[], None]] = {}

    @property
    def available(self) -> int:
        """Bytes that may still be taken; negative when overdrawn."""
        return self.limit - self.used

    @property
    def full(self) -> bool:
        """The overdraft is at its bound, too."""
        return self.used >= self.limit + self.limit // OVERDRAFT_PARTS

    def take(self, size: int) -> None:
        """Hold `size` bytes."""
        self.used += size

    def give_back(self, size: int) -> None:
        """Hold `size` bytes less, and wake who waits if there is room again."""
        self.used -= size
        assert self.used >= 0, "more bytes given back than were taken"
        if self._waiting and self.used < self.limit:
            waiting, self._waiting = self._waiting, {}
            for callback in waiting.values():
                callback()

    def watch(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Run `callback` once when there is room again; returns a function that forgets it.

        `callback` runs inside `give_back`: it should only schedule work.
        """
        key = id(callback)
        self._waiting[key] = callback
        return lambda: self._forget(key)

    def _forget(self, key: int) -> None:
        self._waiting.pop(key, None)
