"""The members of a group: who they are, what protocols they share, who leads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from partitions.coordinators.groups.answers import (
    JoinedMember,
    MemberDescription,
    MemberSnapshot,
    Protocols,
    Ticket,
)
from partitions.coordinators.groups.asks import JoinAsk
from partitions.errors import ErrorCode


@dataclass(eq=False, slots=True)
class Member:
    """One member. `Members` counts what it holds: change `protocols` and `join_ticket` there."""

    member_id: str
    group_instance_id: str | None
    """Of a static member (KIP-345), which keeps its place over restarts."""
    client_id: str
    client_host: str
    session_timeout_ms: int
    rebalance_timeout_ms: int
    protocols: Protocols
    assignment: bytes = b""
    is_new: bool = False
    """It was never part of a generation."""
    join_ticket: Ticket | None = None
    sync_ticket: Ticket | None = None
    deadline_us: int | None = None
    """When its session ends; None while it waits for an answer of ours."""

    @classmethod
    def asking(cls, member_id: str, ask: JoinAsk) -> Member:
        """The member that a join describes."""
        return cls(
            member_id,
            ask.group_instance_id,
            ask.client_id,
            ask.client_host,
            ask.session_timeout_ms,
            max(ask.rebalance_timeout_ms, 0),
            ask.protocols,
        )

    @classmethod
    def restored(cls, snapshot: MemberSnapshot, protocol: str | None) -> Member:
        """The member that a record describes: it has one protocol until it joins again."""
        return cls(
            snapshot.member_id,
            snapshot.group_instance_id,
            snapshot.client_id,
            snapshot.client_host,
            snapshot.session_timeout_ms,
            max(snapshot.rebalance_timeout_ms, 0),
            ((protocol or "", snapshot.subscription),),
            snapshot.assignment,
        )

    @property
    def waiting(self) -> bool:
        """It waits for an answer, so no sign of life is expected of it."""
        return self.join_ticket is not None or self.sync_ticket is not None

    def metadata(self, protocol: str | None) -> bytes:
        """What it says under `protocol`; empty if nothing."""
        for name, metadata in self.protocols:
            if name == protocol:
                return metadata
        return b""

    def snapshot(self, protocol: str | None, assignment: bytes) -> MemberSnapshot:
        """For the record of a generation under `protocol`."""
        return MemberSnapshot(
            self.member_id,
            self.group_instance_id,
            self.client_id,
            self.client_host,
            self.rebalance_timeout_ms,
            self.session_timeout_ms,
            self.metadata(protocol),
            assignment,
        )

    def joined(self, protocol: str | None) -> JoinedMember:
        """For the leader of a generation under `protocol`."""
        return JoinedMember(self.member_id, self.group_instance_id, self.metadata(protocol))

    def describe(self, protocol: str | None) -> MemberDescription:
        """For DescribeGroups; `protocol` is None while there is none in use."""
        return MemberDescription(
            self.member_id,
            self.group_instance_id,
            self.client_id,
            self.client_host,
            self.metadata(protocol),
            self.assignment,
        )


class Members:
    """Members by id in the order of joining. Counts are kept, so that a join of one among n
    members does not look at the others."""

    __slots__ = ("_by_id", "_static", "_supporters", "held_bytes", "joined", "leader")

    def __init__(self) -> None:
        self._by_id: dict[str, Member] = {}
        self._static: dict[str, str] = {}  # instance id -> member id
        self._supporters: dict[str, int] = {}  # protocol -> members that support it
        self.held_bytes = 0
        """What members say of themselves under all protocols."""
        self.joined = 0
        """Members that wait for the next generation."""
        self.leader: str | None = None
        """Member id of the one who assigns; None without members."""

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Member]:
        return iter(self._by_id.values())

    def __contains__(self, member_id: object) -> bool:
        return member_id in self._by_id

    def get(self, member_id: str) -> Member | None:
        """The member, if there is one of that id."""
        return self._by_id.get(member_id)

    def static(self, group_instance_id: str | None) -> Member | None:
        """The member that holds the instance id, if one does."""
        if group_instance_id is None or group_instance_id not in self._static:
            return None
        return self._by_id[self._static[group_instance_id]]

    def require(self, member_id: str, group_instance_id: str | None) -> Member | ErrorCode:
        """The member that a request comes from; UNKNOWN_MEMBER_ID, or FENCED_INSTANCE_ID when
        another one has taken over its instance id."""
        if group_instance_id is not None:
            holder = self._static.get(group_instance_id)
            if holder is None:
                return ErrorCode.UNKNOWN_MEMBER_ID
            if holder != member_id:
                return ErrorCode.FENCED_INSTANCE_ID
        return self._by_id.get(member_id) or ErrorCode.UNKNOWN_MEMBER_ID

    def add(self, member: Member) -> None:
        """A new member, of a new id and no taken instance id; the first one leads."""
        self._by_id[member.member_id] = member
        if member.group_instance_id is not None:
            self._static[member.group_instance_id] = member.member_id
        self._count(member, 1)
        if self.leader is None:
            self.leader = member.member_id

    def remove(self, member: Member) -> None:
        """It is gone; if it led, the one who is here longest leads."""
        del self._by_id[member.member_id]
        if member.group_instance_id is not None:
            del self._static[member.group_instance_id]
        self._count(member, -1)
        if self.leader == member.member_id:
            self.leader = next(iter(self._by_id), None)

    def replace(self, old: Member, new: Member) -> None:
        """`new` takes the place of `old` under the same instance id, its leadership included."""
        leads = self.leader == old.member_id
        self.remove(old)
        self.add(new)
        if leads:
            self.leader = new.member_id

    def update(self, member: Member, ask: JoinAsk) -> None:
        """The member's new wishes."""
        self._count(member, -1)
        member.protocols = ask.protocols
        self._count(member, 1)
        member.session_timeout_ms = ask.session_timeout_ms
        member.rebalance_timeout_ms = max(ask.rebalance_timeout_ms, 0)

    def set_join_ticket(self, member: Member, ticket: Ticket | None) -> None:
        """The member waits for the next generation under `ticket`, or (None) no longer."""
        self.joined += (ticket is not None) - (member.join_ticket is not None)
        member.join_ticket = ticket

    def elect(self) -> bool:
        """Have a leader among those who joined; False if nobody did."""
        leader = self._by_id[self.leader] if self.leader is not None else None
        if leader is None or leader.join_ticket is None:
            for member in self:
                if member.join_ticket is not None:
                    self.leader = member.member_id
                    return True
            return False
        return True

    def supports(self, protocols: Protocols) -> bool:
        """All members support one of `protocols`."""
        return any(self._supporters.get(name, 0) == len(self._by_id) for name, _ in protocols)

    def choose_protocol(self) -> str:
        """Every member votes for the first of its protocols that all support; the most votes
        win, and among equals the one voted for first. At least one member is needed."""
        votes: dict[str, int] = {}
        for member in self:
            for name, _ in member.protocols:
                if self._supporters[name] == len(self._by_id):
                    votes[name] = votes.get(name, 0) + 1
                    break
        return max(votes, key=votes.__getitem__)

    def rebalance_timeout_us(self) -> int:
        """The longest that a member may take to join; 0 without members."""
        return 1000 * max((member.rebalance_timeout_ms for member in self), default=0)

    def _count(self, member: Member, change: int) -> None:
        self.joined += change * (member.join_ticket is not None)
        self.held_bytes += change * sum(len(metadata) for _, metadata in member.protocols)
        for name in {name for name, _ in member.protocols}:
            count = self._supporters.get(name, 0) + change
            if count:
                self._supporters[name] = count
            else:
                del self._supporters[name]
