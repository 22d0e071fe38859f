"""Changing who votes: joint consensus, learners first (Raft paper, section 6; dissertation, 4).

- A change begins only when the leader's own no-op is committed and no other configuration
  entry is open: without that guard two changes of different terms can each commit alone.
- Who is to vote learns first. A learner becomes a voter once its log is within one window of
  flow control of the leader's, so that the new quorum does not wait for a long catch-up.
- A change of voters is joint: its first entry needs a majority of the old voters and of the
  new ones. When that is committed the leader appends the second, which ends the joint
  configuration; a leader that takes over in between does so once its no-op is committed.
- A leader that is no longer a voter leads until its going is committed, without counting
  itself, and then hands over to the voter that has most of the log.
- Whoever is left out is still told so, if it listens: it learns that it need not campaign.
- A replica id stands for one log and one memory of votes, for ever. Whoever was removed and has
  forgotten them (its group was dropped, its disk was wiped) comes back under another id only:
  in the same term an ack of its former life would count for its empty log, and it could vote
  again in a term in which it has voted.
"""

from __future__ import annotations

from raftlog.core import heartbeats
from raftlog.core.log import Log
from raftlog.core.membership import (
    MAX_MEMBERS,
    encode_configuration,
    members_of,
)
from raftlog.core.progress import Progress, ProgressState
from raftlog.core.replica import Replica
from raftlog.core.roles import Event, Leader
from raftlog.errors import ChangeRefused, Misconfigured, NotLeader
from raftlog.messages import TimeoutNow
from raftlog.types import Configuration, Entry, EntryKind, ReplicaId


def propose(
    replica: Replica, voters: tuple[ReplicaId, ...], learners: tuple[ReplicaId, ...]
) -> Entry:
    """Append the first (or only) entry of the change to these members."""
    leader = replica.state
    if type(leader) is not Leader or not replica.confirmed:
        raise NotLeader(
            f"group {replica.group}: only a confirmed leader changes the membership", replica.leader
        )
    active = replica.membership.active
    _check_target(replica.group, voters, learners)
    if set(voters) == set(active.voters) and set(learners) == set(active.learners):
        raise Misconfigured(f"group {replica.group}: these already are its members")
    _check_open(replica, leader)
    for voter in voters:
        if voter not in active.voters:
            _check_caught_up(replica, leader, active, voter)
    heartbeats.wake(replica, leader)
    outgoing = () if set(voters) == set(active.voters) else active.voters
    return _append(replica, leader, Configuration(voters, outgoing, learners))


def _check_target(
    group: int, voters: tuple[ReplicaId, ...], learners: tuple[ReplicaId, ...]
) -> None:
    members = voters + learners
    if not voters:
        raise Misconfigured(f"group {group}: a configuration needs a voter")
    if len({member.node for member in members}) < len(members):
        raise Misconfigured(f"group {group}: a node can hold one replica of a group, once")
    if max(len(voters), len(learners)) > MAX_MEMBERS:
        raise Misconfigured(f"group {group}: at most {MAX_MEMBERS} voters and as many learners")


def _check_open(replica: Replica, leader: Leader) -> None:
    if leader.transfer is not None:
        raise ChangeRefused(f"group {replica.group}: leadership is being transferred; try again")
    if replica.membership.active.outgoing or replica.membership.index > replica.log.commit:
        raise ChangeRefused(
            f"group {replica.group}: the change at entry {replica.membership.index} is not "
            "complete; try again when it is"
        )


def _check_caught_up(
    replica: Replica, leader: Leader, active: Configuration, voter: ReplicaId
) -> None:
    if voter not in active.learners:
        raise ChangeRefused(
            f"group {replica.group}: {voter} has to be a learner before it can vote"
        )
    progress = leader.peers[voter]
    if not caught_up(replica, progress):
        raise ChangeRefused(
            f"group {replica.group}: learner {voter} has entries up to {progress.match} of "
            f"{replica.log.last_index}; try again when it has caught up"
        )


def caught_up(replica: Replica, progress: Progress) -> bool:
    """True when the follower lacks no more than one window of flow control, and is heard."""
    lag = replica.log.commit - progress.match
    return (
        progress.state is ProgressState.REPLICATE
        and lag <= replica.timing.max_inflight_messages
        and not heartbeats.silent(replica, progress)
    )


def _append(replica: Replica, leader: Leader, configuration: Configuration) -> Entry:
    log = replica.log
    payload = encode_configuration(configuration)
    index = log.last_index + 1
    entry = Entry(index, replica.term, EntryKind.CONFIG, log.next_offset, 0, payload)
    log.append(entry)
    replica.membership.append(index, configuration)
    _reconfigure(replica, leader, log, configuration)
    return entry


def _reconfigure(replica: Replica, leader: Leader, log: Log, configuration: Configuration) -> None:
    """Make the leader's books those of the configuration now in force."""
    peers, own = leader.peers, leader.own
    members = members_of(configuration)
    for member in members:
        if member != replica.me and member not in peers:
            peers[member] = Progress(member, log.last_index, replica.now_us)
    leader.departing = [member for member in peers if member not in members]
    counted = {**peers, replica.me: own}
    leader.voters = tuple(counted[voter] for voter in configuration.voters)
    leader.outgoing = tuple(counted[voter] for voter in configuration.outgoing)
    leader.lease_until_us = 0  # the quorum that gave it is not the one that counts now
    leader.send_due = True


def committed(replica: Replica, leader: Leader) -> None:
    """The commit of an entry of the leader's own term moved: go on with what it completes."""
    membership = replica.membership
    active = membership.active
    if membership.index > replica.log.commit:
        return
    if active.outgoing:
        _append(replica, leader, Configuration(active.voters, (), active.learners))
    elif replica.me not in active.voters:
        _retire(replica, leader, active)


def _retire(replica: Replica, leader: Leader, active: Configuration) -> None:
    """This leader was voted out, and that is final: let the best of the others take over."""
    successor = max(active.voters, key=lambda voter: leader.peers[voter].match)
    term = replica.term
    replica.become_follower(Event.REMOVED, term, None)
    replica.send(successor, TimeoutNow(term))


def dismiss(replica: Replica, leader: Leader) -> None:
    """Forget the departed who know that they are, or who cannot be told."""
    last = replica.membership.index
    for member in list(leader.departing):
        progress = leader.peers[member]
        if progress.heard_us < 0:
            progress.heard_us = replica.now_us
        if (
            progress.known_commit >= last
            or progress.state is ProgressState.SNAPSHOT
            or heartbeats.silent(replica, progress)
        ):
            leader.departing.remove(member)
            del leader.peers[member]
