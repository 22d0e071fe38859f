"""Log lines about what others did wrong, of which no other side can cause more than so many.

Whoever is told to go away can come back ten thousand times a second, and a line for each time
would fill the disk and hide the lines that matter. So in every `WINDOW_US` one address gets
`ADDRESS_LINES_MAX` lines and all together get `LINES_MAX`; one line at the end of the window says
how many were left out, and whose. A well-meant but broken client is in the log all the same.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import structlog

from raftlog.seams import Reactor

log = structlog.get_logger()

WINDOW_US = 10_000_000
ADDRESS_LINES_MAX = 50
LINES_MAX = 200
ADDRESSES_MAX = 1000
"""So many are counted one by one in a window, the others as one."""
OTHERS = "others"


class Complaints:
    """Has the methods of a logger; `peer` says whom a line is about: `host:port`."""

    def __init__(self, reactor: Reactor) -> None:
        self._reactor = reactor
        self._window_end_us = 0
        self._written: Counter[str] = Counter()
        self._left_out: Counter[str] = Counter()

    def info(self, event: str, *, peer: str, **values: Any) -> None:
        """The other side did nothing wrong."""
        if self._may(peer):
            log.info(event, peer=peer, **values)

    def warning(self, event: str, *, peer: str, **values: Any) -> None:
        """It did."""
        if self._may(peer):
            log.warning(event, peer=peer, **values)

    def error(self, event: str, *, peer: str, **values: Any) -> None:
        """What it asked for failed here."""
        if self._may(peer):
            log.error(event, peer=peer, **values)

    def _may(self, peer: str) -> bool:
        now = self._reactor.now_us()
        if now >= self._window_end_us:
            self._window_end_us = now + WINDOW_US
            self._written.clear()
        address = peer.rpartition(":")[0]
        if self._written[address] < ADDRESS_LINES_MAX and self._written.total() < LINES_MAX:
            self._written[address] += 1
            return True
        if not self._left_out:
            self._reactor.call_at(self._window_end_us, self._sum_up)
        known = address in self._left_out or len(self._left_out) < ADDRESSES_MAX
        self._left_out[address if known else OTHERS] += 1
        return False

    def _sum_up(self) -> None:
        (most, lines), *_ = self._left_out.most_common(1)
        log.warning(
            "lines about connections left out",
            lines=self._left_out.total(),
            addresses=len(self._left_out),
            most_from=most,
            most_lines=lines,
        )
        self._left_out.clear()
