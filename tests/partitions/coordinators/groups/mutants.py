"""Small deliberate mistakes in the group, each of which the simulation must notice."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from partitions.coordinators.groups import ClassicGroup, GroupState, SyncAsk
from partitions.coordinators.groups.members import Member, Members
from partitions.coordinators.groups.phases import Phases
from partitions.coordinators.groups.replacing import Replacement
from partitions.coordinators.groups.waiting import Waiting
from partitions.coordinators.groups.writing import Writing
from partitions.errors import ErrorCode

Mutant = tuple[type, str, Callable[..., Any]]
NONE = ErrorCode.NONE

_alive = Phases.alive
_assign = Phases.assign
_begin = Phases._begin_generation
_done = Writing.done
_empty = Phases._become_empty
_next = Phases._next_generation
_on_assigned = Phases._on_assigned
_replace_member = Members.replace
_sync = ClassicGroup.sync
_write_members = Phases.write_members
_written = Replacement.written


def assignments_before_their_record(self: Phases, assignments: Mapping[str, bytes]) -> None:
    mine = {m.member_id: assignments.get(m.member_id, b"") for m in self.members}
    _assign(self, assignments)
    self._on_assigned(self.generation, mine, 0, NONE)


def every_sync_of_the_leader_assigns(self: Phases, assignments: Mapping[str, bytes]) -> None:
    self._assigned = False
    _assign(self, assignments)


def a_late_record_counts(
    self: Phases, generation: int, assignments: Mapping[str, bytes], now_us: int, error: ErrorCode
) -> None:
    mine = {m.member_id: assignments.get(m.member_id, b"") for m in self.members}
    _on_assigned(self, self.generation, mine, now_us, error)


def a_refused_record_counts(self: Writing, now_us: int, token: int, error: ErrorCode) -> None:
    _done(self, now_us, token, NONE)


def a_rebalance_tells_nobody(self: Phases, now_us: int, error: ErrorCode) -> None:
    for member in self.members:
        member.assignment = b""


def generations_stay(self: Phases, now_us: int) -> None:
    self.generation -= self.generation > 1
    _begin(self, now_us)


def generations_fall_when_nobody_is_left(self: Phases) -> None:
    _empty(self)
    self.generation = 0


def heartbeats_count_for_nothing(self: Phases, now_us: int, member: Member) -> None:
    if member.deadline_us is None:
        _alive(self, now_us, member)


def sessions_never_end(self: Phases, now_us: int) -> None:
    return None


def one_session_a_tick(self: Phases, now_us: int) -> None:
    expired = [m for m in self.members if m.deadline_us is not None and m.deadline_us <= now_us]
    for member in expired:
        self.members.remove(member)  # and whoever waits on it is not told
    if expired:
        self.changed(now_us)


def nothing_comes_due(self: Phases, at_us: int) -> None:
    return None


def deadlines_without_those_of_members(self: Phases) -> Iterator[int]:
    yield from self.pending.values()
    for at_us in (self._join_deadline_us, self._sync_deadline_us):
        if at_us is not None:
            yield at_us


def syncs_are_not_noted(self: Phases, member: Member) -> None:
    return None


def a_second_sync_silences_the_first(self: Waiting, member: Member, ticket: str) -> None:
    member.sync_ticket = ticket
    self._by_ticket[ticket] = member


def the_former_self_is_not_told(self: Phases, old: Member, new: Member) -> None:
    _replace_member(self.members, old, new)


def a_new_id_before_its_record(self: Phases, then: Callable[[int, ErrorCode], None]) -> None:
    _write_members(self, then)
    then(0, NONE)


def a_replacement_is_not_undone(self: Replacement, now_us: int, error: ErrorCode) -> None:
    if error is NONE:
        _written(self, now_us, error)


def who_hangs_up_has_no_session(self: Phases, now_us: int, ticket: str) -> None:
    self.waiting.forget(self.members, ticket)


def who_hangs_up_is_answered(self: Phases, now_us: int, ticket: str) -> None:
    return None


def those_who_do_not_come_stay(self: Phases, now_us: int) -> None:
    for member in self.members:
        if member.join_ticket is None:
            self.waiting.join(self.members, member, object())
    _next(self, now_us)


def a_leader_that_is_away(self: Members) -> bool:
    return self.joined > 0


def the_snapshot_is_the_memory(self: ClassicGroup) -> object:
    phases = self._phases
    if phases.state is GroupState.DEAD or not phases.generation:
        return phases.writing.last
    return phases._snapshot({m.member_id: m.assignment for m in phases.members})


def syncs_of_any_generation(self: ClassicGroup, now_us: int, ticket: str, ask: SyncAsk) -> None:
    of_now = SyncAsk(
        self.generation, ask.member_id, ask.group_instance_id, assignments=ask.assignments
    )
    _sync(self, now_us, ticket, of_now)


MUTANTS: tuple[Mutant, ...] = (
    (Phases, "assign", assignments_before_their_record),
    (Phases, "assign", every_sync_of_the_leader_assigns),
    (Phases, "_on_assigned", a_late_record_counts),
    (Writing, "done", a_refused_record_counts),
    (Phases, "_void_assignments", a_rebalance_tells_nobody),
    (Phases, "_begin_generation", generations_stay),
    (Phases, "_become_empty", generations_fall_when_nobody_is_left),
    (Phases, "alive", heartbeats_count_for_nothing),
    (Phases, "_expire_members", sessions_never_end),
    (Phases, "_expire_members", one_session_a_tick),
    (Phases, "wake", nothing_comes_due),
    (Phases, "_deadlines", deadlines_without_those_of_members),
    (Phases, "synced", syncs_are_not_noted),
    (Waiting, "sync", a_second_sync_silences_the_first),
    (Phases, "replace", the_former_self_is_not_told),
    (Phases, "write_members", a_new_id_before_its_record),
    (Replacement, "written", a_replacement_is_not_undone),
    (Phases, "forget", who_hangs_up_has_no_session),
    (Phases, "forget", who_hangs_up_is_answered),
    (Phases, "_next_generation", those_who_do_not_come_stay),
    (Members, "elect", a_leader_that_is_away),
    (ClassicGroup, "snapshot", the_snapshot_is_the_memory),
    (ClassicGroup, "sync", syncs_of_any_generation),
)
