"""The orderly end of a broker: no new clients, no leaderships, no open answers.

Everything up to the last sync takes at most HAND_OVER_LIMIT_S + ANSWERS_LIMIT_S. What could not be
moved or answered in that time is what a killed broker leaves behind: followers elect a leader, and
clients ask it. A second signal ends the process on the spot, which loses nothing either.
"""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Iterable
from typing import NoReturn

import structlog
import trio

from partitions.server.broker import Broker
from partitions.server.host.connections import Connections
from partitions.server.host.listener import Listener
from partitions.server.host.notify import Notifier

log = structlog.get_logger()

HAND_OVER_LIMIT_S = 5.0
ANSWERS_LIMIT_S = 2.0
LOOK_S = 0.005


async def end(
    broker: Broker,
    listeners: Iterable[Listener],
    connections: Connections,
    notifier: Notifier,
) -> None:
    """Returns when the process may stop."""
    leads = broker.draining.leads
    notifier.stopping(f"handing over {leads} leaderships")
    log.info("stopping", node=broker.me.node, leads=leads)
    for listener in listeners:
        listener.stop_accepting()
    finished = trio.Event()
    with trio.move_on_after(HAND_OVER_LIMIT_S):
        broker.draining.leave(finished.set)
        await finished.wait()
    with trio.move_on_after(ANSWERS_LIMIT_S):
        # No event tells it: answers leave one by one, on paths that should not pay for this.
        while connections.busy:  # noqa: ASYNC110
            await trio.sleep(LOOK_S)
    left, unanswered = broker.draining.leads, connections.busy
    log.info("handed over", node=broker.me.node, leads_still=left, unanswered=unanswered)


async def end_at_next(signals: AsyncIterator[int]) -> NoReturn:
    """A further signal: whoever sends it does not want to wait."""
    number = await anext(signals)
    log.warning("a second signal: the broker ends at once", signal=signal.Signals(number).name)
    os._exit(128 + number)
