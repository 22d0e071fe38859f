"""What must be true of a group at every step, kept apart from the group's own books."""

from __future__ import annotations

from collections.abc import Hashable

from partitions.coordinators.groups import (
    ClassicGroup,
    Effect,
    GroupSnapshot,
    GroupState,
    JoinAnswer,
    Persist,
    SyncAnswer,
)
from partitions.errors import ErrorCode

EMPTY, PREPARING, COMPLETING, STABLE = (
    GroupState.EMPTY,
    GroupState.PREPARING_REBALANCE,
    GroupState.COMPLETING_REBALANCE,
    GroupState.STABLE,
)
MOVES = {
    (EMPTY, PREPARING),
    (PREPARING, EMPTY),
    (PREPARING, COMPLETING),
    (COMPLETING, PREPARING),
    (COMPLETING, STABLE),
    (STABLE, PREPARING),
    # In one call: a rebalance in which everyone is there already.
    (STABLE, COMPLETING),
    (STABLE, EMPTY),
    (COMPLETING, EMPTY),
}


class Violation(AssertionError):
    """The group broke a rule."""


def require(truth: bool, rule: str, *facts: object) -> None:
    """Raise Violation unless it is so."""
    if not truth:
        raise Violation(rule, *facts)


class Oracle:
    """The books of one group over all its coordinators.

    Assignments are written "GENERATION/SYNC/MEMBER" by the simulated leaders, SYNC a number of its
    own for every request, so that each tells where it comes from.
    """

    def __init__(self) -> None:
        self.open: dict[Hashable, int] = {}
        """Tickets neither answered nor forgotten -> the generation that was asked for."""
        self.issued = 0
        self.committed: GroupSnapshot | None = None
        """The last record that the group knows to be committed."""
        self.under_way: list[GroupSnapshot | None] = []
        self.told: dict[int, tuple[str, str]] = {}  # generation -> (leader, protocol)
        self.syncs: dict[int, str] = {}  # generation -> the SYNC that everyone's part is of
        self.first_id: dict[str, str] = {}  # static members: their id -> the one before all others
        self.generation = 0
        self.state = EMPTY
        self.size = 0

    def issue(self, name: str, generation: int) -> str:
        """A new ticket: of a sync of `generation`, or of a join (whatever that client has)."""
        self.issued += 1
        ticket = f"{name}#{self.issued}"
        self.open[ticket] = generation
        return ticket

    def replaced(self, old: str, new: str) -> None:
        """A static member's new id stands for the old one."""
        self.first_id[new] = self.origin(old)

    def origin(self, member_id: str) -> str:
        """The id under which a member was first known."""
        return self.first_id.get(member_id, member_id)

    def restored(self, group: ClassicGroup, snapshot: GroupSnapshot | None) -> None:
        """A new coordinator: generations that no record speaks of are as if they never were."""
        self.committed = snapshot
        self.under_way = []
        self.open.clear()
        self.generation, self.state = group.generation, group.state
        for generation in [g for g in self.told if g >= self.generation]:
            del self.told[generation]
        for generation in [g for g in self.syncs if g >= self.generation]:
            del self.syncs[generation]

    def settled(self, snapshot: GroupSnapshot | None, error: ErrorCode) -> None:
        """The oldest record under way is committed, or refused."""
        require(self.under_way.pop(0) == snapshot, "records settle in order")
        if error is ErrorCode.NONE:
            self.committed = snapshot

    def after_call(self, group: ClassicGroup, effects: list[Effect]) -> None:
        """Everything that can be seen after one call."""
        size = len(group.describe().members)
        bound = 3 * max(size, self.size) + 3
        require(len(effects) <= bound, "effects are bounded", len(effects), bound)
        self.size = size
        require(group.generation >= self.generation, "generations only rise", group.generation)
        require(
            group.state is self.state or (self.state, group.state) in MOVES,
            "states change as Kafka's do",
            self.state,
            group.state,
        )
        if group.generation > self.generation and group.state is not EMPTY:
            self._began(group, effects)
        self.generation, self.state = group.generation, group.state
        for effect in effects:
            self._effect(group, effect)
        if group.state is EMPTY or (group.state is STABLE and not self.under_way):
            require(not self.open, "nobody waits for nothing", self.open)
        if group.state is STABLE and not self.under_way and self.committed is not None:
            have = {m.member_id: m.assignment for m in group.describe().members}
            recorded = {m.member_id: m.assignment for m in self.committed.members}
            require(have == recorded, "a stable group is what its record says", have, recorded)
        last = self.under_way[-1] if self.under_way else self.committed
        require(group.snapshot() == last, "the snapshot is the last record", group.snapshot())

    def _began(self, group: ClassicGroup, effects: list[Effect]) -> None:
        """A generation begins with those who joined, and static members that may come back."""
        joined = {
            effect.member_id: effect
            for effect in effects
            if isinstance(effect, JoinAnswer) and effect.generation_id == group.generation
        }
        leaders = {answer.leader for answer in joined.values()}
        require(len(leaders) == 1 and leaders <= joined.keys(), "a leader that joined", leaders)
        for member in joined[leaders.pop()].members:
            came = member.member_id in joined or member.group_instance_id is not None
            require(came, "who does not join is dropped", member)

    def _effect(self, group: ClassicGroup, effect: Effect) -> None:
        if isinstance(effect, Persist):
            self.under_way.append(effect.snapshot)
            return
        asked = self.open.pop(effect.ticket, None)
        require(asked is not None, "a ticket is answered once", effect)
        if effect.error is not ErrorCode.NONE:
            return
        if isinstance(effect, JoinAnswer):
            self._joined(group, effect)
        else:
            require(asked == group.generation, "an assignment is what was asked for", asked)
            self._assigned(group, str(effect.ticket), effect)

    def _joined(self, group: ClassicGroup, answer: JoinAnswer) -> None:
        require(answer.generation_id == group.generation, "an answer is of this generation", answer)
        told = (self.origin(answer.leader), answer.protocol_name or "")
        known = self.told.setdefault(answer.generation_id, told)
        require(known == told, "one leader and one protocol", known, told)
        if answer.members:
            require(self.origin(answer.member_id) == told[0], "the leader is told", answer)
            names = {member.member_id for member in answer.members}
            have = {member.member_id for member in group.describe().members}
            require(names <= have or not have, "the leader is told of members", names, have)
        if group.state is STABLE:
            self._recorded(answer.member_id, answer.generation_id)

    def _recorded(self, member_id: str, generation: int) -> bytes:
        """The member's assignment in the last committed record."""
        record = self.committed
        require(record is not None, "no answer before the record", member_id)
        assert record is not None
        require(record.generation == generation, "no answer before the record", generation, record)
        mine = [m.assignment for m in record.members if m.member_id == member_id]
        require(len(mine) == 1, "no answer before the record", member_id, record)
        return mine[0]

    def _assigned(self, group: ClassicGroup, ticket: str, answer: SyncAnswer) -> None:
        require(group.state is STABLE, "assignments are given in Stable", group.state)
        parts = answer.assignment.decode().split("/")
        require(len(parts) == 3, "everyone gets an assignment", answer)
        generation, sync, member_id = parts
        require(int(generation) == group.generation, "an assignment is of this generation", answer)
        known = self.syncs.setdefault(group.generation, sync)
        require(known == sync, "a generation has one assignment", known, sync)
        have = {self.origin(m.member_id): m.member_id for m in group.describe().members}
        require(self.origin(member_id) in have, "an assignment is of a member", answer)
        holder = have[self.origin(member_id)]
        require(
            holder.startswith(ticket.partition("#")[0] + "-"), "everyone gets their own", answer
        )
        recorded = self._recorded(holder, group.generation)
        require(recorded == answer.assignment, "no answer before the record", recorded, answer)
