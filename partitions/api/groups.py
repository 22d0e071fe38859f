"""JoinGroup (11), Heartbeat (12), LeaveGroup (13) and SyncGroup (14): members of consumer groups.

Translations: what these mean is decided in `partitions.coordinators.groups`.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from partitions import wire
from partitions.api.context import Answer, Body, CancellablePending, RequestContext
from partitions.api.groupoffsets import check_group
from partitions.api.services import Services
from partitions.coordinators.groups import (
    HeartbeatAsk,
    JoinAnswer,
    JoinAsk,
    LeaveAsk,
    SyncAnswer,
    SyncAsk,
)
from partitions.coordinators.groups.clients import GroupAnswer
from partitions.coordinators.groups.coordinator import Coordinator
from partitions.errors import ErrorCode, KafkaError
from partitions.security import Operation

NAME_BYTES_MAX = 4096
"""Of instance ids, protocol types and protocol names."""
CLIENT_ID_CHARACTERS_MAX = 255
"""What is kept of a client id."""
MEMBER_ID_REQUIRED_VERSION = 4
SKIP_ASSIGNMENT_VERSION = 9
NULL_PROTOCOL_VERSION = 7
"""From here on a JoinGroup response may lack the protocol's name."""
MEMBERS_VERSION = 3
"""From here on LeaveGroup names several members."""

_J = wire.messages(wire.ApiKey.JOIN_GROUP)
_S = wire.messages(wire.ApiKey.SYNC_GROUP)
_H = wire.messages(wire.ApiKey.HEARTBEAT)
_L = wire.messages(wire.ApiKey.LEAVE_GROUP)


class _Waiting(CancellablePending):
    """A join or a sync that the group answers later; it is its own ticket."""

    __slots__ = ("_context", "_coordinator", "_group_id")

    def __init__(self, context: RequestContext, coordinator: Coordinator, group_id: str) -> None:
        super().__init__()
        self._context = context
        self._coordinator = coordinator
        self._group_id = group_id

    def answered(self, answer: GroupAnswer) -> None:
        """The group's word."""
        if self.done:
            return
        if isinstance(answer, JoinAnswer):
            self.resolve_with(lambda: _joined(self._context, answer))
        else:
            self.resolve_with(lambda: _synced(answer))

    def cancel(self) -> None:
        """The client has left: its member stays until its session ends."""
        if not self.done:
            self.done = True
            self._coordinator.forget(self._group_id, self)


def _coordinator(services: Services, context: RequestContext, group_id: str) -> Coordinator:
    check_group(services, context, Operation.READ, group_id)
    if not group_id:
        raise KafkaError(ErrorCode.INVALID_GROUP_ID, "group_id: empty")
    return services.groups.find(group_id)


def _check_names(*names: str | None) -> None:
    for name in names:
        if name is not None and len(name.encode()) > NAME_BYTES_MAX:
            raise KafkaError(
                ErrorCode.INVALID_REQUEST, f"a name has more than {NAME_BYTES_MAX} bytes"
            )


# --- join


def join(services: Services, context: RequestContext, request: Any) -> Answer:
    """Answered when the group has gathered."""
    coordinator = _coordinator(services, context, request.group_id)
    instance = request.group_instance_id
    _check_names(instance, request.protocol_type, *[p.name for p in request.protocols])
    rebalance_ms = request.rebalance_timeout
    client_id = (context.client_id or "")[:CLIENT_ID_CHARACTERS_MAX]
    unique = UUID(int=services.reactor.random.getrandbits(128), version=4)
    ask = JoinAsk(
        member_id=request.member_id,
        new_member_id=f"{instance or client_id}-{unique}",
        group_instance_id=instance,
        client_id=client_id,
        client_host="/" + context.peer.rpartition(":")[0],
        session_timeout_ms=request.session_timeout,
        rebalance_timeout_ms=request.session_timeout if rebalance_ms < 0 else rebalance_ms,
        protocol_type=request.protocol_type,
        protocols=tuple([(p.name, bytes(p.metadata)) for p in request.protocols]),
        reason=request.reason,
        requires_known_member_id=context.api_version >= MEMBER_ID_REQUIRED_VERSION,
        can_skip_assignment=context.api_version >= SKIP_ASSIGNMENT_VERSION,
    )
    waiting = _Waiting(context, coordinator, request.group_id)
    error = coordinator.join(request.group_id, waiting, ask)
    if error is not ErrorCode.NONE:
        return _not_joined(context, error, request.member_id)
    return waiting


