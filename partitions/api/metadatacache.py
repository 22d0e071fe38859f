"""Encoded Metadata bodies, kept until anything that they show may have changed."""

from __future__ import annotations

from collections.abc import Callable, Hashable

from partitions import wire
from partitions.api.context import Body, EncodedBody

ENTRIES_MAX = 64
"""Distinct questions remembered: versions times listeners times lists of topics."""
ENTRY_BYTES_MAX = 4 * 1024 * 1024
BYTES_MAX = 16 * 1024 * 1024
"""Of all bodies together: there are more questions about a large cluster than memory."""
_HEAD_BYTES = 8
"""Size and correlation id, which the session writes."""


class MetadataCache:
    """One per broker. `generation` names the state that bodies are derived from."""

    __slots__ = ("_bodies", "_bytes", "_generation", "hits", "misses")

    def __init__(self) -> None:
        self._generation: Hashable = None
        self._bodies: dict[Hashable, EncodedBody] = {}
        self._bytes = 0
        self.hits = 0
        self.misses = 0

    def encoded(
        self, generation: Hashable, question: Hashable, version: int, make: Callable[[], Body]
    ) -> EncodedBody:
        """The body for `question` (which includes `version`), made if it is not there."""
        if generation != self._generation:
            self._bodies.clear()
            self._bytes = 0
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
            self._keep(question, body)
        return body

    def _keep(self, question: Hashable, body: EncodedBody) -> None:
        self._bytes += len(body.tail)
        self._bodies[question] = body
        while len(self._bodies) > ENTRIES_MAX or self._bytes > BYTES_MAX:
            oldest = next(iter(self._bodies))
            self._bytes -= len(self._bodies.pop(oldest).tail)
