"""Which operations a caller may do to a resource, as the bit field of Kafka's answers (KIP-430)."""

from __future__ import annotations

from collections.abc import Iterable

from partitions.api.context import RequestContext
from partitions.api.services import Services
from partitions.security import CLUSTER, Operation, Resource, topic_resource

NOT_ASKED = -(2**31)

_CLUSTER_OPERATIONS = (
    Operation.CREATE,
    Operation.ALTER,
    Operation.DESCRIBE,
    Operation.CLUSTER_ACTION,
    Operation.DESCRIBE_CONFIGS,
    Operation.ALTER_CONFIGS,
    Operation.IDEMPOTENT_WRITE,
)
_TOPIC_OPERATIONS = (
    Operation.READ,
    Operation.WRITE,
    Operation.CREATE,
    Operation.DELETE,
    Operation.ALTER,
    Operation.DESCRIBE,
    Operation.DESCRIBE_CONFIGS,
    Operation.ALTER_CONFIGS,
)


def on_cluster(services: Services, context: RequestContext) -> int:
    """Bits of the operations allowed on the cluster; 0 for who may not describe it."""
    if not services.authorizer.authorize(context, Operation.DESCRIBE, CLUSTER):
        return 0
    return _bits(services, context, CLUSTER, _CLUSTER_OPERATIONS)


def on_topic(services: Services, context: RequestContext, name: str) -> int:
    """Bits of the operations allowed on a topic."""
    return _bits(services, context, topic_resource(name), _TOPIC_OPERATIONS)


def _bits(
    services: Services, context: RequestContext, resource: Resource, operations: Iterable[Operation]
) -> int:
    authorize = services.authorizer.authorize
    return sum(1 << each for each in operations if authorize(context, each, resource))
