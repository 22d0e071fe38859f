"""JoinGroup: ids, delays and time-outs."""

from __future__ import annotations

from partitions.coordinators.groups import GroupSettings
from tests.partitions.coordinators.groups.transcript import check


def test_a_member_gets_its_id_first_and_joins_with_it() -> None:
    check(
        """
        join a
          a: MEMBER_ID_REQUIRED a-1
        join a
          now PreparingRebalance 0
        wait 3
          a: a-1 in 1 range led by a-1 a-1= at 3 s
          now CompletingRebalance 1 at 3 s
        """,
    )


def test_an_id_that_is_not_joined_with_lapses_after_a_session() -> None:
    check(
        """
        join a session=6
          a: MEMBER_ID_REQUIRED a-1
        wait 6
        join a
          a: UNKNOWN_MEMBER_ID a-1
        """,
    )


def test_a_group_waits_for_pending_members_while_it_rebalances() -> None:
    check(
        """
        set a v=3
        settle a
          now Stable 1
        join b v=4
          b: MEMBER_ID_REQUIRED b-1
        join c v=3
          now PreparingRebalance 1
        beat a
          REBALANCE_IN_PROGRESS
        join a
        # Everyone is there but b, who has an id and has not come yet.
        wait 1
        join b
          a: a-1 in 2 range led by a-1 a-1= c-1= b-1=
          c: c-1 in 2 range led by a-1
          b: b-1 in 2 range led by a-1
          now CompletingRebalance 2
        """,
    )


def test_a_pending_member_that_leaves_or_lapses_holds_up_nothing() -> None:
    check(
        """
        set a v=3
        settle a
          now Stable 1
        join b v=4
          b: MEMBER_ID_REQUIRED b-1
        join c v=4
          c: MEMBER_ID_REQUIRED c-1
        join a protocols=range:new
          now PreparingRebalance 1
        leave b
          NONE
        wait 5
        beat a
          REBALANCE_IN_PROGRESS
        wait 5
          a: a-1 in 2 range led by a-1 a-1=new at 13 s
          now CompletingRebalance 2 at 13 s
        beat a
          NONE
        """,
    )


def test_only_so_many_ids_are_pending() -> None:
    check(
        """
        join a session=7
          a: MEMBER_ID_REQUIRED a-1
        join b session=6
          b: MEMBER_ID_REQUIRED b-1
        join c
          c: MEMBER_ID_REQUIRED c-1
        join b
          b: UNKNOWN_MEMBER_ID b-1
        join a
          now PreparingRebalance 0
        join c
        """,
        GroupSettings(pending_members_max=2),
    )


def test_versions_before_4_and_static_members_join_at_once() -> None:
    check(
        """
        join a v=3
          now PreparingRebalance 0
        join b static=i
        wait 6
          a: a-1 in 1 range led by a-1 a-1= b-1= at 6 s
          b: b-1 in 1 range led by a-1 at 6 s
          now CompletingRebalance 1 at 6 s
        """,
    )


def test_the_initial_delay_is_extended_while_members_come_up_to_the_rebalance_timeout() -> None:
    check(
        """
        join a v=3 rebalance=8
          now PreparingRebalance 0
        wait 2
        join b v=3 rebalance=8
        wait 3
        join c v=3 rebalance=8
        wait 2
        join d v=3 rebalance=8
        wait 1
          a: a-1 in 1 range led by a-1 a-1= b-1= c-1= d-1= at 8 s
          b: b-1 in 1 range led by a-1 at 8 s
          c: c-1 in 1 range led by a-1 at 8 s
          d: d-1 in 1 range led by a-1 at 8 s
          now CompletingRebalance 1 at 8 s
        """,
    )


def test_without_a_delay_the_first_member_is_served_by_the_next_tick() -> None:
    check(
        """
        join a v=3
          now PreparingRebalance 0
        wait 0
          a: a-1 in 1 range led by a-1 a-1= at 0 s
          now CompletingRebalance 1 at 0 s
        """,
        GroupSettings(initial_rebalance_delay_ms=0),
    )


