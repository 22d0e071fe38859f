"""Actors of a simulation written as coroutines: `await` over virtual time, nothing else.

A task runs on the heap of the simulation. It waits for a `Promise`, which somebody resolves
once; a later resolution is ignored, so that an answer, a closed connection and a timer may
race for it. What a task raises comes out of the reactor's `step`: a simulation fails loudly.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from typing import Any, Generic, TypeVar, cast

from raftlog.testing.reactor import VirtualReactor

T = TypeVar("T")


class Promise(Generic[T]):
    """A value that will be there later."""

    __slots__ = ("_value", "_waiters", "done")

    def __init__(self) -> None:
        self.done = False
        self._value: T | None = None
        self._waiters: list[Callable[[], None]] = []

    def resolve(self, value: T) -> None:
        """Wake whoever waits; only the first call counts."""
        if self.done:
            return
        self.done, self._value = True, value
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            waiter()

    def then(self, callback: Callable[[], None]) -> None:
        """Call back when resolved, at once if it is."""
        if self.done:
            callback()
        else:
            self._waiters.append(callback)

    @property
    def value(self) -> T:
        """What it was resolved with; only once `done`."""
        assert self.done, "not resolved yet"
        return cast("T", self._value)

    def __await__(self) -> Generator[Promise[Any], None, T]:
        if not self.done:
            yield self
        return self.value


def spawn(reactor: VirtualReactor, work: Coroutine[Any, Any, T]) -> Promise[T]:
    """Run `work` on the heap from now on; its result resolves the promise returned."""
    result: Promise[T] = Promise()

    def step() -> None:
        try:
            awaited: Promise[Any] = work.send(None)
        except StopIteration as end:
            result.resolve(end.value)
        else:
            awaited.then(lambda: reactor.call_soon(step))

    reactor.call_soon(step)
    return result


def sleep(reactor: VirtualReactor, delay_us: int) -> Promise[None]:
    """A promise that is resolved after `delay_us` of virtual time."""
    over: Promise[None] = Promise()
    reactor.post_at(reactor.now_us() + delay_us, lambda: over.resolve(None))
    return over
