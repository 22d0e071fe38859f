"""Saying what is waited for, and whether anybody is there to wait for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from typing import TypeVar

from cli.context import Address
from cli.dialing import dial
from cli.output import note

SILENT_S = 2.0
"""A person is not left without a word for longer than this."""
PROGRESS_S = 5.0
LOOK_S = 1.0
CONNECT_S = 0.5
CHECK_S = 0.1

Value = TypeVar("Value")


@contextmanager
def waiting(text: str, after_s: float = SILENT_S) -> Iterator[threading.Timer]:
    """Say once on stderr what is waited for, when the block lasts longer than `after_s`."""
    timer = threading.Timer(after_s, note, (f"quorate: {text}",))
    timer.daemon = True
    timer.start()
    try:
        yield timer
    finally:
        timer.cancel()


def beside(call: Callable[[], Value], check: Callable[[], object]) -> Value:
    """What `call` returns or raises, on a thread of its own: Ctrl-C need not wait for its end.

    `check` is called all the while, and ends the wait by raising. `call` is left behind then, so
    nothing that it uses may be closed before the process ends.
    """
    future: Future[Value] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        except BaseException as error:  # it is the caller's, whatever it is
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    while not wait([future], CHECK_S).done:
        check()
    return future.result()


def accepts(address: Address, timeout_s: float = CONNECT_S) -> bool:
    """Does anything listen there?"""
    try:
        dial(address, timeout_s).close()
    except OSError:
        return False
    return True


class Progress:
    """Says on stderr, every few seconds, how far long work is."""

    def __init__(self, noun: str, every_s: float = PROGRESS_S) -> None:
        self._noun = noun
        self._every_s = every_s
        self._began = self._said = time.monotonic()
        self._last = 0

    def look(self, count: int, more: str = "") -> None:
        """Call it often; nothing is said as long as the count stands still."""
        now = time.monotonic()
        if now - self._said < self._every_s or count == self._last:
            return
        self._said, self._last = now, count
        rate = count / max(now - self._began, 1e-9)
        note(f"quorate: {count} {self._noun} so far, {rate:,.0f}/s{more}")


class Reachability:
    """Says once that no broker is reachable, and once that one is again."""

    def __init__(
        self, addresses: Iterable[Address], listens: Callable[[Address], bool] = accepts
    ) -> None:
        self._addresses = list(addresses)
        self._listens = listens
        self._suspected = self._said = False
        self._looked_s = 0.0

    def also(self, addresses: Iterable[Address]) -> None:
        """More places where a broker may be."""
        self._addresses += [each for each in addresses if each not in self._addresses]

    def suspect(self) -> None:
        """The client reports that it is connected to no broker."""
        self._suspected = True

    def look(self) -> None:
        """Call it often: after a suspicion the addresses are tried, once a second."""
        if not self._suspected or time.monotonic() - self._looked_s < LOOK_S:
            return
        self._suspected = not any(map(self._listens, self._addresses))
        if self._suspected and not self._said:
            where = ", ".join(map(str, self._addresses))
            note(f"quorate: no broker is reachable ({where}); waiting for one. Ctrl-C ends it")
        elif self._said and not self._suspected:
            note("quorate: a broker is reachable again")
        self._said = self._suspected
        self._looked_s = time.monotonic()
