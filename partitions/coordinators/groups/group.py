"""A classic consumer group: what its members may ask for, and when."""

from __future__ import annotations

from collections.abc import Sequence

from partitions.coordinators.groups.answers import (
    Effect,
    GroupDescription,
    GroupSnapshot,
    GroupState,
    JoinAnswer,
    SyncAnswer,
    Ticket,
)
from partitions.coordinators.groups.asks import (
    UNKNOWN_MEMBER,
    HeartbeatAsk,
    JoinAsk,
    LeaveAsk,
    SyncAsk,
)
from partitions.coordinators.groups.members import Member
from partitions.coordinators.groups.phases import Phases
from partitions.coordinators.groups.replacing import join_replacing
from partitions.coordinators.groups.settings import GroupSettings
from partitions.errors import ErrorCode

_IN_GENERATION = (GroupState.COMPLETING_REBALANCE, GroupState.STABLE)


MEMBER_BYTES = 1024
"""What a member takes besides what it says of itself, about."""


class ClassicGroup:
    """One group. All times are monotonic microseconds that never go back.

    After every call that takes a time, and after `drop` and `delete`, take `effects` and look at
    `deadline`. After a stall, hand over the requests that came meanwhile before `tick`: they are
    signs of life of members whose sessions have ended otherwise.
    """

    def __init__(self, group_id: str, settings: GroupSettings) -> None:
        """An empty group that the log says nothing of."""
        self.group_id = group_id
        self.settings = settings
        self._phases = Phases(settings)

    @classmethod
    def restored(
        cls, group_id: str, settings: GroupSettings, snapshot: GroupSnapshot, now_us: int
    ) -> ClassicGroup:
        """The group as its last record in the log says: Empty without members, else Stable.
        Every member gets a full session from now."""
        group = cls(group_id, settings)
        group._phases = Phases(settings, snapshot)
        group._phases.load(snapshot, now_us)
        return group

    @property
    def state(self) -> GroupState:
        """Where the group is."""
        return self._phases.state

    @property
    def generation(self) -> int:
        """The last generation that began; it only rises."""
        return self._phases.generation

    @property
    def size(self) -> int:
        """Its members."""
        return len(self._phases.members)

    @property
    def protocol_type(self) -> str | None:
        """What the members are ('consumer', 'connect'); None for a group that never had one."""
        return self._phases.protocol_type

    @property
    def idle(self) -> bool:
        """Empty, with no member id handed out and no record under way: if it has no committed
        offsets either, it may be forgotten (after `delete`, when `snapshot` is not None)."""
        phases = self._phases
        return phases.state is GroupState.EMPTY and not (phases.pending or phases.writing.busy)

    @property
    def gone(self) -> bool:
        """Deleted, its tombstone committed, or dropped: it may be forgotten. Before that a group
        that is being deleted answers COORDINATOR_NOT_AVAILABLE, so that clients come again."""
        return self.state is GroupState.DEAD and not self._phases.writing.busy

    @property
    def held_bytes(self) -> int:
        """What its members, and the ids handed out, take of memory, about."""
        members, pending = self._phases.members, self._phases.pending
        return members.held_bytes + MEMBER_BYTES * (len(members) + len(pending))

    @property
    def deadline(self) -> int | None:
        """When `tick` is wanted; None: not at all. It may be earlier than needed."""
        return self._phases.due_us

    # Joining

    def join(self, now_us: int, ticket: Ticket, ask: JoinAsk) -> None:
        """A JoinGroup: one JoinAnswer for `ticket`, now or later."""
        refusal = self._join_refusal(ask)
        if refusal is not ErrorCode.NONE:
            self._answer_join(ticket, refusal, ask.member_id)
        elif not self._has_room(ask):
            self._turn_away(now_us, ticket, ask)
        elif self._phases.members and not self._compatible(ask):
            self._answer_join(ticket, ErrorCode.INCONSISTENT_GROUP_PROTOCOL, ask.member_id)
        elif ask.member_id == UNKNOWN_MEMBER:
            self._join_unknown(now_us, ticket, ask)
        elif ask.member_id in self._phases.pending and ask.group_instance_id is None:
            self._add_member(now_us, ticket, ask.member_id, ask)
        else:
            self._join_again(now_us, ticket, ask)

    def _join_refusal(self, ask: JoinAsk) -> ErrorCode:
        settings = self.settings
        if not self.group_id:
            return ErrorCode.INVALID_GROUP_ID
        session_ms = ask.session_timeout_ms
        if not settings.min_session_timeout_ms <= session_ms <= settings.max_session_timeout_ms:
            return ErrorCode.INVALID_SESSION_TIMEOUT
        if self.state is GroupState.DEAD:
            return ErrorCode.COORDINATOR_NOT_AVAILABLE
        if not ask.protocol_type or not ask.protocols:
            return ErrorCode.INCONSISTENT_GROUP_PROTOCOL
        return ErrorCode.NONE

    def _has_room(self, ask: JoinAsk) -> bool:
        """While members join again, those who did are counted: so a group that is too large
        sheds its slowest members. A static member that comes back takes no new place."""
        if self.state is GroupState.EMPTY:
            return True
        members = self._phases.members
        member = members.get(ask.member_id)
        if ask.member_id == UNKNOWN_MEMBER:
            member = members.static(ask.group_instance_id)
        if self.state is GroupState.PREPARING_REBALANCE:
            counted = member is not None and member.join_ticket is not None
            return counted or members.joined < self.settings.max_size
        return member is not None or len(members) < self.settings.max_size

    def _turn_away(self, now_us: int, ticket: Ticket, ask: JoinAsk) -> None:
        phases = self._phases
        self._answer_join(ticket, ErrorCode.GROUP_MAX_SIZE_REACHED, UNKNOWN_MEMBER)
        member = phases.members.get(ask.member_id)
        if member is not None:
            phases.remove(member)
        if phases.pending.pop(ask.member_id, None) is not None or member is not None:
            phases.complete_if_joined(now_us)

    def _compatible(self, ask: JoinAsk) -> bool:
        phases = self._phases
        return ask.protocol_type == phases.protocol_type and phases.members.supports(ask.protocols)

    def _join_unknown(self, now_us: int, ticket: Ticket, ask: JoinAsk) -> None:
        phases = self._phases
        if ask.new_member_id in phases.members or ask.new_member_id in phases.pending:
            raise ValueError(f"member id {ask.new_member_id!r} is taken: draw another one")
        replaced = phases.members.static(ask.group_instance_id)
        if replaced is not None:
            join_replacing(phases, now_us, ticket, ask, replaced)
        elif ask.group_instance_id is None and ask.requires_known_member_id:
            self._hand_out_id(now_us, ask)
            self._answer_join(ticket, ErrorCode.MEMBER_ID_REQUIRED, ask.new_member_id)
        else:
            self._add_member(now_us, ticket, ask.new_member_id, ask)

    def _hand_out_id(self, now_us: int, ask: JoinAsk) -> None:
        """A client that never hears its answer leaves an id behind, not a member (KIP-394)."""
        pending = self._phases.pending
        if len(pending) >= self.settings.pending_members_max:
            del pending[min(pending, key=pending.__getitem__)]
        pending[ask.new_member_id] = now_us + 1000 * ask.session_timeout_ms
        self._phases.wake(pending[ask.new_member_id])

    def _add_member(self, now_us: int, ticket: Ticket, member_id: str, ask: JoinAsk) -> None:
        phases = self._phases
        phases.pending.pop(member_id, None)
        member = Member.asking(member_id, ask)
        member.is_new = True
        if not phases.members:
            phases.protocol_type = ask.protocol_type
        phases.members.add(member)
        phases.wait_join(now_us, member, ticket)
        if self.state is GroupState.PREPARING_REBALANCE:
            phases.member_came()
        phases.changed(now_us)

    def _join_again(self, now_us: int, ticket: Ticket, ask: JoinAsk) -> None:
        """A member that has what is asked for is given it again: its answer may have been lost.
        In a stable group its leader asks in order to have everything assigned anew."""
        phases = self._phases
        member = phases.members.require(ask.member_id, ask.group_instance_id)
        if isinstance(member, ErrorCode):
            self._answer_join(ticket, member, ask.member_id)
            return
        leads = self.state is GroupState.STABLE and phases.members.leader == member.member_id
        if self.state in _IN_GENERATION and ask.protocols == member.protocols and not leads:
            phases.alive(now_us, member)
            phases.waiting.effects.append(phases.generation_for(member, ticket))
            return
        phases.members.update(member, ask)
        phases.wait_join(now_us, member, ticket)
        phases.changed(now_us)

    def _answer_join(self, ticket: Ticket, error: ErrorCode, member_id: str) -> None:
        self._phases.waiting.effects.append(JoinAnswer(ticket, error, member_id))

    # Syncing

    def sync(self, now_us: int, ticket: Ticket, ask: SyncAsk) -> None:
        """A SyncGroup: one SyncAnswer for `ticket`, now or later."""
        phases = self._phases
        member = self._sync_member(ask)
        if isinstance(member, ErrorCode):
            phases.waiting.effects.append(SyncAnswer(ticket, member))
        elif self.state is GroupState.STABLE:
            phases.synced(member)
            phases.alive(now_us, member)
            phases.waiting.effects.append(phases.assignment_for(member, ticket))
        else:
            phases.wait_sync(member, ticket)
            if member.member_id == phases.members.leader:
                phases.assign(ask.assignments or {})

    def _sync_member(self, ask: SyncAsk) -> Member | ErrorCode:
        """The member that may sync now, or why not."""
        phases = self._phases
        member = self._require(ask.member_id, ask.group_instance_id)
        if isinstance(member, ErrorCode):
            return member
        if ask.generation_id != phases.generation:
            return ErrorCode.ILLEGAL_GENERATION
        if ask.protocol_type not in (None, phases.protocol_type) or ask.protocol_name not in (
            None,
            phases.protocol,
        ):
            return ErrorCode.INCONSISTENT_GROUP_PROTOCOL
        if self.state is GroupState.PREPARING_REBALANCE:
            return ErrorCode.REBALANCE_IN_PROGRESS
        return member

    # Living and leaving

    def heartbeat(self, now_us: int, ask: HeartbeatAsk) -> ErrorCode:
        """A Heartbeat's answer."""
        member = self._require(ask.member_id, ask.group_instance_id)
        if isinstance(member, ErrorCode):
            return member
        if ask.generation_id != self._phases.generation:
            return ErrorCode.ILLEGAL_GENERATION
        self._phases.alive(now_us, member)
        if self.state is GroupState.PREPARING_REBALANCE:
            return ErrorCode.REBALANCE_IN_PROGRESS
        return ErrorCode.NONE

    def leave(self, now_us: int, asks: Sequence[LeaveAsk]) -> list[ErrorCode]:
        """Members leave, one error code each in the order of `asks`; at most one rebalance."""
        phases = self._phases
        members, pending = len(phases.members), len(phases.pending)
        errors = [self._leave_one(ask) for ask in asks]
        if len(phases.members) < members:
            phases.changed(now_us)
        elif len(phases.pending) < pending:
            phases.complete_if_joined(now_us)
        return errors

    def _leave_one(self, ask: LeaveAsk) -> ErrorCode:
        phases = self._phases
        if phases.pending.pop(ask.member_id, None) is not None:
            return ErrorCode.NONE
        member_id = ask.member_id
        if member_id == UNKNOWN_MEMBER:  # an operator names the instance id only
            holder = phases.members.static(ask.group_instance_id)
            member_id = holder.member_id if holder is not None else UNKNOWN_MEMBER
        member = self._require(member_id, ask.group_instance_id)
        if isinstance(member, ErrorCode):
            return member
        phases.remove(member)
        return ErrorCode.NONE

    def check_commit(
        self,
        now_us: int,
        member_id: str,
        group_instance_id: str | None,
        generation_id: int,
        *,
        transactional: bool = False,
    ) -> ErrorCode:
        """May this member commit offsets? A sign of life when it may."""
        if self.state is GroupState.DEAD:
            return ErrorCode.COORDINATOR_NOT_AVAILABLE
        if generation_id < 0 and self.state is GroupState.EMPTY:
            return ErrorCode.NONE  # a client that assigns partitions by itself, or an operator
        if generation_id < 0 and not member_id and group_instance_id is None:
            return ErrorCode.NONE if transactional else ErrorCode.UNKNOWN_MEMBER_ID
        member = self._phases.members.require(member_id, group_instance_id)
        if isinstance(member, ErrorCode):
            return member
        if generation_id != self._phases.generation:
            return ErrorCode.ILLEGAL_GENERATION
        if not transactional and self.state is GroupState.COMPLETING_REBALANCE:
            return ErrorCode.REBALANCE_IN_PROGRESS
        self._phases.alive(now_us, member)
        return ErrorCode.NONE

    def _require(self, member_id: str, group_instance_id: str | None) -> Member | ErrorCode:
        if not self.group_id:
            return ErrorCode.INVALID_GROUP_ID
        if self.state is GroupState.DEAD:
            return ErrorCode.COORDINATOR_NOT_AVAILABLE
        return self._phases.members.require(member_id, group_instance_id)

    # The shell's calls

    def tick(self, now_us: int) -> None:
        """Do what has come due."""
        self._phases.tick(now_us)

    def forget(self, now_us: int, ticket: Ticket) -> None:
        """The connection behind `ticket` is gone: it gets no answer. Its member stays for one
        session from now, and no longer counts as one that has joined. Unknown tickets are
        ignored."""
        self._phases.forget(now_us, ticket)

    def persisted(self, now_us: int, token: int, error: ErrorCode) -> None:
        """The record of Persist `token` is committed (NONE), or was refused with `error`."""
        self._phases.writing.done(now_us, token, error)

    def drop(self, error: ErrorCode) -> None:
        """Leadership is lost: everyone who waits is answered with `error`; the group is Dead."""
        self._phases.writing.give_up()
        self._phases.end(error)

    def delete(self) -> ErrorCode:
        """NON_EMPTY_GROUP, GROUP_ID_NOT_FOUND, or NONE: then a Persist of a tombstone comes out
        and the group is Dead; it is deleted when that is persisted (and Empty again if not)."""
        if self.state is GroupState.DEAD:
            return ErrorCode.GROUP_ID_NOT_FOUND
        if self.state is not GroupState.EMPTY:
            return ErrorCode.NON_EMPTY_GROUP
        phases = self._phases
        phases.end(ErrorCode.COORDINATOR_NOT_AVAILABLE)
        phases.write_tombstone(self._on_deleted)
        return ErrorCode.NONE

    def _on_deleted(self, _now_us: int, error: ErrorCode) -> None:
        if error is not ErrorCode.NONE:
            self._phases.state = GroupState.EMPTY

    def describe(self) -> GroupDescription:
        """For DescribeGroups."""
        phases = self._phases
        protocol = phases.protocol if self.state is GroupState.STABLE else None
        return GroupDescription(
            self.group_id,
            self.state,
            phases.protocol_type or "",
            protocol or "",
            tuple(member.describe(protocol) for member in phases.members),
        )

    def snapshot(self) -> GroupSnapshot | None:
        """What the group's last record says, or will say when the last Persist is committed:
        what a rewrite of the log has to write again. None: no record, or a tombstone. It is not
        the state in memory: members of a generation without assignments are never written."""
        return self._phases.writing.last

    def effects(self) -> list[Effect]:
        """What is to be done, in order; each effect is handed out once."""
        waiting = self._phases.waiting
        taken, waiting.effects = waiting.effects, []
        return taken
