"""Where a session says what it met."""

from __future__ import annotations

from typing import Any, Protocol


class Log(Protocol):
    """What is used of a structlog logger."""

    def warning(self, event: str, **values: Any) -> Any:
        """Something is wrong outside of this broker."""

    def error(self, event: str, **values: Any) -> Any:
        """Something is wrong in this broker."""
