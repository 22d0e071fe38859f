"""What a session tells of itself."""

from __future__ import annotations

from typing import NamedTuple


class SessionStatistics(NamedTuple):
    """Counters since the connection was opened, and what is waiting now."""

    requests: int
    in_flight: int
    received_bytes: int
    sent_bytes: int
    unsent_bytes: int
    granted_bytes: int = 0
    """Size of the frame that is being received in room granted to it; 0: none."""
