"""Elections: pre-vote, vote, and who refuses to help.

Raft paper 5.2 and 5.4.1; pre-vote and leader stickiness from the dissertation, 9.6 and 4.2.3.

- A vote leaves only once (term, vote) is durable; a candidate's requests likewise, and its
  own vote counts only then. Both follow from `Replica.send` and `vote_durable`.
- A replica that hears a leader helps nobody against it, unless that leader hands over.
- A refusal carries the voter's term, so that a candidate with an old term and the better log
  catches up with the terms of those it needs (without this, pre-vote can deadlock).
"""

from __future__ import annotations

from raftlog.core import heartbeats, replication
from raftlog.core.membership import voters_of
from raftlog.core.quorum import Outcome, outcome
from raftlog.core.replica import Replica
from raftlog.core.roles import Candidate, Event, Follower, Leader
from raftlog.messages import VoteReply, VoteRequest
from raftlog.types import ReplicaId, Role


def campaign(replica: Replica) -> None:
    """Ask whether a quorum would vote for us; harmless to a leader that works."""
    state = replica.become_candidate(Event.ELECTION_DUE)
    state.votes[replica.me] = True
    _ask(replica, state)
    _count(replica, state)


def campaign_now(replica: Replica, event: Event) -> None:
    """Enter the next term as a candidate; the requests leave when that is durable."""
    state = replica.become_candidate(event, forced=event is Event.TIMEOUT_NOW)
    _ask(replica, state)


def vote_durable(replica: Replica) -> None:
    """The candidate's (term, vote) is on disk: its own vote counts."""
    state = replica.state
    if replica.role is Role.CANDIDATE and type(state) is Candidate:
        state.votes[replica.me] = True
        _count(replica, state)


def tick(replica: Replica, state: Candidate) -> None:
    """Ask again those who have not answered, or start over."""
    if replica.now_us >= state.due_us and not replica.promise_open:
        state.due_us = replica.now_us + replica.draw_timeout()  # a slow disk burns no terms
    elif replica.now_us >= state.due_us:
        if replica.may_campaign():
            campaign(replica)
        else:
            replica.become_follower(Event.VOTE_LOST, replica.term, None)
    elif replica.now_us >= state.resend_us:
        state.resend_us = replica.now_us + replica.timing.heartbeat_us
        if replica.promise_open:  # otherwise the first requests have not left yet
            _ask(replica, state)


def on_request(replica: Replica, sender: ReplicaId, request: VoteRequest) -> None:
    """Answer a vote or pre-vote request of any term, whoever asks.

    Whether the sender is a member is not asked: this replica's configuration may be behind, and
    the one that counts is the candidate's (Raft paper, section 6). A replica that was removed
    gets nowhere: whoever has a leader sticks to it, and the others have the better log.
    """
    if request.term > replica.term:
        if not request.forced and (_sticks_to_leader(replica) or pledged(replica)):
            _show_leadership(replica, sender)
            return
        if not request.pre_vote:
            replica.become_follower(Event.HIGHER_TERM, request.term, None)
    if request.pre_vote:
        granted = request.term > replica.term and _up_to_date(replica, request)
        term = request.term if granted else replica.term
        replica.send(sender, VoteReply(term, granted, True))
    else:
        replica.send(sender, VoteReply(replica.term, _vote(replica, sender, request), False))


def _show_leadership(replica: Replica, sender: ReplicaId) -> None:
    """Who asks a leader for votes does not hear it; that is no sign of support, though."""
    leader = replica.state
    progress = leader.peers.get(sender) if type(leader) is Leader else None
    if type(leader) is Leader and progress is not None and heartbeats.silent(replica, progress):
        heartbeats.hurry(replica, leader, progress)


def _vote(replica: Replica, sender: ReplicaId, request: VoteRequest) -> bool:
    state = replica.state
    if request.term < replica.term or type(state) is not Follower:
        return False
    if replica.vote == sender:
        return True
    if replica.vote is not None or replica.leader is not None:
        return False
    if pledged(replica) and not request.forced:
        return False
    if not _up_to_date(replica, request):
        return False
    replica.promise(replica.term, sender)
    state.since_us = replica.now_us
    return True


def on_reply(replica: Replica, sender: ReplicaId, reply: VoteReply) -> None:
    """Count a voter's answer, or learn of a later term from a refusal."""
    if sender not in voters_of(replica.membership.active):
        return
    if reply.term > replica.term and not (reply.pre_vote and reply.granted):
        replica.become_follower(Event.HIGHER_TERM, reply.term, None)
        return
    state = replica.state
    if type(state) is not Candidate or reply.pre_vote != (replica.role is Role.PRE_CANDIDATE):
        return
    if not _answers(replica.term, reply):
        return
    state.votes.setdefault(sender, reply.granted)
    _count(replica, state)


def _answers(term: int, reply: VoteReply) -> bool:
    if reply.pre_vote:
        return reply.term == term + 1 if reply.granted else True
    return reply.term == term


def _count(replica: Replica, state: Candidate) -> None:
    result = outcome(replica.membership.active, state.votes)
    if result is Outcome.LOST:
        replica.become_follower(Event.VOTE_LOST, replica.term, None)
    elif result is Outcome.WON:
        if replica.role is Role.PRE_CANDIDATE:
            campaign_now(replica, Event.PRE_VOTE_WON)
        else:
            replication.lead(replica)


def _ask(replica: Replica, state: Candidate) -> None:
    pre_vote = replica.role is Role.PRE_CANDIDATE
    request = VoteRequest(
        replica.term + pre_vote,
        replica.log.last_index,
        replica.log.last_term,
        pre_vote,
        state.forced,
    )
    for voter in voters_of(replica.membership.active):
        if voter != replica.me and voter not in state.votes:
            replica.send(voter, request)


def _up_to_date(replica: Replica, request: VoteRequest) -> bool:
    own = (replica.log.last_term, replica.log.last_index)
    return (request.last_term, request.last_index) >= own


def pledged(replica: Replica) -> bool:
    """True while some leader may rely on its lease with this replica (lease reads only)."""
    return replica.now_us < replica.pledged_until_us


def _sticks_to_leader(replica: Replica) -> bool:
    if replica.role is Role.LEADER:
        return True
    state = replica.state
    if type(state) is not Follower or replica.leader is None:
        return False
    return state.covered or replica.now_us - state.since_us < replica.timing.election_min_us