def _joined(context: RequestContext, answer: JoinAnswer) -> Body:
    if answer.error is not ErrorCode.NONE:
        return _not_joined(context, answer.error, answer.member_id)
    return _J.JoinGroupResponse(
        error_code=0,
        generation_id=answer.generation_id,
        protocol_type=answer.protocol_type,
        protocol_name=answer.protocol_name or _no_protocol(context),
        leader=answer.leader,
        skip_assignment=answer.skip_assignment,
        member_id=answer.member_id,
        members=[
            _J.JoinGroupResponseMember(
                member_id=member.member_id,
                group_instance_id=member.group_instance_id,
                metadata=member.metadata,
            )
            for member in answer.members
        ],
    )


def _no_protocol(context: RequestContext) -> str | None:
    return None if context.api_version >= NULL_PROTOCOL_VERSION else ""


def _not_joined(context: RequestContext, error: ErrorCode, member_id: str) -> Body:
    return _J.JoinGroupResponse(
        error_code=error.value, protocol_name=_no_protocol(context), member_id=member_id
    )


def refuse_join(context: RequestContext, request: Any, error: KafkaError) -> Body:
    """The response has no room for the text."""
    return _not_joined(context, error.code, request.member_id)


# --- sync


def sync(services: Services, context: RequestContext, request: Any) -> Answer:
    """Answered when the leader's assignments are committed."""
    coordinator = _coordinator(services, context, request.group_id)
    ask = SyncAsk(
        generation_id=request.generation_id,
        member_id=request.member_id,
        group_instance_id=request.group_instance_id,
        protocol_type=request.protocol_type,
        protocol_name=request.protocol_name,
        assignments={a.member_id: bytes(a.assignment) for a in request.assignments},
    )
    waiting = _Waiting(context, coordinator, request.group_id)
    error = coordinator.sync(request.group_id, waiting, ask)
    if error is not ErrorCode.NONE:
        return _S.SyncGroupResponse(error_code=error.value)
    return waiting


def _synced(answer: SyncAnswer) -> Body:
    return _S.SyncGroupResponse(
        error_code=answer.error.value,
        protocol_type=answer.protocol_type,
        protocol_name=answer.protocol_name,
        assignment=answer.assignment,
    )


def refuse_sync(context: RequestContext, request: Any, error: KafkaError) -> Body:
    """The response has no room for the text."""
    return _S.SyncGroupResponse(error_code=error.code.value)


# --- heartbeat


def heartbeat(services: Services, context: RequestContext, request: Any) -> Answer:
    """A sign of life, and what the member is to do."""
    coordinator = _coordinator(services, context, request.group_id)
    ask = HeartbeatAsk(request.member_id, request.generation_id, request.group_instance_id)
    error = coordinator.heartbeat(request.group_id, ask)
    return _H.HeartbeatResponse(error_code=error.value)


def refuse_heartbeat(context: RequestContext, request: Any, error: KafkaError) -> Body:
    """The response has no room for the text."""
    return _H.HeartbeatResponse(error_code=error.code.value)


# --- leave


def leave(services: Services, context: RequestContext, request: Any) -> Answer:
    """One result per member; before version 3 there is one member and its error is the answer's."""
    coordinator = _coordinator(services, context, request.group_id)
    if context.api_version < MEMBERS_VERSION:
        (error,) = coordinator.leave(request.group_id, [LeaveAsk(request.member_id)])
        return _L.LeaveGroupResponse(error_code=error.value)
    asks = [LeaveAsk(m.member_id, m.group_instance_id, m.reason) for m in request.members]
    errors = coordinator.leave(request.group_id, asks)
    return _L.LeaveGroupResponse(
        error_code=0,
        members=[
            _L.MemberResponse(
                member_id=ask.member_id,
                group_instance_id=ask.group_instance_id,
                error_code=error.value,
            )
            for ask, error in zip(asks, errors, strict=True)
        ],
    )


def refuse_leave(context: RequestContext, request: Any, error: KafkaError) -> Body:
    """The whole request's error."""
    return _L.LeaveGroupResponse(error_code=error.code.value, members=[])
