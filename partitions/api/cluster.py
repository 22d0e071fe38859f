"""DescribeCluster (key 60): the brokers and the controller, for admin tools."""

from __future__ import annotations

from typing import Any

from partitions import wire
from partitions.api.context import Answer, Body, RequestContext
from partitions.api.metadata import broker_list, controller_node
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
    brokers = broker_list(services.image(), context.listener)
    return _M.DescribeClusterResponse(
        error_code=0,
        error_message=None,
        endpoint_type=BROKERS,
        cluster_id=services.cluster_id,
        controller_id=controller_node(services, brokers),
        brokers=[
            _M.DescribeClusterBroker(
                broker_id=node, host=entry.host, port=entry.port, rack=entry.rack
            )
            for node, entry in brokers.items()
        ],
    )


def refuse(context: RequestContext, request: Any, error: KafkaError) -> Body:
    """No brokers, and why."""
    return _M.DescribeClusterResponse(
        error_code=error.code.value,
        error_message=error.message,
        cluster_id="",
        brokers=[],
    )
