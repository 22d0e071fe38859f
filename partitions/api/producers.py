"""InitProducerId (key 22) for idempotent producers. Transactions are not served yet."""

from __future__ import annotations

from typing import Any

from partitions import wire
from partitions.api.context import Answer, Body, CancellablePending, RequestContext
from partitions.api.services import ProducerIdReply, Services
from partitions.errors import ErrorCode, KafkaError
from partitions.security import CLUSTER, Operation

NO_PRODUCER = -1
FIRST_EPOCH = 0
_Response = wire.messages(wire.ApiKey.INIT_PRODUCER_ID).InitProducerIdResponse


class _Allocation(CancellablePending):
    """Waits for a producer id."""

    __slots__ = ()

    def cancel(self) -> None:
        """The client has left; an id is lost, of which there are 2**63."""
        self.done = True

    def allocated(self, reply: ProducerIdReply) -> None:
        """The callback of `allocate_producer_id`."""
        if reply.error is not ErrorCode.NONE:
            self.resolve(_failed(reply.error))
            return
        self.resolve(
            _Response(error_code=0, producer_id=reply.producer_id, producer_epoch=FIRST_EPOCH)
        )


def handle(services: Services, context: RequestContext, request: Any) -> Answer:
    """A fresh id with epoch 0.

    A client that names its old id and epoch (KIP-360, version 3 on) gets a fresh id too: for a
    producer without transactions that is as safe as a higher epoch.
    """
    if request.transactional_id is not None:
        raise KafkaError(
            ErrorCode.UNSUPPORTED_VERSION,
            "this broker does not serve transactions; unset the transactional.id",
        )
    if not services.authorizer.authorize(context, Operation.IDEMPOTENT_WRITE, CLUSTER):
        raise KafkaError(
            ErrorCode.CLUSTER_AUTHORIZATION_FAILED, "idempotent writing is not allowed"
        )
    allocation = _Allocation()
    services.allocate_producer_id(allocation.allocated)
    return allocation


def _failed(code: ErrorCode) -> Body:
    return _Response(error_code=code.value, producer_id=NO_PRODUCER, producer_epoch=-1)


def refuse(context: RequestContext, request: Any, error: KafkaError) -> Body:
    """The response has no room for the text."""
    return _failed(error.code)
