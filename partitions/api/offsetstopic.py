"""Making `__consumer_offsets` when the first group is asked for."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from partitions.api.services import CREATE_TOPICS, ControllerReply, ItemOutcome, Services
from partitions.errors import ErrorCode
from partitions.internal import CONSUMER_OFFSETS

log = structlog.get_logger()

CONFIGS = {"retention.ms": "-1", "retention.bytes": "-1", "segment.bytes": str(16 * 1024 * 1024)}
"""Nothing of it goes by age or size: coordinators keep it short themselves, and small segments
let what they have trimmed go soon."""
WAITING_MAX = 10_000
SAY_AGAIN_US = 60_000_000
"""Between two log lines with the same complaint."""


class OffsetsTopic:
    """One per broker. Of many that need the topic at one time, one asks for it."""

    def __init__(self) -> None:
        self._waiting: list[Callable[[], None]] = []
        self._said: tuple[str, int] = ("", 0)

    def ensure(self, services: Services, done: Callable[[], None]) -> None:
        """Call `done` when the topic is there, or could not be made: at once or later."""
        exists = services.image().topic(CONSUMER_OFFSETS) is not None
        if exists or len(self._waiting) >= WAITING_MAX:
            done()
            return
        self._waiting.append(done)
        if len(self._waiting) == 1:
            self._ask(services)

    def _ask(self, services: Services) -> None:
        settings = services.settings
        item = {
            "name": CONSUMER_OFFSETS,
            "partitions": settings.offsets_topic_partitions,
            "replication_factor": settings.offsets_topic_replication_factor,
            "assignments": [],
            "configs": CONFIGS,
        }

        def replied(reply: ControllerReply) -> None:
            self._complain(services, reply)
            waiting, self._waiting = self._waiting, []
            for done in waiting:
                done()

        services.call_controller(CREATE_TOPICS, {"items": [item], "validate_only": False}, replied)

    def _complain(self, services: Services, reply: ControllerReply) -> None:
        failed: ControllerReply | ItemOutcome = reply
        if reply.error is ErrorCode.NONE:
            (failed,) = reply.items
        if failed.error in (ErrorCode.NONE, ErrorCode.TOPIC_ALREADY_EXISTS):
            return
        reason, now = failed.message or failed.error.name, services.reactor.now_us()
        if self._said[0] == reason and now < self._said[1] + SAY_AGAIN_US:
            return
        self._said = (reason, now)
        log.warning(
            "consumer groups have no coordinator: their topic cannot be made",
            topic=CONSUMER_OFFSETS,
            reason=reason,
            action="are enough brokers up for offsets.topic.replication.factor? It is made when "
            "they are, or with a smaller factor",
        )
