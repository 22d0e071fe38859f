"""Static members (KIP-345)."""

from __future__ import annotations

from tests.partitions.coordinators.groups.transcript import check


def test_a_static_member_keeps_its_place_without_a_rebalance() -> None:
    check(
        """
        set a static=i protocols=range:ma
        set b v=3 protocols=range:mb
        settle b a
          now Stable 1
        restart a
        join a
          write 2: 1 range led by b-1 b-1=mb->xb a-2=ma->xa
        beat b
          NONE
        commit
          a: a-2 in 1 range led by b-1
        sync a
          a: assigned xa
        beat a
          NONE
        """,
    )


def test_an_old_client_that_leads_is_told_that_its_former_self_does() -> None:
    check(
        """
        set a static=i
        settle a
          now Stable 1
        restart a
        join a v=4
          write 2: 1 range led by a-2 a-2=->xa
        commit
          a: a-2 in 1 range led by a-1
        sync a
          a: assigned xa
        beat a
          NONE
        join a
          a: a-2 in 2 range led by a-2 a-2=
          now CompletingRebalance 2
        """,
    )


def test_a_new_client_that_leads_is_told_not_to_assign() -> None:
    check(
        """
        set a static=i v=9 protocols=range:ma
        set b v=9 protocols=range:mb
        settle a b
          now Stable 1
        restart a
        join a
          write 2: 1 range led by a-2 b-1=mb->xb a-2=ma->xa
        commit
          a: a-2 in 1 range led by a-2 b-1=mb a-2=ma skip
        sync a
          a: assigned xa
        """,
    )


def test_the_former_self_is_fenced() -> None:
    check(
        """
        set a static=i
        settle a
          now Stable 1
        set old static=i
        claim old a-1
        restart a
        join a
          write 2: 1 range led by a-2 a-2=->xa
        commit
          a: a-2 in 1 range led by a-1
        beat old as 1
          FENCED_INSTANCE_ID
        sync old as 1
          old: sync FENCED_INSTANCE_ID
        join old
          old: FENCED_INSTANCE_ID a-1
        leave old
          FENCED_INSTANCE_ID
        commits old as 1
          FENCED_INSTANCE_ID
        set old static=j
        beat old as 1
          UNKNOWN_MEMBER_ID
        """,
    )


def test_a_change_of_the_protocol_takes_a_rebalance() -> None:
    check(
        """
        set a static=i protocols=range:,sticky:
        set b v=3 protocols=range:,sticky:
        settle a b
          now Stable 1
        restart a
        join a protocols=sticky:
          now PreparingRebalance 1
        join b
          b: b-1 in 2 sticky led by a-2
          a: a-2 in 2 sticky led by a-2 b-1= a-2=
          now CompletingRebalance 2
        """,
    )


def test_coming_back_while_members_join() -> None:
    check(
        """
        set a static=i
        set b v=3
        settle a b
          now Stable 1
        join b protocols=range:new
          now PreparingRebalance 1
        restart a
        join a
          b: b-1 in 2 range led by a-2
          a: a-2 in 2 range led by a-2 b-1=new a-2=
          now CompletingRebalance 2
        """,
    )


def test_both_selves_join() -> None:
    check(
        """
        set a static=i
        set b v=3
        set c v=3
        settle a b c
          now Stable 1
        join b protocols=range:new
          now PreparingRebalance 1
        set twin static=i
        join a
        join twin
          a: FENCED_INSTANCE_ID a-1
        beat a
          FENCED_INSTANCE_ID
        join c
          b: b-1 in 2 range led by twin-1
          c: c-1 in 2 range led by twin-1
          twin: twin-1 in 2 range led by twin-1 b-1=new c-1= twin-1=
          now CompletingRebalance 2
        """,
    )


def test_coming_back_while_assignments_are_made() -> None:
    check(
        """
        set a static=i
        set b static=j
        join a
          now PreparingRebalance 0
        join b
        wait 6
          a: a-1 in 1 range led by a-1 a-1= b-1= at 6 s
          b: b-1 in 1 range led by a-1 at 6 s
          now CompletingRebalance 1 at 6 s
        sync b
        restart b
        join b
          b: sync FENCED_INSTANCE_ID
          now PreparingRebalance 1
        sync a a-1=xa b-1=xb
          a: sync REBALANCE_IN_PROGRESS
        join a
          a: a-1 in 2 range led by a-1 a-1= b-2=
          b: b-2 in 2 range led by a-1
          now CompletingRebalance 2
        """,
    )


