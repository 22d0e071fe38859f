"""The lines that a benchmark prints."""

from __future__ import annotations

from typing import Any

import click


def say(name: str, **figures: Any) -> None:
    """One line of the table."""
    shown = "  ".join(
        f"{key}={value:,.2f}" if isinstance(value, float) else f"{key}={value}"
        for key, value in figures.items()
    )
    click.echo(f"{name:<28} {shown}")
