"""The parts a replica plays: what each one remembers, and every legal change between them.

TRANSITIONS is the whole truth about role changes (Raft paper, figure 4, plus pre-vote), and
`diagram` draws the picture in docs/raft-roles.md from it. Every other pair of role and event is
in IMPOSSIBLE, with what keeps it from happening.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import Enum

from raftlog.core.progress import Progress
from raftlog.types import ReplicaId, Role, SnapshotMeta


class Event(Enum):
    """Why a role changes."""

    ELECTION_DUE = "no leader heard in time, or told to campaign"
    PRE_VOTE_WON = "a quorum would vote for us"
    TIMEOUT_NOW = "the leader hands over"
    VOTE_WON = "a quorum voted for us"
    VOTE_LOST = "a quorum refused"
    LEADER_SEEN = "another leads our term"
    HIGHER_TERM = "a later term exists"
    QUORUM_LOST = "no quorum heard in time"
    REMOVED = "voted out, and that is committed"


TRANSITIONS: dict[tuple[Role, Event], Role] = {
    (Role.FOLLOWER, Event.ELECTION_DUE): Role.PRE_CANDIDATE,
    (Role.FOLLOWER, Event.TIMEOUT_NOW): Role.CANDIDATE,
    (Role.FOLLOWER, Event.HIGHER_TERM): Role.FOLLOWER,
    (Role.PRE_CANDIDATE, Event.ELECTION_DUE): Role.PRE_CANDIDATE,
    (Role.PRE_CANDIDATE, Event.PRE_VOTE_WON): Role.CANDIDATE,
    (Role.PRE_CANDIDATE, Event.VOTE_LOST): Role.FOLLOWER,
    (Role.PRE_CANDIDATE, Event.LEADER_SEEN): Role.FOLLOWER,
    (Role.PRE_CANDIDATE, Event.HIGHER_TERM): Role.FOLLOWER,
    (Role.CANDIDATE, Event.ELECTION_DUE): Role.PRE_CANDIDATE,
    (Role.CANDIDATE, Event.VOTE_WON): Role.LEADER,
    (Role.CANDIDATE, Event.VOTE_LOST): Role.FOLLOWER,
    (Role.CANDIDATE, Event.LEADER_SEEN): Role.FOLLOWER,
    (Role.CANDIDATE, Event.HIGHER_TERM): Role.FOLLOWER,
    (Role.LEADER, Event.HIGHER_TERM): Role.FOLLOWER,
    (Role.LEADER, Event.QUORUM_LOST): Role.FOLLOWER,
    (Role.LEADER, Event.REMOVED): Role.FOLLOWER,
}

_ASKS_NOBODY = "it has asked for no votes: late answers to an earlier campaign are ignored"
_NOT_LEADING = "only a leader asks itself whether a quorum answers"
_FIRST_FOLLOWS = "who hands over leads: hearing it was LEADER_SEEN or HIGHER_TERM before"
_STAYS = "only a leader steps down for this: the others learn of it, and campaign no more"

IMPOSSIBLE: dict[tuple[Role, Event], str] = {
    (Role.FOLLOWER, Event.PRE_VOTE_WON): _ASKS_NOBODY,
    (Role.FOLLOWER, Event.VOTE_WON): _ASKS_NOBODY,
    (Role.FOLLOWER, Event.VOTE_LOST): _ASKS_NOBODY,
    (Role.FOLLOWER, Event.LEADER_SEEN): "it takes note of the leader and stays what it is",
    (Role.FOLLOWER, Event.QUORUM_LOST): _NOT_LEADING,
    (Role.FOLLOWER, Event.REMOVED): _STAYS,
    (Role.PRE_CANDIDATE, Event.TIMEOUT_NOW): _FIRST_FOLLOWS,
    (Role.PRE_CANDIDATE, Event.VOTE_WON): "it has asked for pre-votes only",
    (Role.PRE_CANDIDATE, Event.QUORUM_LOST): _NOT_LEADING,
    (Role.PRE_CANDIDATE, Event.REMOVED): _STAYS,
    (Role.CANDIDATE, Event.PRE_VOTE_WON): "it counts votes: late answers to a pre-vote are ignored",
    (Role.CANDIDATE, Event.TIMEOUT_NOW): _FIRST_FOLLOWS,
    (Role.CANDIDATE, Event.QUORUM_LOST): _NOT_LEADING,
    (Role.CANDIDATE, Event.REMOVED): _STAYS,
    (Role.LEADER, Event.ELECTION_DUE): "a leader waits for no leader, and need not campaign",
    (Role.LEADER, Event.PRE_VOTE_WON): _ASKS_NOBODY,
    (Role.LEADER, Event.TIMEOUT_NOW): "nobody else leads its term: whoever says so is refused",
    (Role.LEADER, Event.VOTE_WON): "it has won: the votes that follow are ignored",
    (Role.LEADER, Event.VOTE_LOST): "it has won: the votes that follow are ignored",
    (Role.LEADER, Event.LEADER_SEEN): "nobody else leads its term: whoever says so is refused",
}


def next_role(role: Role, event: Event) -> Role:
    """The role after `event`; AssertionError when the table does not allow it."""
    following = TRANSITIONS.get((role, event))
    if following is None:
        why = IMPOSSIBLE[role, event]
        raise AssertionError(f"{event.name} cannot happen to a {role.name}: {why}")
    return following


def diagram() -> str:
    """The table as a Mermaid state diagram."""
    lines = ["stateDiagram-v2", "    [*] --> FOLLOWER"]
    for (role, event), after in TRANSITIONS.items():
        lines.append(f"    {role.name} --> {after.name}: {event.name}")
    return "\n".join(lines) + "\n"


@dataclass(slots=True)
class Incoming:
    """A snapshot that is arriving; forgotten with the leader it comes from."""

    meta: SnapshotMeta
    cursor: int
    """The next byte wanted."""


@dataclass(slots=True)
class Follower:
    """Of a leader, or of none yet."""

    since_us: int
    """When the leader was last heard, or the wait for one began."""
    timeout_us: int
    covered: bool = False
    """The host hears the leader's process and vouches for it."""
    matched: int = 0
    """The log up to here is known to equal the leader's of this term."""
    acked: int = 0
    """Largest index acknowledged to this leader."""
    ack_due: bool = False
    incoming: Incoming | None = None


