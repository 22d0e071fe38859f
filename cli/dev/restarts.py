"""When a broker that died is started again, and when it is given up."""

from __future__ import annotations

from dataclasses import dataclass

AT_ONCE_S = 5.0
"""A broker that ends by itself sooner than this after its start has not started at all."""
STABLE_S = 60.0
"""A broker that ran this long starts with a clean slate."""
FAILED_STARTS_MAX = 2
RESTARTS_MAX = 20
DELAY_MIN_S = 0.2
DELAY_MAX_S = 10.0


@dataclass(slots=True)
class RestartPolicy:
    """One broker's history. Pure: times are handed in."""

    restarts: int = 0
    failed_starts: int = 0
    reason: str = ""
    """Why `died` answered None."""

    def died(self, uptime_s: float, *, killed: bool) -> float | None:
        """Seconds to wait before the next start, or None: give it up.

        `killed` says that somebody else ended it (SIGKILL), which is no failure to start.
        """
        if uptime_s >= STABLE_S:
            self.restarts = self.failed_starts = 0
        if killed or uptime_s >= AT_ONCE_S:
            self.failed_starts = 0
        else:
            self.failed_starts += 1
        if self.failed_starts >= FAILED_STARTS_MAX:
            self.reason = f"it failed right after its start {self.failed_starts} times in a row"
            return None
        if self.restarts >= RESTARTS_MAX:
            self.reason = f"it was started again {self.restarts} times already"
            return None
        self.restarts += 1
        return float(min(DELAY_MIN_S * 2 ** (self.restarts - 1), DELAY_MAX_S))
