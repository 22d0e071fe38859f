"""Heartbeats, leaving, offset commits and connections."""

from __future__ import annotations

from tests.partitions.coordinators.groups.transcript import check


def test_a_session_that_ends_starts_a_rebalance() -> None:
    check(
        """
        set a v=3
        set b v=3
        settle a b
          now Stable 1
        wait 6
        beat a
          NONE
        wait 4
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


def test_the_last_session_that_ends_leaves_an_empty_generation() -> None:
    check(
        """
        set a v=3
        settle a
          now Stable 1
        wait 10
          write 2: 2 - led by - at 13 s
          now Empty 2 at 13 s
        commit
        snapshot
          2 - led by -
        join a
          a: UNKNOWN_MEMBER_ID a-1
        restart a
        join a
          now PreparingRebalance 2
        """,
    )


def test_heartbeats_of_other_generations() -> None:
    check(
        """
        set a v=3
        settle a
          now Stable 1
        beat a as 0
          ILLEGAL_GENERATION
        beat a as 2
          ILLEGAL_GENERATION
        """,
    )


def test_leaving() -> None:
    check(
        """
        set a v=3
        set b v=3
        set c v=3
        settle a b c
          now Stable 1
        leave b c
          NONE NONE
          now PreparingRebalance 1
        leave b
          UNKNOWN_MEMBER_ID
        join a
          a: a-1 in 2 range led by a-1 a-1=
          now CompletingRebalance 2
        leave a
          NONE
          write 2: 3 - led by -
          now Empty 3
        """,
    )


def test_leaving_while_the_group_waits() -> None:
    check(
        """
        set a v=3
        set b v=3
        set c v=3
        settle a b c
          now Stable 1
        join a
          now PreparingRebalance 1
        join b
        leave c
          NONE
          a: a-1 in 2 range led by a-1 a-1= b-1=
          b: b-1 in 2 range led by a-1
          now CompletingRebalance 2
        sync b
        leave b
          NONE
          b: sync UNKNOWN_MEMBER_ID
          now PreparingRebalance 2
        join a
          a: a-1 in 3 range led by a-1 a-1=
          now CompletingRebalance 3
        """,
    )


def test_one_that_leaves_is_told_on_its_other_connection() -> None:
    check(
        """
        set a v=3
        set b v=3
        settle a b
          now Stable 1
        join b protocols=range:new
          now PreparingRebalance 1
        leave b
          NONE
          b: UNKNOWN_MEMBER_ID
        join a
          a: a-1 in 2 range led by a-1 a-1=
          now CompletingRebalance 2
        sync a
          write 2: 2 range led by a-1 a-1=->
        leave a
          NONE
          a: sync UNKNOWN_MEMBER_ID
          write 3: 3 - led by -
          now Empty 3
        """,
    )


def test_everyone_leaves_within_the_initial_delay() -> None:
    check(
        """
        join a
          a: MEMBER_ID_REQUIRED a-1
        join a
          now PreparingRebalance 0
        leave a
          NONE
          a: UNKNOWN_MEMBER_ID
        wait 3
          write 1: 1 - led by - at 3 s
          now Empty 1 at 3 s
        """,
    )


def test_offset_commits_are_fenced() -> None:
    check(
        """
        set a v=3
        commits a as none
          NONE
        claim b b-1
        commits b as 0
          UNKNOWN_MEMBER_ID
        commits b as -1
          NONE
        settle a
          now Stable 1
        commits a
          NONE
        commits a as 0
          ILLEGAL_GENERATION
        commits a as none
          UNKNOWN_MEMBER_ID
        commits a as none transactional
          NONE
        commits b as 1
          UNKNOWN_MEMBER_ID
        join a
          a: a-1 in 2 range led by a-1 a-1=
          now CompletingRebalance 2
        commits a
          REBALANCE_IN_PROGRESS
        commits a as 2 transactional
          NONE
        commits a as -1
          ILLEGAL_GENERATION
        """,
    )


def test_offset_commits_count_as_signs_of_life() -> None:
    check(
        """
        set a v=3
        set b v=3
        settle a b
          now Stable 1
        wait 9
        commits a
          NONE
        beat b
          NONE
        join b protocols=range:new
          now PreparingRebalance 1
        wait 9
        # Before it joins again, a member commits what it has done.
        commits a
          NONE
        wait 9
        beat a
          REBALANCE_IN_PROGRESS
        """,
    )


def test_a_client_whose_connection_broke_has_a_session_to_come_back() -> None:
    check(
        """
        set a v=3
        set b v=3
        settle a b
          now Stable 1
        join b protocols=range:new
          now PreparingRebalance 1
        hang up b
        wait 5
        beat a
          REBALANCE_IN_PROGRESS
        join b
        hang up b
        join a
        wait 10
          a: a-1 in 2 range led by a-1 a-1= at 21 s
          now CompletingRebalance 2 at 21 s
        """,
    )


def test_a_sync_whose_connection_broke() -> None:
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
        hang up b
        sync a a-1=xa b-1=xb
          write 1: 1 range led by a-1 a-1=->xa b-1=->xb
        hang up a
        commit
          now Stable 1
        sync b
          b: assigned xb
        wait 9
        beat b
          NONE
        wait 1
          now PreparingRebalance 1 at 16 s
        """,
    )
