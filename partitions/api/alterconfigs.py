"""IncrementalAlterConfigs (44) and AlterConfigs (33): the controller decides.

Every broker takes these for every topic and every broker, and forwards them. A resource is
changed as a whole or not at all; the resources of one request are independent of each other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from metadata.controller import ConfigOperation
from metadata.records import ResourceType
from partitions import wire
from partitions.api.context import Answer, Body, RequestContext
from partitions.api.controllercall import TIMEOUT_MS_MAX, Items, forward
from partitions.api.services import ALTER_CONFIGS, Services
from partitions.errors import ErrorCode, KafkaError
from partitions.security import CLUSTER, Operation, topic_resource

_OPERATIONS = {
    0: ConfigOperation.SET,
    1: ConfigOperation.DELETE,
    2: ConfigOperation.APPEND,
    3: ConfigOperation.SUBTRACT,
}
"""AlterConfigOp.OpType's numbers."""

_A = wire.messages(wire.ApiKey.ALTER_CONFIGS)
_I = wire.messages(wire.ApiKey.INCREMENTAL_ALTER_CONFIGS)


def incremental(services: Services, context: RequestContext, request: Any) -> Answer:
    """Change the settings that are named, and no others."""
    items = _items(services, context, request, _I, _operation, replace=False)
    body = _I.IncrementalAlterConfigsResponse(responses=items.answers)
    return _forward(services, context, request, items, body)


def replace(services: Services, context: RequestContext, request: Any) -> Answer:
    """Give a resource these settings and delete all its others: what AlterConfigs means."""
    items = _items(services, context, request, _A, lambda _: ConfigOperation.SET, replace=True)
    body = _A.AlterConfigsResponse(responses=items.answers)
    return _forward(services, context, request, items, body)


def _items(
    services: Services,
    context: RequestContext,
    request: Any,
    messages: Any,
    operation: Callable[[Any], ConfigOperation],
    *,
    replace: bool,
) -> Items:
    """One answer per resource, and what the controller is to do about those that can be right."""
    times = Counter((r.resource_type, r.resource_name) for r in request.resources)
    items = Items()
    for resource in request.resources:
        answer = _result(messages, resource, ErrorCode.NONE, None)
        kind, name = resource.resource_type, resource.resource_name
        try:
            if times[kind, name] > 1:
                raise KafkaError(
                    ErrorCode.INVALID_REQUEST,
                    f"resources: {name!r} is given {times[kind, name]} times",
                )
            _check(services, context, kind, name)
            changes = [[operation(c).value, c.name, c.value] for c in resource.configs]
            items.ask(answer, {"type": kind, "name": name, "changes": changes, "replace": replace})
        except KafkaError as error:
            items.refuse(answer, error.code, error.message)
    return items


def _check(services: Services, context: RequestContext, kind: int, name: str) -> None:
    """May the client change this resource, and is there such a thing?"""
    authorize = services.authorizer.authorize
    if kind == ResourceType.TOPIC:
        if not authorize(context, Operation.ALTER_CONFIGS, topic_resource(name)):
            raise KafkaError(
                ErrorCode.TOPIC_AUTHORIZATION_FAILED, f"altering {name} is not allowed"
            )
    elif kind == ResourceType.BROKER:
        if not authorize(context, Operation.ALTER_CONFIGS, CLUSTER):
            raise KafkaError(
                ErrorCode.CLUSTER_AUTHORIZATION_FAILED, "altering brokers is not allowed"
            )
    else:
        raise KafkaError(
            ErrorCode.INVALID_REQUEST,
            f"resource_type {kind} is neither a topic (2) nor a broker (4)",
        )


def _operation(config: Any) -> ConfigOperation:
    operation = _OPERATIONS.get(config.config_operation)
    if operation is None:
        raise KafkaError(
            ErrorCode.INVALID_REQUEST,
            f"{config.name}: config_operation {config.config_operation} is none of set (0), "
            "delete (1), append (2) and subtract (3)",
        )
    return operation


def _forward(
    services: Services, context: RequestContext, request: Any, items: Items, body: Body
) -> Answer:
    extra = {"validate_only": request.validate_only}
    return forward(services, context, ALTER_CONFIGS, extra, items, body, TIMEOUT_MS_MAX)


def _result(messages: Any, resource: Any, code: ErrorCode, message: str | None) -> Any:
    return messages.AlterConfigsResourceResponse(
        error_code=code.value,
        error_message=message,
        resource_type=resource.resource_type,
        resource_name=resource.resource_name,
    )


def refuse_incremental(context: RequestContext, request: Any, error: KafkaError) -> Body:
    """The error for every resource."""
    return _I.IncrementalAlterConfigsResponse(
        responses=[_result(_I, r, error.code, error.message) for r in request.resources]
    )


def refuse_replace(context: RequestContext, request: Any, error: KafkaError) -> Body:
    """The error for every resource."""
    return _A.AlterConfigsResponse(
        responses=[_result(_A, r, error.code, error.message) for r in request.resources]
    )
