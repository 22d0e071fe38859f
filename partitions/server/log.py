"""Where a session says what went wrong."""

from __future__ import annotations

from typing import Any, Protocol


class Log(Protocol):
    """What is used of a logger; `peer`: the client that a line is about."""

    def warning(self, event: str, *, peer: str, **values: Any) -> Any:
        """Something is wrong outside of this broker."""

    def error(self, event: str, *, peer: str, **values: Any) -> Any:
        """Something is wrong in this broker."""
