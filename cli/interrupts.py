"""Ctrl-C and SIGTERM while librdkafka runs.

An exception that a signal handler raises inside one of librdkafka's callbacks is lost on its way
out of the C code, and what comes out instead is a SystemError. So the first signal only sets a
flag, which is looked at between two calls; the second one does what it does without us.

SIGTERM is what `timeout`, containers and systemd send: a member of a group that just died of it
would keep its partitions from the others until its session ends.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any

from cli.exits import CommandFailed, ExitCode

_SECOND: dict[int, Any] = {
    signal.SIGINT: signal.default_int_handler,
    signal.SIGTERM: signal.SIG_DFL,
}
"""What a signal does when it comes again."""


class Terminated(CommandFailed):
    """There was a SIGTERM."""

    def __init__(self) -> None:
        super().__init__("ended by SIGTERM", ExitCode.TERMINATED)


class Interrupts:
    """Signals as a flag, inside the block; main thread only, elsewhere it does nothing."""

    def __init__(self) -> None:
        self._seen: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in _SECOND}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def check(self) -> None:
        """KeyboardInterrupt when there was a Ctrl-C, Terminated at a SIGTERM."""
        if self._seen == signal.SIGINT:
            raise KeyboardInterrupt
        if self._seen is not None:
            raise Terminated

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._seen = number
        signal.signal(number, _SECOND[number])
