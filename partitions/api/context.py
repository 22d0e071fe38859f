"""What a handler knows of a request besides its body, and the ways it can answer.

A handler is a function `(services, context, body) -> Answer`. The answer is a response body,
an `EncodedBody`, a Pending of one of these, or None when the client expects no response
(Produce with acks=0). To refuse the whole request it raises KafkaError; to end the
connection, CloseConnection.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from partitions.pending import Pending
from partitions.security import Principal
from raftlog.types import Buffer


class RequestContext(NamedTuple):
    """Who asks, how, and until when an answer is of use."""

    principal: Principal
    listener: str
    peer: str
    client_id: str | None
    api_version: int
    connection_id: int
    sequence: int
    """Counts this connection's requests from 0."""
    received_us: int
    """Monotonic time at which the request was decoded."""


class EncodedBody(NamedTuple):
    """A response that is encoded already, all but its size and correlation id."""

    tail: Buffer
    """Everything after the correlation id (response header tags included)."""
    errors: Sequence[int] = ()
    """The error codes in it (`wire.error_finder`)."""


class Failed(NamedTuple):
    """What a Pending resolves with when the answer could not be made: a bug or a broken disk."""

    error: Exception


class CancellablePending(Pending[Any]):
    """A Pending that holds resources (timers, watches) to be let go when the client has left."""

    __slots__ = ()

    def resolve_with(self, make: Callable[[], Body]) -> None:
        """Resolve with `make()`, or with Failed: nothing escapes into whoever called back."""
        try:
            body = make()
        except Exception as error:
            body = Failed(error)
        self.resolve(body)

    def cancel(self) -> None:
        """Nobody waits any more; must not resolve. May be called after it was resolved."""
        raise NotImplementedError


class CloseConnection(Exception):
    """The only honest answer is to close: the reason, one sentence for the log."""


Body = Any
"""A response struct of `wire.messages(api_key)`; these classes are made at run time."""

Answer = Body | EncodedBody | Pending[Any] | None
