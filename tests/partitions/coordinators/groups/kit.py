"""Pieces of records, as Kafka lays them out."""

from __future__ import annotations

import struct


def string(text: str | None) -> bytes:
    """A nullable string with its length before it."""
    data = (text or "").encode()
    return struct.pack(">h", -1 if text is None else len(data)) + data
