"""Who of a group waits for which answer."""

from __future__ import annotations

from partitions.coordinators.groups.answers import Effect, JoinAnswer, SyncAnswer, Ticket
from partitions.coordinators.groups.members import Member, Members
from partitions.errors import ErrorCode


class Waiting:
    """Tickets and their members. A ticket is taken from its member together with the answer, so
    nobody is answered twice; a member's second request answers its first, so none is left over."""

    __slots__ = ("_by_ticket", "effects")

    def __init__(self) -> None:
        self.effects: list[Effect] = []
        """In order; the group's records go through here too."""
        self._by_ticket: dict[Ticket, Member] = {}

    def join(self, members: Members, member: Member, ticket: Ticket) -> None:
        """The member waits for a generation. Raises ValueError if the ticket is in use."""
        self.refuse_join(members, member, ErrorCode.REBALANCE_IN_PROGRESS, member.member_id)
        self._register(ticket, member)
        members.set_join_ticket(member, ticket)

    def sync(self, member: Member, ticket: Ticket) -> None:
        """The member waits for its assignment. Raises ValueError if the ticket is in use."""
        self.refuse_sync(member, ErrorCode.REBALANCE_IN_PROGRESS)
        self._register(ticket, member)
        member.sync_ticket = ticket

    def answer_join(self, members: Members, member: Member, answer: JoinAnswer) -> None:
        """The answer that the member waits for."""
        del self._by_ticket[member.join_ticket]
        members.set_join_ticket(member, None)
        self.effects.append(answer)

    def answer_sync(self, member: Member, answer: SyncAnswer) -> None:
        """The assignment that the member waits for."""
        del self._by_ticket[member.sync_ticket]
        member.sync_ticket = None
        self.effects.append(answer)

    def refuse_join(
        self, members: Members, member: Member, error: ErrorCode, member_id: str
    ) -> None:
        """If the member waits for a generation: the error."""
        if member.join_ticket is not None:
            self.answer_join(members, member, JoinAnswer(member.join_ticket, error, member_id))

    def refuse_sync(self, member: Member, error: ErrorCode) -> None:
        """If the member waits for its assignment: the error."""
        if member.sync_ticket is not None:
            self.answer_sync(member, SyncAnswer(member.sync_ticket, error))

    def forget(self, members: Members, ticket: Ticket) -> Member | None:
        """Nobody hears the answer; the member that waited for it, if one did."""
        member = self._by_ticket.pop(ticket, None)
        if member is None:
            return None
        if member.join_ticket == ticket:
            members.set_join_ticket(member, None)
        else:
            member.sync_ticket = None
        return member

    def _register(self, ticket: Ticket, member: Member) -> None:
        if ticket is None or ticket in self._by_ticket:
            raise ValueError(f"ticket {ticket!r} is in use: every request needs its own")
        self._by_ticket[ticket] = member
