"""The leader's clockwork: heartbeats, check-quorum, and when it may sleep.

A follower is *covered* when the host's one heartbeat per peer process speaks for this group
too. A covered follower that has everything and knows it needs nothing from the group itself;
a leader all of whose followers are like that is asleep and has no deadline.

A follower that has not been heard for an election timeout is *silent*: it gets heartbeats at
that interval only, so that the loss of one process does not keep every group busy. It is back
at the full rate as soon as it answers, or asks for votes.
"""

from __future__ import annotations

from raftlog.core.progress import Progress
from raftlog.core.quorum import agreed
from raftlog.core.replica import Replica
from raftlog.core.roles import Event, Leader
from raftlog.messages import Heartbeat


def quiet(replica: Replica, leader: Leader) -> bool:
    """True when nothing is owed to anybody: the leader may sleep."""
    log = replica.log
    for progress in leader.peers.values():
        if not progress.covered or not progress.settled(log.last_index, log.commit):
            return False
    return not leader.reads.waiting and leader.transfer is None


def silent(replica: Replica, progress: Progress) -> bool:
    """True when the follower has not been heard for an election timeout."""
    heard = progress.heard_us
    return (
        heard >= 0
        and not progress.covered
        and replica.now_us - heard >= replica.timing.election_max_us
    )


def wake(replica: Replica, leader: Leader) -> None:
    """Called before what may end a rest: its old due time means nothing any more."""
    if leader.heartbeat_us is not None and _resting(replica, leader):
        leader.heartbeat_us = None


def hurry(replica: Replica, leader: Leader, progress: Progress) -> None:
    """A silent follower showed that it lives: speak to it at the next tick."""
    progress.beat_us = 0
    if leader.heartbeat_us is not None:
        leader.heartbeat_us = min(leader.heartbeat_us, replica.now_us)


def _resting(replica: Replica, leader: Leader) -> bool:
    """True when something is owed to silent followers at most."""
    log = replica.log
    for progress in leader.peers.values():
        settled = progress.covered and progress.settled(log.last_index, log.commit)
        if not settled and not silent(replica, progress):
            return False
    return not leader.reads.waiting and leader.transfer is None


def beat(replica: Replica, leader: Leader, progress: Progress) -> None:
    """Send one heartbeat; it asks about the newest ReadIndex round while one is open."""
    commit = min(progress.match, replica.log.commit)
    context = leader.reads.last_round if leader.reads.rounds else 0
    progress.told_commit = max(progress.told_commit, commit)
    progress.beat_us = replica.now_us
    replica.send(progress.replica, Heartbeat(replica.term, commit, context))


def tick(replica: Replica, leader: Leader) -> bool:
    """Send what is due and see whether a quorum answers; True at each heartbeat interval."""
    now = replica.now_us
    if leader.heartbeat_us is None:
        leader.heartbeat_us = now + replica.timing.heartbeat_us
    if now >= leader.check_us:
        _check_quorum(replica, leader)
        if replica.state is not leader:
            return False
    if now < leader.heartbeat_us:
        return False
    slow = replica.timing.election_max_us
    resting = _resting(replica, leader)
    leader.heartbeat_us = now + (slow if resting else replica.timing.heartbeat_us)
    log = replica.log
    reading = bool(leader.reads.rounds)
    for progress in leader.peers.values():
        if not reading:
            if progress.covered and progress.settled(log.last_index, log.commit):
                continue
            if now - progress.beat_us < slow and silent(replica, progress):
                continue
        beat(replica, leader, progress)
    return True


def _check_quorum(replica: Replica, leader: Leader) -> None:
    heard = _heard_by_majority(replica, leader, leader.voters)
    if leader.outgoing:
        heard = min(heard, _heard_by_majority(replica, leader, leader.outgoing))
    limit = replica.timing.election_max_us
    if replica.now_us - heard >= limit:
        replica.become_follower(Event.QUORUM_LOST, replica.term, None)
    else:
        leader.check_us = heard + limit


def _heard_by_majority(replica: Replica, leader: Leader, voters: tuple[Progress, ...]) -> int:
    """The latest time since which a majority of `voters` has been heard."""
    now = replica.now_us
    for progress in voters:
        if progress.covered or progress is leader.own or progress.heard_us < 0:
            progress.heard_us = now
    return agreed([progress.heard_us for progress in voters])
