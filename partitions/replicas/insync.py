"""`min.insync.replicas` above Raft's majority: acks=all then waits for that many replicas.

A minimum up to the majority needs nothing: a commit is durable on a majority already. Above
it, an entry that is committed is acknowledged once enough replicas hold it durably, or
refused with NOT_ENOUGH_REPLICAS_AFTER_APPEND when too few of them are connected.
"""

from __future__ import annotations

from collections.abc import Callable

from partitions.errors import ErrorCode, KafkaError
from raftlog.engine import Group
from raftlog.seams import Reactor
from raftlog.types import ReplicaId, Role

LOOK_AGAIN_US = 2_000


class InsyncGate:
    """Counts the replicas of one group."""

    __slots__ = ("_reactor", "_serves")

    def __init__(self, reactor: Reactor, serves: Callable[[ReplicaId, int], bool]) -> None:
        """`serves(replica, group)`: it is connected, or this very one, and not offline."""
        self._reactor = reactor
        self._serves = serves

    def check(self, group: Group, wanted: int) -> None:
        """NOT_ENOUGH_REPLICAS unless `wanted` voters are connected; before the append."""
        live = self._live(group)
        if live < wanted:
            text = f"{live} of at least {wanted} replicas (min.insync.replicas) are connected"
            raise KafkaError(ErrorCode.NOT_ENOUGH_REPLICAS, text)

    def wait(
        self, group: Group, index: int, wanted: int, done: Callable[[ErrorCode], None]
    ) -> None:
        """Call `done` once `wanted` voters hold the committed entry `index`, or cannot."""
        if group.node.role is not Role.LEADER:
            done(ErrorCode.NOT_LEADER_OR_FOLLOWER)
        elif self._holders(group, index) >= wanted:
            done(ErrorCode.NONE)
        elif self._live(group) < wanted:
            done(ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND)
        else:
            due = self._reactor.now_us() + LOOK_AGAIN_US
            self._reactor.call_at(due, lambda: self.wait(group, index, wanted, done))

    def _live(self, group: Group) -> int:
        return sum(self._serves(voter, group.id) for voter in group.node.configuration.voters)

    def _holders(self, group: Group, index: int) -> int:
        node = group.node
        others = sum(
            node.progress[replica].match >= index
            for replica in node.configuration.voters
            if replica != node.me and replica in node.progress
        )
        return others + (node.stable >= index)


def above_majority(group: Group, wanted: int) -> bool:
    """Does `wanted` ask for more than a commit already gives?"""
    return wanted > len(group.node.configuration.voters) // 2 + 1
