"""The states of a group and what moves it from one to the next.

`Phases` knows members, generations, deadlines and who waits; what a request may do is the business
of `group`. States change here and nowhere else. Whoever is answered here is answered once: a
ticket is taken from its member together with the answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

from partitions.coordinators.groups.answers import (
    GroupSnapshot,
    GroupState,
    JoinAnswer,
    SyncAnswer,
    Ticket,
    to_client,
)
from partitions.coordinators.groups.members import Member, Members
from partitions.coordinators.groups.settings import GroupSettings
from partitions.coordinators.groups.waiting import Waiting
from partitions.coordinators.groups.writing import Then, Writing
from partitions.errors import ErrorCode

POSTPONE_US_MIN = 1_000_000
"""A rebalance to which nobody came is tried again no sooner than this."""
_REBALANCING = ErrorCode.REBALANCE_IN_PROGRESS


class Phases:
    """The state of one group."""

    def __init__(self, settings: GroupSettings, loaded: GroupSnapshot | None = None) -> None:
        self.settings = settings
        self.state = GroupState.EMPTY
        self.generation = 0
        self.protocol_type: str | None = None
        self.protocol: str | None = None
        self.members = Members()
        self.pending: dict[str, int] = {}
        """Member ids given with MEMBER_ID_REQUIRED -> when they lapse."""
        self.waiting = Waiting()
        self.writing = Writing(loaded)
        self.due_us: int | None = None
        """Nothing comes due before this. It is set back where a deadline is set, and made exact
        by a tick: so a heartbeat does not look at the other members."""
        self._unsynced: set[str] = set()  # members of this generation that have not synced
        self._assigned = False  # this generation's assignments are being written
        self._join_deadline_us: int | None = None
        self._sync_deadline_us: int | None = None
        self._initial_end_us: int | None = None  # of an empty group's first rebalance
        self._member_came = False  # since the initial delay began (again)

    # Members

    def load(self, snapshot: GroupSnapshot, now_us: int) -> None:
        """What a record says; every member gets a full session."""
        self.generation = snapshot.generation
        self.protocol_type = snapshot.protocol_type or None
        self.protocol = snapshot.protocol
        for recorded in snapshot.members:
            member = Member.restored(recorded, snapshot.protocol)
            self.members.add(member)
            self.alive(now_us, member)
        if snapshot.leader is not None and snapshot.leader in self.members:
            self.members.leader = snapshot.leader
        if self.members:
            self.state = GroupState.STABLE
        if len(self.members) > self.settings.max_size:  # group.max.size was lowered
            self.rebalance(now_us)

    def alive(self, now_us: int, member: Member) -> None:
        """A sign of life: the member's session begins anew, unless it waits for us."""
        if member.waiting:
            return
        member.deadline_us = now_us + 1000 * member.session_timeout_ms
        self.wake(member.deadline_us)

    def wake(self, at_us: int) -> None:
        """Something comes due then."""
        if self.due_us is None or at_us < self.due_us:
            self.due_us = at_us

    def remove(self, member: Member) -> None:
        """It is no member any more; if it waits, it is told so."""
        self.waiting.refuse_join(self.members, member, ErrorCode.UNKNOWN_MEMBER_ID, "")
        self.waiting.refuse_sync(member, ErrorCode.UNKNOWN_MEMBER_ID)
        self._unsynced.discard(member.member_id)
        self.members.remove(member)

    def replace(self, old: Member, new: Member) -> None:
        """A static member came back as `new`: `old` is fenced."""
        self.waiting.refuse_join(self.members, old, ErrorCode.FENCED_INSTANCE_ID, old.member_id)
        self.waiting.refuse_sync(old, ErrorCode.FENCED_INSTANCE_ID)
        if old.member_id in self._unsynced:
            self._unsynced.remove(old.member_id)
            self._unsynced.add(new.member_id)
        self.members.replace(old, new)

    # Who waits

    def wait_join(self, now_us: int, member: Member, ticket: Ticket) -> None:
        """The member joins the next generation. One that is new may not know its id yet, so it
        cannot show signs of life, and its wait is bounded by time."""
        self.waiting.join(self.members, member, ticket)
        member.deadline_us = None
        if member.is_new:
            member.deadline_us = now_us + 1000 * self.settings.new_member_join_timeout_ms
            self.wake(member.deadline_us)

    def wait_sync(self, member: Member, ticket: Ticket) -> None:
        """The member waits for its assignment."""
        self.waiting.sync(member, ticket)
        member.deadline_us = None
        self.synced(member)

    def synced(self, member: Member) -> None:
        """The member sent its sync of this generation."""
        self._unsynced.discard(member.member_id)
        if not self._unsynced:
            self._sync_deadline_us = None

    def generation_for(self, member: Member, ticket: Ticket) -> JoinAnswer:
        """This generation as the member is told of it; the leader hears of everyone."""
        leads = member.member_id == self.members.leader
        return JoinAnswer(
            ticket,
            ErrorCode.NONE,
            member.member_id,
            self.generation,
            self.protocol_type,
            self.protocol,
            self.members.leader or "",
            members=tuple(m.joined(self.protocol) for m in self.members) if leads else (),
        )

    def assignment_for(self, member: Member, ticket: Ticket) -> SyncAnswer:
        """The member's part of this generation, which must be Stable."""
        return SyncAnswer(
            ticket, ErrorCode.NONE, self.protocol_type, self.protocol, member.assignment
        )

    def forget(self, now_us: int, ticket: Ticket) -> None:
        """Nobody hears the answer to `ticket`: its member is as if it had not joined (or, if it
        is a sync, as if it had been answered) and its session begins."""
        member = self.waiting.forget(self.members, ticket)
        if member is not None:
            self.alive(now_us, member)

    # PreparingRebalance

    def changed(self, now_us: int) -> None:
        """The members or their wishes changed: rebalance, or see whether all have joined."""
        if self.state is GroupState.PREPARING_REBALANCE:
            self.complete_if_joined(now_us)
        else:
            self.rebalance(now_us)

    def rebalance(self, now_us: int) -> None:
        """Have all members join again; those who wait for assignments are told so."""
        if self.state is GroupState.COMPLETING_REBALANCE:
            self._void_assignments(now_us, _REBALANCING)
        self._unsynced.clear()
        self._sync_deadline_us = None
        timeout_us = self.members.rebalance_timeout_us()
        if self.state is GroupState.EMPTY:
            delay_us = 1000 * self.settings.initial_rebalance_delay_ms
            self._initial_end_us = now_us + max(timeout_us, delay_us)
            self._member_came = False
            timeout_us = delay_us
        self.state = GroupState.PREPARING_REBALANCE
        self._set_join_deadline(now_us + timeout_us)
        self.complete_if_joined(now_us)

    def member_came(self) -> None:
        """A member was added: an initial rebalance waits for another delay."""
        self._member_came = True

    def complete_if_joined(self, now_us: int) -> None:
        """The next generation begins if everyone is there; an initial rebalance takes its time."""
        if (
            self.state is GroupState.PREPARING_REBALANCE
            and self._initial_end_us is None
            and self.members.joined == len(self.members)
            and not self.pending
        ):
            self._next_generation(now_us)

    def _set_join_deadline(self, at_us: int) -> None:
        self._join_deadline_us = at_us
        self.wake(at_us)

    def _join_time_over(self, now_us: int) -> None:
        end_us = self._initial_end_us
        if end_us is not None and self._member_came and now_us < end_us:
            self._member_came = False
            delay_us = 1000 * self.settings.initial_rebalance_delay_ms
            self._set_join_deadline(min(now_us + delay_us, end_us))
        else:
            self._next_generation(now_us)

    def _next_generation(self, now_us: int) -> None:
        """Members that did not come are dropped; static ones stay, to come back in peace."""
        self._initial_end_us = self._join_deadline_us = None
        for member in list(self.members):
            if member.join_ticket is None and member.group_instance_id is None:
                self.remove(member)
        if not self.members:
            self._become_empty()
        elif self.members.elect():
            self._begin_generation(now_us)
        else:
            postponed_us = max(self.members.rebalance_timeout_us(), POSTPONE_US_MIN)
            self._set_join_deadline(now_us + postponed_us)

    def _become_empty(self) -> None:
        self.generation += 1
        self.protocol = None
        self.state = GroupState.EMPTY
        # Nobody is told of an empty generation. If its record is refused, a later leader finds
        # the members of the last one, and their sessions end there.
        self._write(self._snapshot({}), lambda _now_us, _error: None)

    # CompletingRebalance

    def _begin_generation(self, now_us: int) -> None:
        self.generation += 1
        self.protocol = self.members.choose_protocol()
        self.state = GroupState.COMPLETING_REBALANCE
        self._assigned = False
        for member in self.members:
            self._unsynced.add(member.member_id)
            member.is_new = False
            if member.join_ticket is not None:
                answer = self.generation_for(member, member.join_ticket)
                self.waiting.answer_join(self.members, member, answer)
                self.alive(now_us, member)
        self._sync_deadline_us = now_us + self.members.rebalance_timeout_us()
        self.wake(self._sync_deadline_us)

    def assign(self, assignments: Mapping[str, bytes]) -> None:
        """The leader's assignments of this generation: the first ones that it sends count."""
        if self._assigned:
            return
        self._assigned = True
        mine = {m.member_id: assignments.get(m.member_id, b"") for m in self.members}
        then = partial(self._on_assigned, self.generation, mine)
        self._write(self._snapshot(mine), then)

    def _on_assigned(
        self, generation: int, assignments: Mapping[str, bytes], now_us: int, error: ErrorCode
    ) -> None:
        if self.state is not GroupState.COMPLETING_REBALANCE or generation != self.generation:
            return  # a rebalance came in between, and whoever waited was told of it
        if error is not ErrorCode.NONE:
            self._void_assignments(now_us, to_client(error))
            self.rebalance(now_us)
            return
        self.state = GroupState.STABLE
        for member in self.members:
            member.assignment = assignments[member.member_id]
            if member.sync_ticket is not None:
                answer = self.assignment_for(member, member.sync_ticket)
                self.waiting.answer_sync(member, answer)
                self.alive(now_us, member)

    def _void_assignments(self, now_us: int, error: ErrorCode) -> None:
        for member in self.members:
            member.assignment = b""
            if member.sync_ticket is not None:
                self.waiting.refuse_sync(member, error)
                self.alive(now_us, member)

    def _sync_time_over(self, now_us: int) -> None:
        """Members that never asked for their assignment are dropped, static or not."""
        self._sync_deadline_us = None
        for member in [m for m in self.members if m.member_id in self._unsynced]:
            self.remove(member)
        self.rebalance(now_us)

    # Records, time and the end

    def write_members(self, then: Then) -> None:
        """The record of this generation as its members are now; the group must be Stable."""
        self._write(self._snapshot({m.member_id: m.assignment for m in self.members}), then)

    def write_tombstone(self, then: Then) -> None:
        """The record that ends the group."""
        self._write(None, then)

    def _write(self, snapshot: GroupSnapshot | None, then: Then) -> None:
        self.waiting.effects.append(self.writing.write(snapshot, then))

    def _snapshot(self, assignments: Mapping[str, bytes]) -> GroupSnapshot:
        return GroupSnapshot(
            self.protocol_type or "",
            self.generation,
            self.protocol,
            self.members.leader,
            tuple(m.snapshot(self.protocol, assignments[m.member_id]) for m in self.members),
        )

    def tick(self, now_us: int) -> None:
        """Do what has come due."""
        if self.due_us is None or now_us < self.due_us:
            return
        self._expire_pending(now_us)
        self._expire_members(now_us)
        if self._join_deadline_us is not None and now_us >= self._join_deadline_us:
            self._join_time_over(now_us)
        if self._sync_deadline_us is not None and now_us >= self._sync_deadline_us:
            self._sync_time_over(now_us)
        self.due_us = min(self._deadlines(), default=None)

    def _expire_pending(self, now_us: int) -> None:
        lapsed = [member_id for member_id, at_us in self.pending.items() if at_us <= now_us]
        for member_id in lapsed:
            del self.pending[member_id]
        if lapsed:
            self.complete_if_joined(now_us)

    def _expire_members(self, now_us: int) -> None:
        expired = [m for m in self.members if m.deadline_us is not None and m.deadline_us <= now_us]
        for member in expired:
            self.remove(member)
        if expired:
            self.changed(now_us)

    def _deadlines(self) -> Iterator[int]:
        yield from self.pending.values()
        for at_us in (self._join_deadline_us, self._sync_deadline_us):
            if at_us is not None:
                yield at_us
        for member in self.members:
            if member.deadline_us is not None:
                yield member.deadline_us

    def end(self, error: ErrorCode) -> None:
        """The group is Dead: everyone who waits gets the error, nothing comes due any more."""
        for member in self.members:
            self.waiting.refuse_join(self.members, member, error, member.member_id)
            self.waiting.refuse_sync(member, error)
        self.state = GroupState.DEAD
        self.members = Members()
        self.pending.clear()
        self._unsynced.clear()
        self._join_deadline_us = self._sync_deadline_us = self._initial_end_us = None
        self.due_us = None
