"""ListGroups (16), DescribeGroups (15) and DeleteGroups (42): groups as operators see them.

Each broker answers for the groups it coordinates: a client that wants all of them asks everybody.
"""

from __future__ import annotations

from typing import Any

from partitions import wire
from partitions.api.context import Answer, Body, RequestContext
from partitions.api.gather import Gather
from partitions.api.groupoffsets import TIMEOUT_US, check_group
from partitions.api.services import Services
from partitions.coordinators.groups import GroupDescription, GroupState
from partitions.errors import ErrorCode, KafkaError
from partitions.security import CLUSTER, Operation, group_resource

CLASSIC = "classic"
"""The type of all groups there are."""
UNKNOWN_GROUP_VERSION = 6
"""From here on DescribeGroups says GROUP_ID_NOT_FOUND; before, an unknown group is a dead one."""
NOT_ASKED = -(2**31)
"""authorized_operations that were not asked for."""
_OPERATIONS = (Operation.READ, Operation.DELETE, Operation.DESCRIBE)

_L = wire.messages(wire.ApiKey.LIST_GROUPS)
_D = wire.messages(wire.ApiKey.DESCRIBE_GROUPS)
_X = wire.messages(wire.ApiKey.DELETE_GROUPS)


def list_groups(services: Services, context: RequestContext, request: Any) -> Answer:
    """Every group here that passes the filters and that the client may know of."""
    states = {state.lower() for state in request.states_filter}
    types = {kind.lower() for kind in request.types_filter}
    authorize = services.authorizer.authorize
    everything = authorize(context, Operation.DESCRIBE, CLUSTER)
    groups = []
    for coordinator in services.groups.all():
        for group_id in sorted(coordinator.ids()):
            group = coordinator.describe(group_id)
            if group is None or (types and CLASSIC not in types):
                continue
            if states and group.state.value.lower() not in states:
                continue
            if everything or authorize(context, Operation.DESCRIBE, group_resource(group_id)):
                groups.append(_listed(group))
    return _L.ListGroupsResponse(error_code=0, groups=groups)


def _listed(group: GroupDescription) -> Any:
    return _L.ListedGroup(
        group_id=group.group_id,
        protocol_type=group.protocol_type,
        group_state=group.state.value,
        group_type=CLASSIC,
    )


def refuse_list(context: RequestContext, request: Any, error: KafkaError) -> Body:
    """The whole request's error."""
    return _L.ListGroupsResponse(error_code=error.code.value, groups=[])


def describe(services: Services, context: RequestContext, request: Any) -> Answer:
    """Members, what they prefer and what they were assigned; each group once."""
    groups = []
    for group_id in dict.fromkeys(request.groups):
        try:
            check_group(services, context, Operation.DESCRIBE, group_id)
            groups.append(_described(services, context, group_id))
        except KafkaError as error:
            groups.append(_not_described(group_id, error))
            continue
        if request.include_authorized_operations:
            groups[-1].authorized_operations = _allowed(services, context, group_id)
    return _D.DescribeGroupsResponse(groups=groups)


def _described(services: Services, context: RequestContext, group_id: str) -> Any:
    group = services.groups.find(group_id).describe(group_id)
    if group is None and context.api_version >= UNKNOWN_GROUP_VERSION:
        raise KafkaError(ErrorCode.GROUP_ID_NOT_FOUND, f"there is no group {group_id}")
    if group is None:
        group = GroupDescription(group_id, GroupState.DEAD, "", "", ())
    return _D.DescribedGroup(
        error_code=0,
        group_id=group_id,
        group_state=group.state.value,
        protocol_type=group.protocol_type,
        protocol_data=group.protocol,
        members=[
            _D.DescribedGroupMember(
                member_id=member.member_id,
                group_instance_id=member.group_instance_id,
                client_id=member.client_id,
                client_host=member.client_host,
                member_metadata=member.metadata,
                member_assignment=member.assignment,
            )
            for member in group.members
        ],
        authorized_operations=NOT_ASKED,
    )


def _allowed(services: Services, context: RequestContext, group_id: str) -> int:
    """One bit per operation, by its number."""
    authorize, resource = services.authorizer.authorize, group_resource(group_id)
    return sum(1 << op for op in _OPERATIONS if authorize(context, op, resource))


def _not_described(group_id: str, error: KafkaError) -> Any:
    dead = error.code is ErrorCode.GROUP_ID_NOT_FOUND
    return _D.DescribedGroup(
        error_code=error.code.value,
        error_message=error.message,
        group_id=group_id,
        group_state=GroupState.DEAD.value if dead else "",
        members=[],
    )


def refuse_describe(context: RequestContext, request: Any, error: KafkaError) -> Body:
    """The error for every group."""
    return _D.DescribeGroupsResponse(
        groups=[_not_described(group_id, error) for group_id in request.groups]
    )


def delete(services: Services, context: RequestContext, request: Any) -> Answer:
    """Delete groups without members, with their offsets; answered when that is committed."""
    gather, results = Gather(), []
    for group_id in dict.fromkeys(request.groups_names):
        result = _X.DeletableGroupResult(
            group_id=group_id, error_code=ErrorCode.COORDINATOR_NOT_AVAILABLE.value
        )
        results.append(result)
        try:
            check_group(services, context, Operation.DELETE, group_id)
            _Deletion(gather, result).start(services, group_id)
        except KafkaError as error:
            result.error_code = error.code.value
    body = _X.DeleteGroupsResponse(results=results)
    return gather.start(body, services.deadlines, context.received_us + TIMEOUT_US)


class _Deletion:
    """One group's."""

    __slots__ = ("_gather", "_result")

    def __init__(self, gather: Gather, result: Any) -> None:
        self._gather = gather
        self._result = result

    def start(self, services: Services, group_id: str) -> None:
        """Raises KafkaError."""
        coordinator = services.groups.find(group_id)
        self._gather.expect()
        error = coordinator.delete(group_id, self._done)
        if error is not ErrorCode.NONE:
            self._done(error)

    def _done(self, error: ErrorCode) -> None:
        self._result.error_code = error.value
        self._gather.arrived()


def refuse_delete(context: RequestContext, request: Any, error: KafkaError) -> Body:
    """The error for every group."""
    return _X.DeleteGroupsResponse(
        results=[
            _X.DeletableGroupResult(group_id=group_id, error_code=error.code.value)
            for group_id in dict.fromkeys(request.groups_names)
        ]
    )
