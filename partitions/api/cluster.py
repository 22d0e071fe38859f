"""DescribeCluster (key 60): the brokers and the controller, for admin tools."""

from __future__ import annotations

from typing import Any

from partitions import wire
from partitions.api import authorized
from partitions.api.context import Answer, Body, RequestContext
from partitions.api.metadata import broker_list, controller_node, reachable_brokers
from partitions.api.services import Services
from partitions.errors import ErrorCode, KafkaError

BROKERS = 1
"""endpoint_type of a question to brokers (KIP-919); 2 would be the controllers' own port."""
_M = wire.messages(wire.ApiKey.DESCRIBE_CLUSTER)


def handle(services: Services, context: RequestContext, request: Any) -> Answer:
    """The same brokers and controller that Metadata names."""
    if request.endpoint_type != BROKERS:
        raise KafkaError(
            ErrorCode.MISMATCHED_ENDPOINT_TYPE,
            f"endpoint_type is {request.endpoint_type}; this is a broker's listener (1)",
        )
    image = services.image()
    live = broker_list(image, context.listener)
    shown = live
    if request.include_fenced_brokers:
        everyone = [broker for _, broker in sorted(image.brokers.items())]
        shown = reachable_brokers(everyone, context.listener)
    operations = authorized.NOT_ASKED
    if request.include_cluster_authorized_operations:
        operations = authorized.on_cluster(services, context)
    return _M.DescribeClusterResponse(
        error_code=0,
        error_message=None,
        endpoint_type=BROKERS,
        cluster_id=services.cluster_id,
        controller_id=controller_node(services, live),
        brokers=[
            _M.DescribeClusterBroker(
                broker_id=node,
                host=entry.host,
                port=entry.port,
                rack=entry.rack,
                is_fenced=image.brokers[node].fenced,
            )
            for node, entry in shown.items()
        ],
        cluster_authorized_operations=operations,
    )


def refuse(context: RequestContext, request: Any, error: KafkaError) -> Body:
    """No brokers, and why."""
    return _M.DescribeClusterResponse(
        error_code=error.code.value,
        error_message=error.message,
        cluster_id="",
        brokers=[],
    )
