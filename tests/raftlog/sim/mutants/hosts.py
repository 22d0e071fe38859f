"""What clients are told: mistakes with answers and reads."""

from __future__ import annotations

from typing import Any

from pytest import MonkeyPatch

from raftlog.core import reads, transfer
from raftlog.core.replica import Replica
from raftlog.core.roles import Leader
from raftlog.core.timing import Timing
from raftlog.ready import ReadState
from raftlog.testing import replica as host
from tests.raftlog.sim.mutants.table import FAST_AND_SLOW, LEASES, STALE_READS, mutant


@mutant({"no acknowledged write is lost", "linearizable"}, fault=2)
def answers_clients_before_commit(patch: MonkeyPatch) -> None:
    """The host acknowledges a write when it is proposed."""
    right = host.Replica.write

    def write(self: Any, payload: bytes, span: int, done: Any) -> bool:
        base = self.node.next_offset
        accepted = right(self, payload, span, lambda ok, base, index: None)
        if accepted:
            done(True, base, 0)
        return accepted

    patch.setattr(host.Replica, "write", write)


@mutant({"only what is committed is applied"}, fault=8)
def shows_what_is_not_committed(patch: MonkeyPatch) -> None:
    """The host applies and serves what is in its log (a high watermark before the commit)."""
    right = host.Replica._apply

    def apply(self: Any, commit: int) -> None:
        right(self, self.store.visible.last_index)

    patch.setattr(host.Replica, "_apply", apply)


@mutant({"linearizable"}, fault=9, circumstances=STALE_READS)
def reads_without_a_quorum(patch: MonkeyPatch) -> None:
    """A leader serves reads on its own word."""

    def ask(replica: Any, context: int, now_us: int) -> None:
        leads = type(replica.state) is Leader
        replica.reads.append(ReadState(context, replica.log.commit if leads else -1))

    patch.setattr(reads, "ask", ask)


@mutant({"linearizable"}, circumstances=LEASES)
def pledges_nothing(patch: MonkeyPatch) -> None:
    """A follower that answered a read round helps others to lead as soon as it likes."""
    patch.setattr(Replica, "pledge", lambda self: None)


@mutant({"linearizable"}, circumstances=LEASES)
def counts_its_lease_from_the_answer(patch: MonkeyPatch) -> None:
    """The lease begins when a quorum has answered, not when the round that it answered began."""
    right = reads._answer

    def answer(replica: Any, leader: Any) -> None:
        before = leader.lease_until_us
        right(replica, leader)
        if leader.lease_until_us != before:
            leader.lease_until_us = replica.now_us + replica.timing.lease_us

    patch.setattr(reads, "_answer", answer)


@mutant({"linearizable"}, circumstances=FAST_AND_SLOW)
def takes_all_clocks_for_equal(patch: MonkeyPatch) -> None:
    """The lease is as long as the pledges, as if no clock ran slower than another."""
    patch.setattr(Timing, "lease_us", property(lambda timing: timing.election_min_us))


@mutant({"linearizable"}, circumstances=LEASES)
def keeps_its_lease_while_it_hands_over(patch: MonkeyPatch) -> None:
    """The target's campaign overrides what the lease relies on (etcd#12704, tikv#964)."""
    right = transfer.advance

    def advance(replica: Any, leader: Any, progress: Any) -> None:
        until = leader.lease_until_us
        right(replica, leader, progress)
        leader.lease_until_us, leader.lease_void = until, False

    patch.setattr(transfer, "advance", advance)