def test_a_record_of_the_new_id_that_is_refused() -> None:
    check(
        """
        set a static=i
        set b v=3
        settle a b
          now Stable 1
        set old static=i
        claim old a-1
        restart a
        join a
          write 2: 1 range led by a-2 b-1=->xb a-2=->xa
        refuse NOT_LEADER_OR_FOLLOWER
          a: NOT_COORDINATOR
        beat old as 1
          NONE
        snapshot
          1 range led by a-1 a-1=->xa b-1=->xb
        """,
    )


def test_a_rebalance_overtakes_the_record_of_the_new_id() -> None:
    check(
        """
        set a static=i
        set b v=3
        settle a b
          now Stable 1
        restart a
        join a
          write 2: 1 range led by a-2 b-1=->xb a-2=->xa
        join b protocols=range:new
          b: b-1 in 2 range led by a-2
          a: a-2 in 2 range led by a-2 b-1=new a-2=
          now CompletingRebalance 2
        refuse NOT_ENOUGH_REPLICAS
        sync a a-2=xa b-1=xb
          write 3: 2 range led by a-2 b-1=new->xb a-2=->xa
        sync b
        commit
          b: assigned xb
          a: assigned xa
          now Stable 2
        """,
    )


def test_coming_back_twice_before_the_record() -> None:
    check(
        """
        set a static=i
        settle a
          now Stable 1
        restart a
        join a
          write 2: 1 range led by a-2 a-2=->xa
        restart a
        join a
          a: FENCED_INSTANCE_ID a-2
          write 3: 1 range led by a-3 a-3=->xa
        commit
          a: a-3 in 1 range led by a-2
        """,
    )


def test_static_members_outlive_a_rebalance_but_not_the_time_to_sync() -> None:
    check(
        """
        set a static=i session=60 rebalance=10
        set b v=3 session=60 rebalance=10
        settle a b
          now Stable 1
        join b protocols=range:new
          now PreparingRebalance 1
        wait 10
          b: b-1 in 2 range led by b-1 a-1= b-1=new at 16 s
          now CompletingRebalance 2 at 16 s
        sync b b-1=xb a-1=xa
          write 2: 2 range led by b-1 a-1=->xa b-1=new->xb
        commit
          b: assigned xb
          now Stable 2
        wait 10
          now PreparingRebalance 2 at 26 s
        """,
    )


def test_nobody_came_but_static_members_remain() -> None:
    check(
        """
        set a static=i session=30 rebalance=5
        set b v=3 session=8 rebalance=5
        settle a b
          now Stable 1
        wait 3
        beat a
          NONE
        wait 5
          now PreparingRebalance 1 at 13 s
        wait 5
        # Nobody joined: the time to join begins again.
        beat a
          REBALANCE_IN_PROGRESS
        join a
          a: a-1 in 2 range led by a-1 a-1=
          now CompletingRebalance 2
        """,
    )


def test_expelling_by_instance_id() -> None:
    check(
        """
        set a static=i
        set b static=j
        settle a b
          now Stable 1
        expel i nothing
          NONE UNKNOWN_MEMBER_ID
          now PreparingRebalance 1
        beat a
          UNKNOWN_MEMBER_ID
        join b
          b: b-1 in 2 range led by b-1 b-1=
          now CompletingRebalance 2
        """,
    )


def test_a_static_member_leaves_under_its_own_id_only() -> None:
    check(
        """
        set a static=i
        settle a
          now Stable 1
        set thief static=i
        claim thief other
        leave thief
          FENCED_INSTANCE_ID
        leave a
          NONE
          write 2: 2 - led by -
          now Empty 2
        """,
    )


def test_a_pending_member_cannot_turn_static() -> None:
    check(
        """
        join a v=4
          a: MEMBER_ID_REQUIRED a-1
        join a static=i
          a: UNKNOWN_MEMBER_ID a-1
        """,
    )
