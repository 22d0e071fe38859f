"""Ctrl-C while librdkafka runs.

An exception that a signal handler raises inside one of librdkafka's callbacks is lost on its way
out of the C code, and what comes out instead is a SystemError. So the first Ctrl-C only sets a
flag, which is looked at between two calls; the second one is Python's own.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any


class Interrupts:
    """SIGINT as a flag, inside the block; main thread only, elsewhere it does nothing."""

    def __init__(self) -> None:
        self._seen = False
        self._before: Any = None

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def check(self) -> None:
        """KeyboardInterrupt when there was one."""
        if self._seen:
            raise KeyboardInterrupt

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._seen = True
        signal.signal(signal.SIGINT, signal.default_int_handler)
