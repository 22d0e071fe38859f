"""Producer ids, allotted to brokers in blocks so that handing one out costs no round trip."""

from __future__ import annotations

from dataclasses import dataclass

from metadata.controller.brokers import require_broker
from metadata.controller.decision import Decision
from metadata.errors import ErrorCode, MetadataError
from metadata.image import MetadataImage
from metadata.records import ProducerIdsAllotted

BLOCK_SIZE = 1000
"""Kafka's (KIP-730)."""
_PRODUCER_ID_MAX = 2**63 - 1


@dataclass(frozen=True, slots=True)
class ProducerIdBlock:
    """Ids `first` to `first + count - 1`, which the broker alone may hand out."""

    first: int
    count: int


def allot_producer_ids(image: MetadataImage, node: int, epoch: int) -> Decision[ProducerIdBlock]:
    """The next block for a registered broker.

    Raises BROKER_ID_NOT_REGISTERED, STALE_BROKER_EPOCH, or POLICY_VIOLATION once all 2**63
    ids are used.
    """
    require_broker(image, node, epoch)
    first = image.next_producer_id
    if first > _PRODUCER_ID_MAX - BLOCK_SIZE:
        raise MetadataError(ErrorCode.POLICY_VIOLATION, "all producer ids are used up")
    record = ProducerIdsAllotted(node, first, BLOCK_SIZE)
    return Decision((record,), ProducerIdBlock(first, BLOCK_SIZE))
