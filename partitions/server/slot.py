"""A response's place in the order of its connection."""

from __future__ import annotations

from typing import Any

from partitions.api import Api
from partitions.pending import Pending
from partitions.server.intake import RequestBudget
from raftlog.types import Buffer


class Slot:
    """`buffers` is None until the answer is there; until then the request is in the budget."""

    __slots__ = ("api", "buffers", "correlation_id", "granted", "held", "pending", "version")

    def __init__(self, api: Api, version: int, correlation_id: int) -> None:
        self.api = api
        self.version = version
        self.correlation_id = correlation_id
        self.buffers: list[Buffer] | None = None
        self.pending: Pending[Any] | None = None
        self.granted = 0
        """Bytes of the request, if it asked for room before it was whole."""
        self.held = 0
        """Bytes of the request, if it was whole at once."""

    def release(self, room: RequestBudget, address: str) -> None:
        """The request is answered, or nobody waits for it any more."""
        if self.held:
            room.answered(self.held)
        elif self.granted:
            room.give_back(self.granted, address)
        self.held = self.granted = 0
