"""The state that all protocols of a replica share, and the few moves that touch all of it.

Rules kept here and nowhere else:

- the term never falls, and a vote is given at most once per term;
- while the newest (term, vote) is not durable, no message leaves (`promise_open`): each
  would claim a term that a crash could make this replica forget;
- what was about to be said in an older term is dropped when the term changes;
- role changes follow `roles.TRANSITIONS`.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from raftlog.core.log import Log
from raftlog.core.membership import Membership, voters_of
from raftlog.core.roles import Candidate, Event, Follower, Leader, next_role
from raftlog.core.timing import Randrange, Timing
from raftlog.errors import CorruptLog
from raftlog.messages import Message
from raftlog.ready import ReadState, SnapshotInstall, SnapshotWanted
from raftlog.storage import LogReader
from raftlog.types import MAX_TERM, HardState, ReplicaId, Role, SnapshotMeta

MAX_HELD_MESSAGES = 1024
"""Messages that wait for a durable term; what comes after is lost, as on a full network."""


@dataclass(slots=True)
class Write:
    """A Ready that was handed out and is not durable yet."""

    number: int
    last_index: int
    """What `stored` proves durable; lowered when a later truncation cuts below it (no ABA)."""
    snapshot: SnapshotInstall | None


class Replica:
    """Everything one replica of one group knows. Protocol modules read and write it."""

    __slots__ = (
        "confirmed",
        "group",
        "hard_dirty",
        "hard_number",
        "held",
        "install",
        "installing",
        "leader",
        "log",
        "me",
        "membership",
        "now_us",
        "number",
        "outbox",
        "pledged_until_us",
        "random",
        "reads",
        "role",
        "soft_dirty",
        "state",
        "term",
        "timing",
        "vote",
        "wanted",
        "writes",
    )

    def __init__(
        self,
        group: int,
        me: ReplicaId,
        storage: LogReader,
        hard_state: HardState,
        timing: Timing,
        random: Randrange,
        now_us: int,
    ) -> None:
        self.group = group
        self.me = me
        self.timing = timing.validated()
        self.random = random
        self.now_us = now_us
        self.log = Log(storage)
        self.membership = Membership(storage.snapshot().configuration, storage.configurations())
        self.term, self.vote = hard_state
        if self.log.last_term > self.term:
            raise CorruptLog(
                f"group {group}: the log ends in term {self.log.last_term}, but only term "
                f"{self.term} was recorded; this replica must not vote"
            )
        self.role = Role.FOLLOWER
        self.leader: ReplicaId | None = None
        self.confirmed = False
        self.state: Follower | Candidate | Leader = Follower(now_us, self.draw_timeout())
        self.number = 0
        self.writes: deque[Write] = deque()
        self.hard_dirty = False
        self.hard_number = 0
        self.outbox: list[tuple[ReplicaId, Message]] = []
        self.held: list[tuple[ReplicaId, Message]] = []
        self.reads: list[ReadState] = []
        self.wanted: list[SnapshotWanted] = []
        self.install: SnapshotInstall | None = None
        self.installing: SnapshotMeta | None = None
        self.soft_dirty = True
        self.pledged_until_us = 0
        """Until then this replica helps no one to lead, whatever it has forgotten since (lease
        reads only): a leader may rely on having been heard by it."""
        self.pledge()

    # -- messages

    @property
    def promise_open(self) -> bool:
        """True when the present term and vote are durable."""
        return not self.hard_dirty and self.hard_number == 0

    def send(self, to: ReplicaId, message: Message) -> None:
        """Send now, or as soon as the present term is durable."""
        if self.hard_number == 0 and not self.hard_dirty:
            self.outbox.append((to, message))
        elif len(self.held) < MAX_HELD_MESSAGES:
            self.held.append((to, message))

    def release_held(self) -> None:
        """The present term is durable: say what waited for that."""
        self.outbox.extend(self.held)
        self.held.clear()

    # -- term and role

    def pledge(self) -> None:
        """A leader was heard, or may have been before a restart."""
        if self.timing.lease_reads:
            self.pledged_until_us = self.now_us + self.timing.election_min_us

    def draw_timeout(self) -> int:
        """A new election timeout."""
        return self.random.randrange(self.timing.election_min_us, self.timing.election_max_us + 1)

    def promise(self, term: int, vote: ReplicaId | None) -> None:
        """Enter `term` and vote as given; both are durable before anything says so."""
        if term < self.term or (term == self.term and self.vote not in (None, vote)):
            raise AssertionError(
                f"group {self.group}: term {self.term} vote {self.vote} -> {term} {vote}"
            )
        if term > self.term:
            self.outbox.clear()
            self.held.clear()
            self.confirmed = False
            self.soft_dirty = True
        self.term = term
        self.vote = vote
        self.hard_dirty = True

    def become_follower(self, event: Event, term: int, leader: ReplicaId | None) -> None:
        """Follow `leader` in `term`, or nobody yet."""
        role = next_role(self.role, event)
        state = self.state
        since, timeout = self.now_us, 0
        if type(state) is Follower and leader is None and not state.covered:
            since, timeout = state.since_us, state.timeout_us
        elif type(state) is Leader:
            self.abandon_reads(state)
        if term > self.term:
            self.promise(term, None)
        self.state = Follower(since, timeout or self.draw_timeout())
        self._change(role, leader)

    def become_candidate(self, event: Event, forced: bool = False) -> Candidate:
        """Start asking for (pre-)votes; the term moves with the role CANDIDATE."""
        role = next_role(self.role, event)
        if role is Role.CANDIDATE:
            self.promise(self.term + 1, self.me)
        resend = self.now_us + self.timing.heartbeat_us
        campaign = Candidate(self.now_us + self.draw_timeout(), resend, forced=forced)
        self.state = campaign
        self._change(role, None)
        return campaign

    def become_leader(self, state: Leader) -> None:
        """Lead the present term."""
        role = next_role(self.role, Event.VOTE_WON)
        self.state = state
        self._change(role, self.me)

    def _change(self, role: Role, leader: ReplicaId | None) -> None:
        self.role = role
        self.leader = leader
        self.confirmed = False
        self.soft_dirty = True
        if leader is not None:
            self.check_confirmed()

    def abandon_reads(self, state: Leader) -> None:
        """This replica no longer leads: its waiting reads must be asked elsewhere."""
        reads = state.reads
        contexts = [context for round_ in reads.rounds for context in round_[3]]
        self.reads.extend(ReadState(context, -1) for context in contexts + reads.contexts)

    # -- commit

    def advance_commit(self, index: int) -> None:
        """Everything up to `index` is committed."""
        self.log.commit_to(index)
        if not self.confirmed:
            self.check_confirmed()

    def check_confirmed(self) -> None:
        """A leader is confirmed once an entry of its own term is committed.

        While a snapshot is being installed the stored log is no longer the one this `log`
        describes, so nothing is looked up in it; `snapshots` checks again afterwards.
        """
        if self.installing is not None or self.confirmed:
            return
        if self.leader is not None and self.log.term(self.log.commit) == self.term:
            self.confirmed = True
            self.soft_dirty = True

    # -- log

    def truncate(self, first: int) -> None:
        """Cut the log at `first`: configurations and claims about that part go with it."""
        self.log.truncate(first)
        self.membership.truncate(first)
        self.clip_writes(first - 1)

    def clip_writes(self, last: int) -> None:
        """No write in flight proves anything after `last` any more: other entries go there."""
        for write in self.writes:
            write.last_index = min(write.last_index, last)

    def may_campaign(self) -> bool:
        """A voter, with a term left, whose log is not about to be replaced.

        Also one that the newest configuration leaves out, until it knows that this is committed:
        those who hold that entry may all be left out, and nobody else could then be elected
        (dissertation, 4.2.2). It leads without counting itself.
        """
        membership = self.membership
        return (
            self.installing is None
            and self.term < MAX_TERM
            and (
                self.me in voters_of(membership.active)
                or (
                    membership.index > self.log.commit and self.me in voters_of(membership.previous)
                )
            )
        )
