"""Encoded Metadata bodies, kept until anything that they show may have changed."""

from __future__ import annotations

from collections.abc import Callable, Hashable

from partitions import wire
from partitions.api.context import Body, EncodedBody

ENTRIES_MAX = 64
"""Distinct questions remembered: versions times listeners times lists of topics."""
ENTRY_BYTES_MAX = 4 * 1024 * 1024
_HEAD_BYTES = 8
"""Size and correlation id, which the session writes."""


class MetadataCache:
    """One per broker. `generation` names the state that bodies are derived from."""

    __slots__ = ("_bodies", "_generation", "hits", "misses")

    def __init__(self) -> None:
        self._generation: Hashable = None
        self._bodies: dict[Hashable, EncodedBody] = {}
        self.hits = 0
        self.misses = 0

    def encoded(
        self, generation: Hashable, question: Hashable, version: int, make: Callable[[], Body]
    ) -> EncodedBody:
        """The body for `question` (which includes `version`), made if it is not there."""
        if generation != self._generation:
            self._bodies.clear()
            self._generation = generation
        body = self._bodies.get(question)
        if body is not None:
            self.hits += 1
            return body
        self.misses += 1
        answer = make()
        encoded = wire.encode_response(wire.ApiKey.METADATA, version, 0, answer)
        errors = wire.error_finder(wire.ApiKey.METADATA)(answer)
        body = EncodedBody(b"".join(encoded)[_HEAD_BYTES:], errors)
        if len(body.tail) <= ENTRY_BYTES_MAX:
            if len(self._bodies) >= ENTRIES_MAX:
                del self._bodies[next(iter(self._bodies))]
            self._bodies[question] = body
        return body
