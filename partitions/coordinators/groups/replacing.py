"""Static members that come back (KIP-345): a new id under the instance id; the old is fenced."""

from __future__ import annotations

from dataclasses import dataclass, replace

from partitions.coordinators.groups.answers import GroupState, Ticket, to_client
from partitions.coordinators.groups.asks import UNKNOWN_MEMBER, JoinAsk
from partitions.coordinators.groups.members import Member
from partitions.coordinators.groups.phases import Phases
from partitions.errors import ErrorCode


def join_replacing(phases: Phases, now_us: int, ticket: Ticket, ask: JoinAsk, old: Member) -> None:
    """The client of `old` joins without knowing its id. A stable group goes on as it is if its
    protocol stays: the answer waits until the log knows the new id. While assignments are made
    they are made for the old id, so that takes another rebalance."""
    led_by = phases.members.leader or ""
    new = replace(Member.asking(ask.new_member_id, ask), assignment=old.assignment)
    phases.replace(old, new)
    phases.wait_join(now_us, new, ticket)
    if phases.state is GroupState.STABLE and phases.members.choose_protocol() == phases.protocol:
        replacement = Replacement(
            phases, phases.generation, old, new, led_by, ask.can_skip_assignment
        )
        phases.write_members(replacement.written)
    else:
        phases.changed(now_us)


@dataclass(frozen=True, slots=True)
class Replacement:
    """One that waits for its record."""

    phases: Phases
    generation: int
    old: Member
    new: Member
    led_by: str
    can_skip: bool

    def written(self, now_us: int, error: ErrorCode) -> None:
        """The record is committed, or refused: then the old id holds again."""
        phases, new = self.phases, self.new
        overtaken = phases.state is not GroupState.STABLE or phases.generation != self.generation
        if overtaken or phases.members.get(new.member_id) is not new:
            return  # whoever waits under the new id is part of what came in between
        if error is not ErrorCode.NONE:
            phases.waiting.refuse_join(phases.members, new, to_client(error), UNKNOWN_MEMBER)
            phases.replace(new, self.old)
            phases.alive(now_us, self.old)
        elif new.join_ticket is not None:
            self._answer(now_us, new.join_ticket)

    def _answer(self, now_us: int, ticket: Ticket) -> None:
        """One that leads must not assign anew: it hears so, or else that another one leads."""
        phases, new = self.phases, self.new
        answer = phases.generation_for(new, ticket)
        if self.can_skip:
            answer = replace(answer, skip_assignment=phases.members.leader == new.member_id)
        else:
            answer = replace(answer, leader=self.led_by, members=())
        phases.waiting.answer_join(phases.members, new, answer)
        phases.alive(now_us, new)
