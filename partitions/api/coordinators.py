"""FindCoordinator (key 10): which broker speaks for a consumer group.

It is the leader of the group's partition of `__consumer_offsets`. The first question makes that
topic.
"""

from __future__ import annotations

from typing import Any

from partitions import wire
from partitions.api.context import Answer, Body, CancellablePending, RequestContext
from partitions.api.leadership import current_leader, reachable
from partitions.api.services import Services
from partitions.errors import ErrorCode, KafkaError
from partitions.internal import CONSUMER_OFFSETS
from partitions.security import Operation, group_resource

GROUP, TRANSACTION = 0, 1
"""Values of key_type; 2 is a share group."""
BATCH_VERSION = 4
"""From here on several keys are asked for at once."""
_M = wire.messages(wire.ApiKey.FIND_COORDINATOR)


class _Wait(CancellablePending):
    """Waits for the topic to be made."""

    __slots__ = ()

    def cancel(self) -> None:
        """The client has left; the topic is made all the same."""
        self.done = True


def handle(services: Services, context: RequestContext, request: Any) -> Answer:
    """Answer when there is a topic to look in, or none can be made."""
    if request.key_type == TRANSACTION:
        # The one answer at which every client gives up instead of asking again and again.
        raise KafkaError(
            ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
            "this broker does not serve transactions; unset the transactional.id",
        )
    if request.key_type != GROUP:
        raise KafkaError(
            ErrorCode.INVALID_REQUEST,
            f"key_type {request.key_type}: this broker coordinates consumer groups (0) only",
        )
    wait = _Wait()

    def made() -> None:
        if not wait.done:
            wait.resolve_with(lambda: _answer(services, context, request))

    services.offsets_topic.ensure(services, made)
    return wait


def _keys(context: RequestContext, request: Any) -> list[str]:
    return list(request.coordinator_keys) if context.api_version >= BATCH_VERSION else [request.key]


def _answer(services: Services, context: RequestContext, request: Any) -> Body:
    found = []
    for key in _keys(context, request):
        try:
            found.append(_found(services, context, key))
        except KafkaError as error:
            found.append(_failed(key, error))
    return _body(context, found)


def _found(services: Services, context: RequestContext, group_id: str) -> Any:
    if not services.authorizer.authorize(context, Operation.DESCRIBE, group_resource(group_id)):
        raise KafkaError(ErrorCode.GROUP_AUTHORIZATION_FAILED, "the group may not be described")
    partition = services.groups.partition_of(group_id)
    if partition is None:
        raise KafkaError(
            ErrorCode.COORDINATOR_NOT_AVAILABLE,
            f"{CONSUMER_OFFSETS} cannot be made yet; the broker's log says why",
        )
    image = services.image()
    leader = current_leader(services, image.topic(CONSUMER_OFFSETS), partition)
    node, address = (
        (None, None) if leader is None else reachable(image, leader.node, context.listener)
    )
    if node is None or address is None:
        raise KafkaError(
            ErrorCode.COORDINATOR_NOT_AVAILABLE,
            f"{CONSUMER_OFFSETS}-{partition} has no leader that clients can reach; try again",
        )
    return _M.Coordinator(
        key=group_id,
        node_id=node.node,
        host=address.host,
        port=address.port,
        error_code=0,
        error_message=None,
    )


def _failed(key: str, error: KafkaError) -> Any:
    return _M.Coordinator(
        key=key,
        node_id=-1,
        host="",
        port=-1,
        error_code=error.code.value,
        error_message=error.message,
    )


def _body(context: RequestContext, found: list[Any]) -> Body:
    if context.api_version >= BATCH_VERSION:
        return _M.FindCoordinatorResponse(coordinators=found)
    (one,) = found
    return _M.FindCoordinatorResponse(
        error_code=one.error_code,
        error_message=one.error_message,
        node_id=one.node_id,
        host=one.host,
        port=one.port,
    )


def refuse(context: RequestContext, request: Any, error: KafkaError) -> Body:
    """The error for every key."""
    return _body(context, [_failed(key, error) for key in _keys(context, request)])
