"""Linearizable reads by ReadIndex (dissertation, 6.4).

A read is answered with the commit index noted when its round began, once a quorum has
confirmed this leadership in that round. Rounds are numbered here: a context that the caller
uses twice, or an answer to an earlier round, proves nothing. No round begins before an entry
of the leader's own term is committed, for until then `commit` may be behind what was
acknowledged by earlier leaders.

Leases (`Timing.lease_reads`, off unless asked for; dissertation, 6.4.1): a round that a quorum
has answered also proves that nobody else can lead for `election_min_us` after it began, as
long as clocks run alike within `clock_drift_ppm`; until then reads need no further round. What
it rests on: whoever answered helps no candidate for that time (`Replica.pledge`), also after a
restart, a change of term or a call to campaign. A leader that calls on another to campaign has
no lease any more, and a change of membership ends the one there is.
"""

from __future__ import annotations

from raftlog.core import heartbeats
from raftlog.core.progress import Progress
from raftlog.core.quorum import agreed
from raftlog.core.replica import Replica
from raftlog.core.roles import Leader
from raftlog.ready import ReadState

MAX_WAITING_READS = 1024
"""Contexts that wait at once; further ones are answered -1, "ask again"."""


def ask(replica: Replica, context: int, now_us: int) -> None:
    """Note a read; its round begins with the next Ready, unless the lease answers it."""
    leader = replica.state
    if type(leader) is not Leader or leader.reads.waiting >= MAX_WAITING_READS:
        replica.reads.append(ReadState(context, -1))
        return
    if 0 < now_us < leader.lease_until_us:
        replica.reads.append(ReadState(context, replica.log.commit))
        return
    heartbeats.wake(replica, leader)
    leader.reads.contexts.append(context)
    leader.reads.waiting += 1


def begin_round(replica: Replica, leader: Leader) -> None:
    """One round for all reads that came since the last."""
    reads = leader.reads
    reads.last_round += 1
    rounds = reads.rounds
    rounds.append((reads.last_round, replica.now_us, replica.log.commit, reads.contexts))
    reads.contexts = []
    leader.own.read_round = reads.last_round
    for progress in leader.peers.values():
        heartbeats.beat(replica, leader, progress)
    _answer(replica, leader)


def acknowledge(replica: Replica, leader: Leader, progress: Progress, round_: int) -> None:
    """The follower heard round `round_` and all before it from a leader of this term."""
    if progress.read_round < round_ <= leader.reads.last_round:
        progress.read_round = round_
        if leader.reads.rounds:
            _answer(replica, leader)


def _answer(replica: Replica, leader: Leader) -> None:
    confirmed = agreed([progress.read_round for progress in leader.voters])
    if leader.outgoing:
        confirmed = min(confirmed, agreed([p.read_round for p in leader.outgoing]))
    reads = leader.reads
    while reads.rounds and reads.rounds[0][0] <= confirmed:
        _, began_us, index, contexts = reads.rounds.popleft()
        if replica.timing.lease_reads and not leader.lease_void:
            leader.lease_until_us = began_us + replica.timing.lease_us
        reads.waiting -= len(contexts)
        replica.reads.extend(ReadState(context, index) for context in contexts)
