"""Mistakes with votes, reads and leases."""

from __future__ import annotations

from typing import Any

from pytest import MonkeyPatch

from raftlog.core import changes, election, reads
from raftlog.core.membership import voters_of
from raftlog.core.replica import Replica
from raftlog.core.roles import Candidate, Event, Leader


def forgets_its_vote_when_it_steps_down(patch: MonkeyPatch) -> None:
    """A candidate or leader that becomes a follower within its term may vote again."""
    right = Replica.become_follower

    def become(self: Replica, event: Event, term: int, leader: Any) -> None:
        right(self, event, term, leader)
        self.vote = None

    patch.setattr(Replica, "become_follower", become)


def counts_answers_not_voters(patch: MonkeyPatch) -> None:
    """Every granted vote counts, whoever gave it and however often it arrives."""
    right = election.on_reply

    def on_reply(replica: Any, sender: Any, reply: Any) -> None:
        state = replica.state
        if type(state) is Candidate and reply.granted:
            voters = voters_of(replica.membership.active)
            sender = next((voter for voter in voters if voter not in state.votes), sender)
        right(replica, sender, reply)

    patch.setattr(election, "on_reply", on_reply)


def lets_anybody_disturb(patch: MonkeyPatch) -> None:
    """Neither pre-vote nor a leader to stick to."""

    def campaign(replica: Any) -> None:
        replica.become_candidate(Event.ELECTION_DUE)
        election.campaign_now(replica, Event.PRE_VOTE_WON)

    patch.setattr(election, "campaign", campaign)
    patch.setattr(election, "_sticks_to_leader", lambda replica: False)


def votes_for_known_voters_only(patch: MonkeyPatch) -> None:
    """A request of somebody that this replica's configuration does not list is dropped."""
    right = election.on_request

    def on_request(replica: Any, sender: Any, request: Any) -> None:
        if sender in voters_of(replica.membership.active):
            right(replica, sender, request)

    patch.setattr(election, "on_request", on_request)


def learners_do_not_vote(patch: MonkeyPatch) -> None:
    """Who does not list itself among the voters answers nobody."""
    right = election.on_request

    def on_request(replica: Any, sender: Any, request: Any) -> None:
        if replica.me in voters_of(replica.membership.active):
            right(replica, sender, request)

    patch.setattr(election, "on_request", on_request)


def learns_no_terms_from_refusals(patch: MonkeyPatch) -> None:
    """A pre-candidate of an old term goes on asking for that term."""
    right = election.on_reply

    def on_reply(replica: Any, sender: Any, reply: Any) -> None:
        if reply.granted or reply.term <= replica.term:
            right(replica, sender, reply)

    patch.setattr(election, "on_reply", on_reply)


def reads_before_its_no_op_is_committed(patch: MonkeyPatch) -> None:
    """A new leader answers at a commit that may be behind its predecessor's."""
    right = reads.ask

    def ask(replica: Any, context: int, now_us: int) -> None:
        right(replica, context, now_us)
        if type(replica.state) is Leader and replica.state.reads.contexts:
            reads.begin_round(replica, replica.state)

    patch.setattr(reads, "ask", ask)


def takes_any_answer_for_one_to_the_newest_round(patch: MonkeyPatch) -> None:
    """Rounds are not told apart."""
    right = reads.acknowledge

    def acknowledge(replica: Any, leader: Any, progress: Any, round_: int) -> None:
        right(replica, leader, progress, leader.reads.last_round)

    patch.setattr(reads, "acknowledge", acknowledge)


def lets_any_number_of_reads_wait(patch: MonkeyPatch) -> None:
    """The queue has no end."""
    patch.setattr(reads, "MAX_WAITING_READS", 1 << 30)


def confirms_reads_by_the_new_voters_alone(patch: MonkeyPatch) -> None:
    """While joint, the old voters are not asked whether this still is the leader."""
    right = reads._answer

    def answer(replica: Any, leader: Any) -> None:
        outgoing, leader.outgoing = leader.outgoing, ()
        right(replica, leader)
        leader.outgoing = outgoing

    patch.setattr(reads, "_answer", answer)


def reads_by_a_clock_that_stood_still(patch: MonkeyPatch) -> None:
    """The lease is compared with the time of the last event, not with the time of asking."""
    right = reads.ask

    def ask(replica: Any, context: int, now_us: int) -> None:
        right(replica, context, replica.now_us if now_us else 0)

    patch.setattr(reads, "ask", ask)


def keeps_its_lease_over_a_change(patch: MonkeyPatch) -> None:
    """The quorum that gave the lease need not be the one that elects the next leader."""
    right = changes._reconfigure

    def reconfigure(replica: Any, leader: Any, log: Any, configuration: Any) -> None:
        until = leader.lease_until_us
        right(replica, leader, log, configuration)
        leader.lease_until_us = until

    patch.setattr(changes, "_reconfigure", reconfigure)
