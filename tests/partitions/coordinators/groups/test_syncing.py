"""SyncGroup: assignments and their record."""

from __future__ import annotations

from tests.partitions.coordinators.groups.transcript import check


def test_assignments_are_given_out_when_their_record_is_committed() -> None:
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
        sync a a-1=xa b-1=xb stranger=xs
          write 1: 1 range led by a-1 a-1=->xa b-1=->xb
        beat a
          NONE
        beat b
          NONE
        commit
          a: assigned xa
          b: assigned xb
          now Stable 1
        """,
    )


def test_a_member_without_an_assignment_gets_an_empty_one() -> None:
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
        sync a a-1=xa
          write 1: 1 range led by a-1 a-1=->xa b-1=->
        sync b
        commit
          a: assigned xa
          b: assigned -
          now Stable 1
        """,
    )


def test_assignments_of_others_than_the_leader_count_for_nothing() -> None:
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
        sync b a-1=bad b-1=bad
        sync a a-1=xa b-1=xb
          write 1: 1 range led by a-1 a-1=->xa b-1=->xb
        commit
          a: assigned xa
          b: assigned xb
          now Stable 1
        """,
    )


def test_the_first_assignments_of_the_leader_count() -> None:
    check(
        """
        set a v=3
        join a
          now PreparingRebalance 0
        wait 3
          a: a-1 in 1 range led by a-1 a-1= at 3 s
          now CompletingRebalance 1 at 3 s
        sync a a-1=first
          write 1: 1 range led by a-1 a-1=->first
        sync a a-1=second
          a: sync REBALANCE_IN_PROGRESS
        commit
          a: assigned first
          now Stable 1
        sync a a-1=third
          a: assigned first
        """,
    )


def test_a_member_that_syncs_late_or_again_gets_its_assignment() -> None:
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
        sync a a-1=xa b-1=xb
          write 1: 1 range led by a-1 a-1=->xa b-1=->xb
        commit
          a: assigned xa
          now Stable 1
        sync b
          b: assigned xb
        sync b
          b: assigned xb
        wait 9
        beat a
          NONE
        beat b
          NONE
        """,
    )


def test_a_sync_of_another_generation_or_protocol() -> None:
    check(
        """
        set a v=3
        settle a
          now Stable 1
        sync a as 0
          a: sync ILLEGAL_GENERATION
        sync a as 2
          a: sync ILLEGAL_GENERATION
        set a sync_type=connect
        sync a
          a: sync INCONSISTENT_GROUP_PROTOCOL
        set a sync_type=consumer sync_protocol=sticky
        sync a
          a: sync INCONSISTENT_GROUP_PROTOCOL
        set a sync_protocol=range
        sync a
          a: assigned xa
        """,
    )


def test_those_who_do_not_sync_in_time_are_dropped() -> None:
    check(
        """
        set a v=3 rebalance=10 session=20
        set b v=3 rebalance=10 session=20
        join a
          now PreparingRebalance 0
        join b
        wait 6
          a: a-1 in 1 range led by a-1 a-1= b-1= at 6 s
          b: b-1 in 1 range led by a-1 at 6 s
          now CompletingRebalance 1 at 6 s
        sync a a-1=xa b-1=xb
          write 1: 1 range led by a-1 a-1=->xa b-1=->xb
        commit
          a: assigned xa
          now Stable 1
        wait 7
        beat a
          NONE
        beat b
          NONE
        # b lives, but it never asked for what it was assigned.
        wait 3
          now PreparingRebalance 1 at 16 s
        beat a
          REBALANCE_IN_PROGRESS
        beat b
          UNKNOWN_MEMBER_ID
        join a
          a: a-1 in 2 range led by a-1 a-1=
          now CompletingRebalance 2
        """,
    )


def test_a_leader_that_does_not_sync_in_time_is_dropped() -> None:
    check(
        """
        set a v=3 rebalance=10 session=20
        set b v=3 rebalance=10 session=20
        join a
          now PreparingRebalance 0
        join b
        wait 6
          a: a-1 in 1 range led by a-1 a-1= b-1= at 6 s
          b: b-1 in 1 range led by a-1 at 6 s
          now CompletingRebalance 1 at 6 s
        sync b
        wait 10
          b: sync REBALANCE_IN_PROGRESS at 16 s
          now PreparingRebalance 1 at 16 s
        join b
          b: b-1 in 2 range led by b-1 b-1=
          now CompletingRebalance 2
        """,
    )


def test_a_record_that_is_committed_too_late_says_nothing() -> None:
    check(
        """
        set a v=3
        join a
          now PreparingRebalance 0
        wait 3
          a: a-1 in 1 range led by a-1 a-1= at 3 s
          now CompletingRebalance 1 at 3 s
        sync a a-1=old
          write 1: 1 range led by a-1 a-1=->old
        join b v=3
          a: sync REBALANCE_IN_PROGRESS
          now PreparingRebalance 1
        commit
        join a
          a: a-1 in 2 range led by a-1 a-1= b-1=
          b: b-1 in 2 range led by a-1
          now CompletingRebalance 2
        sync a a-1=new b-1=new
          write 2: 2 range led by a-1 a-1=->new b-1=->new
        sync b
        commit
          a: assigned new
          b: assigned new
          now Stable 2
        """,
    )
