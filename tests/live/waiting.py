"""Waiting for conditions in other processes, with a time-out that says what was waited for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

Value = TypeVar("Value")

POLL_S = 0.02
_never = threading.Event()


def wait_for(look: Callable[[], Value | None], timeout_s: float, what: str) -> Value:
    """The first true value of `look`; AssertionError after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while not (value := look()):
        assert time.monotonic() < deadline, f"waited {timeout_s:g} s in vain for {what}"
        # Another process gives no event to wait on.
        _never.wait(POLL_S)
    return value
