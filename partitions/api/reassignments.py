"""ListPartitionReassignments (key 46): none is ever under way, because nothing here moves replicas.

The answer lists what is under way only, so partitions that were named without being moved, or
without existing, are not in it.
"""

from __future__ import annotations

from typing import Any

from partitions import wire
from partitions.api.context import Answer, Body, RequestContext
from partitions.api.services import Services
from partitions.errors import ErrorCode, KafkaError
from partitions.security import CLUSTER, Operation

_Response = wire.messages(
    wire.ApiKey.LIST_PARTITION_REASSIGNMENTS
).ListPartitionReassignmentsResponse


def handle(services: Services, context: RequestContext, request: Any) -> Answer:
    """Nothing is moving."""
    if not services.authorizer.authorize(context, Operation.DESCRIBE, CLUSTER):
        raise KafkaError(
            ErrorCode.CLUSTER_AUTHORIZATION_FAILED, "listing reassignments is not allowed"
        )
    return _Response(error_code=0, error_message=None, topics=[])


def refuse(context: RequestContext, request: Any, error: KafkaError) -> Body:
    """The error as a whole."""
    return _Response(error_code=error.code.value, error_message=error.message, topics=[])
