"""A client without a socket: encodes requests into a Session, decodes what it answers."""

from __future__ import annotations

import struct
from typing import Any

from partitions import wire
from partitions.server import RequestBudget, Session, SessionLimits
from tests.partitions.api.fakes import FakeServices


class Lines:
    """Collects log lines."""

    def __init__(self) -> None:
        self.warnings: list[dict[str, Any]] = []
        self.errors: list[dict[str, Any]] = []

    def warning(self, event: str, *, peer: str, **values: Any) -> None:
        self.warnings.append({"event": event, "peer": peer, **values})

    def error(self, event: str, *, peer: str, **values: Any) -> None:
        self.errors.append({"event": event, "peer": peer, **values})


class Client:
    """One connection to a broker of fakes."""

    def __init__(
        self,
        services: FakeServices,
        limits: SessionLimits | None = None,
        listener: str = "PLAIN",
        connection_id: int = 1,
        room: RequestBudget | None = None,
        peer: str = "10.0.0.1:5000",
        **session: Any,
    ) -> None:
        self.services = services
        self.log = Lines()
        self.wakes = 0
        self.session = Session(
            services,
            connection_id=connection_id,
            peer=peer,
            listener=listener,
            limits=limits or SessionLimits(),
            room=room or RequestBudget(1 << 28),
            log=self.log,
            on_output=self._woken,
            **session,
        )
        self._sent: dict[int, tuple[int, int]] = {}
        self._next = 0

    def _woken(self) -> None:
        self.wakes += 1

    def encode(self, key: int, version: int, body: Any) -> bytes:
        """A request with the next correlation id."""
        self._next += 1
        self._sent[self._next] = (key, version)
        return b"".join(wire.encode_request(key, version, self._next, "client", body))

    def send(self, key: int, version: int, body: Any) -> int:
        """Send a request; its correlation id."""
        self.feed(self.encode(key, version, body))
        return self._next

    def feed(self, data: bytes) -> tuple[int, int]:
        """Hand bytes to the session as its host would: (used, needed)."""
        return self.session.consume(memoryview(bytearray(data)))

    def receive(self) -> list[tuple[int, Any]]:
        """All responses that are ready: (correlation id, body)."""
        data = b"".join(self.session.take_output())
        self.session.sent(len(data))
        responses = []
        while data:
            (size,) = struct.unpack_from(">i", data)
            frame, data = data[4 : 4 + size], data[4 + size :]
            assert len(frame) == size, "the session cut a response"
            (correlation_id,) = struct.unpack_from(">i", frame)
            key, version = self._sent.pop(correlation_id)
            responses.append(wire.decode_response(key, version, frame))
        return responses

    def ask(self, key: int, version: int, body: Any) -> Any:
        """Send a request and take its response, which must be ready at once."""
        correlation_id = self.send(key, version, body)
        ((answered, response),) = self.receive()
        assert answered == correlation_id
        return response
