"""The leader's clockwork: heartbeats, check-quorum, and when it may sleep.

A follower is *covered* when the host's one heartbeat per peer process speaks for this group
too. A covered follower that has everything and knows it needs nothing from the group itself;
a leader all of whose followers are like that is asleep and has no deadline.
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


def wake(replica: Replica, leader: Leader) -> None:
    """Called before what may end a sleep: its old due time means nothing any more."""
    if leader.heartbeat_us is not None and quiet(replica, leader):
        leader.heartbeat_us = None


def beat(replica: Replica, leader: Leader, progress: Progress) -> None:
    """Send one heartbeat; it asks about the newest ReadIndex round while one is open."""
    commit = min(progress.match, replica.log.commit)
    context = leader.reads.last_round if leader.reads.rounds else 0
    progress.told_commit = max(progress.told_commit, commit)
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
    leader.heartbeat_us = now + replica.timing.heartbeat_us
    log = replica.log
    reading = bool(leader.reads.rounds)
    for progress in leader.peers.values():
        covered = progress.covered and progress.settled(log.last_index, log.commit)
        if reading or not covered:
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
