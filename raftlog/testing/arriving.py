"""A snapshot on its way into a simulated process, chunk by chunk."""

from __future__ import annotations

from collections import Counter

from raftlog.ready import SnapshotInstall
from raftlog.testing.history import Violation
from raftlog.types import SnapshotMeta


class Arriving:
    """Holds what has come; a chunk at the beginning starts over."""

    def __init__(self, node: int, probes: Counter[str]) -> None:
        self._node = node
        self._probes = probes
        self._meta: SnapshotMeta | None = None
        self._data = bytearray()

    def take(self, chunk: SnapshotInstall) -> tuple[SnapshotMeta, bytes] | None:
        """Keep a chunk; the whole snapshot once it is complete. Violation for a gap."""
        if chunk.cursor == 0:
            if self._data:
                self._probes["snapshot interrupted"] += 1
            self._meta, self._data = chunk.meta, bytearray()
        if self._meta != chunk.meta or len(self._data) != chunk.cursor:
            raise Violation(
                "snapshot chunks come in order",
                f"n{self._node} has {len(self._data)} bytes, is given {chunk.cursor} of"
                f" {chunk.meta}",
            )
        self._data += chunk.data
        if not chunk.done:
            return None
        whole, self._data = bytes(self._data), bytearray()
        return chunk.meta, whole
