"""Batches of idempotent producers that were refused, so that none takes the place of an earlier.

A client has several batches of a partition on their way. When the first is refused and what
was wrong ends before the second is handled (this broker has become the leader, the topic has
been made anew), a partition that knows nothing of the producer would take the second: it may
begin at any sequence. librdkafka then counts the first as written, because its successor
was: an acknowledged write would be lost. So what directly follows a refused batch on the
same connection is out of order too, until the refused one has come again.
"""

from __future__ import annotations

from collections import OrderedDict

from partitions.records import BatchHeader

KEPT_MAX = 10_000
"""Refusals remembered; beyond it the oldest are forgotten. Matters while clients have
requests on their way that they sent before they knew of the refusal: seconds."""
_SEQUENCE_MASK = 0x7FFF_FFFF

Origin = tuple[int, str, int]
"""Connection, topic, partition. The name and not the id: it is the client that goes on."""


class RefusedBatches:
    """Of all connections of a broker: by origin and producer, what would come next."""

    def __init__(self) -> None:
        self._next: OrderedDict[tuple[Origin, int], tuple[int, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._next)

    def note(self, origin: Origin, header: BatchHeader) -> None:
        """The batch was not appended, or was and its fate is unknown."""
        if header.producer_id < 0 or header.base_sequence < 0:
            return
        following = (header.producer_epoch, (header.last_sequence + 1) & _SEQUENCE_MASK)
        self._next[origin, header.producer_id] = following
        self._next.move_to_end((origin, header.producer_id))
        if len(self._next) > KEPT_MAX:
            self._next.popitem(last=False)

    def precede(self, origin: Origin, header: BatchHeader) -> bool:
        """Was the batch directly before this one refused? If not, the refusal is history."""
        following = self._next.get((origin, header.producer_id))
        if following is None:
            return False
        if following == (header.producer_epoch, header.base_sequence):
            return True
        del self._next[origin, header.producer_id]
        return False
