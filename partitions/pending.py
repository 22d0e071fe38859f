"""An answer that is not there yet: the broker's only kind of future.

Handlers are plain functions. One that must wait (for a commit, a timer, the controller)
returns a Pending; whoever has the answer calls `resolve` once, on the loop thread.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Pending(Generic[T]):
    """Resolved at most once; `then` may be called before or after that."""

    __slots__ = ("_callback", "_value", "done")

    def __init__(self) -> None:
        self.done = False
        self._value: T | None = None
        self._callback: Callable[[T], None] | None = None

    def resolve(self, value: T) -> None:
        """Hand the answer over; a second call is ignored (a timer and a commit may race)."""
        if self.done:
            return
        self.done = True
        self._value = value
        if self._callback is not None:
            self._callback(value)

    def then(self, callback: Callable[[T], None]) -> None:
        """Call `callback(value)` when resolved, at once if it is already."""
        if self.done:
            callback(self._value)  # type: ignore[arg-type]
        else:
            assert self._callback is None, "one waiter per Pending"
            self._callback = callback
