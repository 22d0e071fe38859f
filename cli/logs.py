"""How a broker's log is written: one event a line, for people or for programs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

FORMATS = ("text", "json")


def configure(form: str) -> None:
    """From now on write lines as `form`, one of FORMATS, to standard output."""
    import structlog

    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *(_json() if form == "json" else _text()),
        ]
    )


def _json() -> list[Callable[..., Any]]:
    """An error's traceback is a field of its line."""
    import structlog

    return [
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(default=str, skipkeys=True),
    ]


def _text() -> list[Callable[..., Any]]:
    """Tracebacks follow their line, without the values of variables: those are clients' data."""
    import sys

    import structlog

    plain = structlog.dev.plain_traceback
    return [structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty(), exception_formatter=plain)]