def test_session_timeouts_out_of_bounds() -> None:
    check(
        """
        join a session=5.999
          a: INVALID_SESSION_TIMEOUT
        join a session=20.001
          a: INVALID_SESSION_TIMEOUT
        join a session=6
          a: MEMBER_ID_REQUIRED a-3
        join b session=20
          b: MEMBER_ID_REQUIRED b-1
        """,
        GroupSettings(min_session_timeout_ms=6000, max_session_timeout_ms=20000),
    )


def test_the_empty_group_id() -> None:
    check(
        """
        join a
          a: INVALID_GROUP_ID
        sync a
          a: sync INVALID_GROUP_ID
        beat a
          INVALID_GROUP_ID
        leave a
          INVALID_GROUP_ID
        """,
        group_id="",
    )


def test_unknown_members() -> None:
    check(
        """
        claim a nobody
        join a
          a: UNKNOWN_MEMBER_ID nobody
        beat a as 0
          UNKNOWN_MEMBER_ID
        sync a as 0
          a: sync UNKNOWN_MEMBER_ID
        leave a
          UNKNOWN_MEMBER_ID
        settle b
          now Stable 1
        join a
          a: UNKNOWN_MEMBER_ID nobody
        beat a as 1
          UNKNOWN_MEMBER_ID
        sync a as 1
          a: sync UNKNOWN_MEMBER_ID
        leave a
          UNKNOWN_MEMBER_ID
        expel nothing
          UNKNOWN_MEMBER_ID
        """,
    )


def test_a_rebalance_ends_when_all_have_joined_again() -> None:
    check(
        """
        set a v=3
        set b v=3
        settle a b
          now Stable 1
        join c v=3
          now PreparingRebalance 1
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


def test_those_who_do_not_join_in_time_are_dropped() -> None:
    check(
        """
        set a v=3 rebalance=8 session=30
        set b v=3 rebalance=9 session=30
        settle a b
          now Stable 1
        join c v=3 rebalance=1
          now PreparingRebalance 1
        join a
        wait 8
        wait 1
          a: a-1 in 2 range led by a-1 a-1= c-1= at 15 s
          c: c-1 in 2 range led by a-1 at 15 s
          now CompletingRebalance 2 at 15 s
        beat b
          UNKNOWN_MEMBER_ID
        """,
    )


def test_the_leader_that_does_not_join_in_time_is_succeeded_by_one_that_did() -> None:
    check(
        """
        set a v=3 rebalance=5 session=30
        set b v=3 rebalance=5 session=30
        settle a b
          now Stable 1
        join b protocols=range:new
          now PreparingRebalance 1
        wait 5
          b: b-1 in 2 range led by b-1 b-1=new at 10 s
          now CompletingRebalance 2 at 10 s
        """,
    )


def test_a_member_that_joins_twice_gets_one_generation_and_its_first_request_an_end() -> None:
    check(
        """
        set a v=3
        set b v=3
        settle a b
          now Stable 1
        join b protocols=range:new
          now PreparingRebalance 1
        join b
          b: REBALANCE_IN_PROGRESS b-1
        join a
          a: a-1 in 2 range led by a-1 a-1= b-1=new
          b: b-1 in 2 range led by a-1
          now CompletingRebalance 2
        """,
    )


def test_the_wait_of_a_new_member_is_bounded() -> None:
    check(
        """
        set a v=3 session=60
        settle a
          now Stable 1
        beat a
          NONE
        join b v=3
          now PreparingRebalance 1
        wait 20
          b: UNKNOWN_MEMBER_ID at 23 s
        """,
        GroupSettings(new_member_join_timeout_ms=20000),
    )


def test_a_waiting_member_needs_no_heartbeat() -> None:
    check(
        """
        set a v=3 session=6 rebalance=60
        set b v=3 session=60 rebalance=60
        settle a b
          now Stable 1
        join a protocols=range:new
          now PreparingRebalance 1
        wait 30
        beat b
          REBALANCE_IN_PROGRESS
        wait 29
        join b
          a: a-1 in 2 range led by a-1 a-1=new b-1=
          b: b-1 in 2 range led by a-1
          now CompletingRebalance 2
        """,
    )
