"""Joining again, and what makes a group rebalance."""

from __future__ import annotations

from tests.partitions.coordinators.groups.transcript import check


def test_a_new_member_while_assignments_are_made() -> None:
    check(
        """
        set a v=3
        set b v=3
        join a
          now PreparingRebalance 0
        join b
        wait 6
          a: a-1 in 1 range led by a-1 a-1= b-1= at 6 s
          b: b-1 in 1 range led by a-1 at 6 s
          now CompletingRebalance 1 at 6 s
        sync b
        join c v=3
          b: sync REBALANCE_IN_PROGRESS
          now PreparingRebalance 1
        sync a a-1=xa b-1=xb
          a: sync REBALANCE_IN_PROGRESS
        beat a
          REBALANCE_IN_PROGRESS
        join a
        join b
          a: a-1 in 2 range led by a-1 a-1= b-1= c-1=
          b: b-1 in 2 range led by a-1
          c: c-1 in 2 range led by a-1
          now CompletingRebalance 2
        """,
    )


def test_a_record_that_is_refused_makes_everyone_join_again() -> None:
    check(
        """
        set a v=3
        set b v=3
        join a
          now PreparingRebalance 0
        join b
        wait 6
          a: a-1 in 1 range led by a-1 a-1= b-1= at 6 s
          b: b-1 in 1 range led by a-1 at 6 s
          now CompletingRebalance 1 at 6 s
        sync b
        sync a a-1=xa b-1=xb
          write 1: 1 range led by a-1 a-1=->xa b-1=->xb
        refuse NOT_ENOUGH_REPLICAS
          a: sync COORDINATOR_NOT_AVAILABLE
          b: sync COORDINATOR_NOT_AVAILABLE
          now PreparingRebalance 1
        snapshot
          none
        join a
        join b
          a: a-1 in 2 range led by a-1 a-1= b-1=
          b: b-1 in 2 range led by a-1
          now CompletingRebalance 2
        sync a a-1=ya b-1=yb
          write 2: 2 range led by a-1 a-1=->ya b-1=->yb
        refuse MESSAGE_TOO_LARGE
          a: sync UNKNOWN_SERVER_ERROR
          now PreparingRebalance 2
        """,
    )


def test_a_follower_that_joins_unchanged_gets_its_generation_back() -> None:
    check(
        """
        set a v=3 protocols=range:ma
        set b v=3 protocols=range:mb
        join a
          now PreparingRebalance 0
        join b
        wait 6
          a: a-1 in 1 range led by a-1 a-1=ma b-1=mb at 6 s
          b: b-1 in 1 range led by a-1 at 6 s
          now CompletingRebalance 1 at 6 s
        join b
          b: b-1 in 1 range led by a-1
        join a
          a: a-1 in 1 range led by a-1 a-1=ma b-1=mb
        sync a a-1=xa b-1=xb
          write 1: 1 range led by a-1 a-1=ma->xa b-1=mb->xb
        commit
          a: assigned xa
          now Stable 1
        join b
          b: b-1 in 1 range led by a-1
        sync b
          b: assigned xb
        """,
    )


def test_a_changed_member_and_a_leader_that_joins_again_start_a_rebalance() -> None:
    check(
        """
        set a v=3 protocols=range:ma
        set b v=3 protocols=range:mb
        settle a b
          now Stable 1
        join b protocols=range:new
          now PreparingRebalance 1
        join a
          a: a-1 in 2 range led by a-1 a-1=ma b-1=new
          b: b-1 in 2 range led by a-1
          now CompletingRebalance 2
        sync a a-2=ignored a-1=xa b-1=xb
          write 2: 2 range led by a-1 a-1=ma->xa b-1=new->xb
        sync b
        commit
          a: assigned xa
          b: assigned xb
          now Stable 2
        join a
          now PreparingRebalance 2
        beat b
          REBALANCE_IN_PROGRESS
        join b
          a: a-1 in 3 range led by a-1 a-1=ma b-1=new
          b: b-1 in 3 range led by a-1
          now CompletingRebalance 3
        """,
    )


def test_a_change_while_assignments_are_made() -> None:
    check(
        """
        set a v=3
        set b v=3
        join a
          now PreparingRebalance 0
        join b
        wait 6
          a: a-1 in 1 range led by a-1 a-1= b-1= at 6 s
          b: b-1 in 1 range led by a-1 at 6 s
          now CompletingRebalance 1 at 6 s
        sync b
        join a protocols=range:new
          b: sync REBALANCE_IN_PROGRESS
          now PreparingRebalance 1
        join b
          a: a-1 in 2 range led by a-1 a-1=new b-1=
          b: b-1 in 2 range led by a-1
          now CompletingRebalance 2
        """,
    )
