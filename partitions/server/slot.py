"""A response's place in the order of its connection."""

from __future__ import annotations

import struct
from typing import Any

from partitions import wire
from partitions.api import Api, EncodedBody
from partitions.ops.requests import ApiCounters
from partitions.pending import Pending
from partitions.server.intake import RequestBudget
from raftlog.types import Buffer

SIZE_BYTES = 4
"""The prefix of every frame: its length, int32."""
_PREFIX = struct.Struct(">ii").pack


class Slot:
    """`buffers` is None until the answer is there; until then the request is in the budget."""

    __slots__ = (
        "api",
        "buffers",
        "correlation_id",
        "granted",
        "held",
        "pending",
        "received_us",
        "version",
    )

    def __init__(self, api: Api, version: int, correlation_id: int, received_us: int) -> None:
        self.api = api
        self.version = version
        self.correlation_id = correlation_id
        self.received_us = received_us
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


def encoded(slot: Slot, body: Any, counters: ApiCounters) -> list[Buffer]:
    """The response to send; raises whatever a body that cannot be encoded raises."""
    if type(body) is EncodedBody:
        counters.note_codes(body.errors)
        return [_PREFIX(SIZE_BYTES + len(body.tail), slot.correlation_id), body.tail]
    buffers = wire.encode_response(slot.api.key, slot.version, slot.correlation_id, body)
    counters.note_codes(counters.find(body))
    return buffers
