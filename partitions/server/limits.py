"""What one connection may ask of this broker, and how to say that it asked for more."""

from __future__ import annotations

from dataclasses import dataclass

from partitions.wire import ApiKey
from raftlog.engine.handshake import MAGIC

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """Bounds of one connection."""

    request_bytes_max: int = 100 * MIB
    """socket.request.max.bytes: the largest frame, its size prefix not counted."""
    control_request_bytes_max: int = MIB
    """The largest frame of any API but Produce. Decoded structs take tens of times the
    memory of their bytes, which only Produce's records do not."""
    in_flight_max: int = 100
    """Requests whose response is not known yet."""
    unsent_bytes_max: int = 8 * MIB
    """Responses not yet written; passed by at most one response."""


_GUESSES = (
    (b"\x16\x03", "this looks like TLS on a plaintext listener"),
    (b"GET ", "this looks like HTTP"),
    (b"POST", "this looks like HTTP"),
    (b"HEAD", "this looks like HTTP"),
    (b"PUT ", "this looks like HTTP"),
)


_PEER_KEY = int.from_bytes(MAGIC[:2], "big")


def unserved(key: int, version: int) -> str:
    """Why a request of this API is refused, with a guess at who sent it."""
    name = ApiKey(key).name if key in ApiKey._value2member_map_ else "unknown API"
    guess = ""
    if key == _PEER_KEY:
        guess = (
            ": this looks like another broker's peer connection; peer.advertised.listener must "
            "name the port of peer.listener"
        )
    return f"{name} (key {key}) version {version} is not served{guess}"


def size_complaint(head: memoryview, size: int, limits: SessionLimits) -> str:
    """Why a frame of `size` bytes that begins with `head` is refused, with a guess at the cause."""
    start = bytes(head[:4])
    for prefix, guess in _GUESSES:
        if start.startswith(prefix):
            return f"the first bytes are no frame size: {guess}"
    if size > limits.request_bytes_max:
        return (
            f"a frame of {size} bytes is larger than socket.request.max.bytes "
            f"({limits.request_bytes_max})"
        )
    return f"a frame of {size} bytes has no room for a request header"