@dataclass(slots=True)
class Candidate:
    """For a pre-vote or a vote; the replica's role tells which."""

    due_us: int
    """When this attempt is over."""
    resend_us: int
    votes: dict[ReplicaId, bool] = field(default_factory=dict)
    """The first answer of each voter: repeated ones change nothing."""
    forced: bool = False


@dataclass(slots=True)
class ReadRounds:
    """Linearizable reads that wait for proof that this is still the leader."""

    contexts: list[int] = field(default_factory=list)
    """Not asked about yet."""
    rounds: deque[tuple[int, int, int, list[int]]] = field(default_factory=deque)
    """Asked about: (round number, when it began in us, index to read at, contexts)."""
    last_round: int = 0
    waiting: int = 0


@dataclass(slots=True)
class Transfer:
    """Leadership on its way to another replica."""

    target: ReplicaId
    due_us: int = -1
    """When it is given up; -1: to be set at the next tick."""
    told: bool = False


@dataclass(slots=True)
class Leader:
    """Of a term."""

    own: Progress
    """This replica's own durable log, counted like any other's."""
    peers: dict[ReplicaId, Progress]
    voters: tuple[Progress, ...]
    outgoing: tuple[Progress, ...]
    first_index: int
    """Of the no-op: nothing before it is committed by counting (Raft paper, 5.4.2)."""
    heartbeat_us: int | None
    """When heartbeats are due; None after sleep: to be set at the next tick."""
    check_us: int
    """When to see whether a quorum still answers."""
    send_due: bool = True
    """Something may be sendable that was not when `ready` last ran."""
    reads: ReadRounds = field(default_factory=ReadRounds)
    transfer: Transfer | None = None
    departing: list[ReplicaId] = field(default_factory=list)
    """Members of `peers` that the configuration in force leaves out; they are still to hear it."""
    lease_until_us: int = 0
    """Until then nobody else can lead (opt-in, see `reads`)."""
    lease_void: bool = False
    """A campaign was called for that overrides stickiness: no more leases in this term."""
