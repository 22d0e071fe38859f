"""Leadership transfer (dissertation, 3.10).

The leader stops taking proposals, waits until the target has all it holds, and tells it to
campaign at once; that campaign overrides stickiness. If nothing has come of it after an
election timeout the leader goes on leading.
"""

from __future__ import annotations

from raftlog.core.progress import Progress
from raftlog.core.replica import Replica
from raftlog.core.roles import Leader, Transfer
from raftlog.errors import Misconfigured, NotLeader
from raftlog.messages import TimeoutNow
from raftlog.types import ReplicaId


def begin(replica: Replica, target: ReplicaId) -> None:
    """Start handing over to `target`; replaces a transfer in progress."""
    leader = replica.state
    if type(leader) is not Leader:
        raise NotLeader(
            f"group {replica.group}: only the leader can transfer leadership", replica.leader
        )
    if target == replica.me:
        leader.transfer = None
        return
    if target not in replica.membership.active.voters:
        raise Misconfigured(f"group {replica.group}: {target} does not vote, so it cannot lead")
    leader.transfer = Transfer(target)
    advance(replica, leader, leader.peers[target])


def advance(replica: Replica, leader: Leader, progress: Progress) -> None:
    """Tell the target to campaign, once it has everything."""
    transfer = leader.transfer
    if transfer is None or transfer.told or transfer.target != progress.replica:
        return
    if progress.match == replica.log.last_index:
        transfer.told = True
        leader.lease_void = True
        leader.lease_until_us = 0
        replica.send(progress.replica, TimeoutNow(replica.term))


def tick(replica: Replica, leader: Leader) -> None:
    """Give up a transfer that is too old."""
    transfer = leader.transfer
    if transfer is None:
        return
    if transfer.due_us < 0:
        transfer.due_us = replica.now_us + replica.timing.election_max_us
    elif replica.now_us >= transfer.due_us:
        leader.transfer = None
