"""Who waits for the next change of a partition."""

from __future__ import annotations

from collections.abc import Callable


class Watchers:
    """Callbacks that run once."""

    __slots__ = ("_next", "_waiting")

    def __init__(self) -> None:
        self._waiting: dict[int, Callable[[], None]] = {}
        self._next = 0

    def add(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Returns a function that forgets the callback; harmless after it ran."""
        key = self._next
        self._next += 1
        self._waiting[key] = callback
        return lambda: self._forget(key)

    def _forget(self, key: int) -> None:
        self._waiting.pop(key, None)

    def wake(self) -> None:
        """Run them all; those that they add wait for the next time."""
        if self._waiting:
            waiting, self._waiting = self._waiting, {}
            for callback in waiting.values():
                callback()
