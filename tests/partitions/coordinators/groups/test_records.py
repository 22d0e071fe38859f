"""Leaderships that are lost, records that are loaded, groups that are deleted."""

from __future__ import annotations

from tests.partitions.coordinators.groups.transcript import check


def test_a_leadership_that_is_lost() -> None:
    check(
        """
        set a v=3
        set b v=3
        set c v=3
        settle a b
          now Stable 1
        join c
          now PreparingRebalance 1
        join b
        drop
          b: NOT_COORDINATOR b-1
          c: NOT_COORDINATOR c-1
          now Dead 1
        join a
          a: COORDINATOR_NOT_AVAILABLE a-1
        sync a
          a: sync COORDINATOR_NOT_AVAILABLE
        beat a
          COORDINATOR_NOT_AVAILABLE
        leave a
          COORDINATOR_NOT_AVAILABLE
        commits a
          COORDINATOR_NOT_AVAILABLE
        delete
          GROUP_ID_NOT_FOUND
        wait 100
        commit
        """,
    )


def test_a_leadership_that_is_lost_while_assignments_are_written() -> None:
    check(
        """
        set a v=3
        join a
          now PreparingRebalance 0
        wait 3
          a: a-1 in 1 range led by a-1 a-1= at 3 s
          now CompletingRebalance 1 at 3 s
        sync a a-1=xa
          write 1: 1 range led by a-1 a-1=->xa
        drop
          a: sync NOT_COORDINATOR
          now Dead 1
        commit
        """,
    )


def test_a_new_coordinator_goes_on_where_the_record_says() -> None:
    check(
        """
        set a v=3 protocols=range:ma,sticky:sa
        set b v=3 protocols=range:mb
        settle a b
          now Stable 1
        wait 9
        beat b
          NONE
        restore
        wait 9
        beat a
          NONE
        beat b
          NONE
        commits a
          NONE
        sync b
          b: assigned xb
        describe
          Stable consumer range a-1(a /127.0.0.1)=ma->xa b-1(b /127.0.0.1)=mb->xb
        join b
          b: b-1 in 1 range led by a-1
        """,
    )


def test_a_new_coordinator_finds_an_empty_group() -> None:
    check(
        """
        set a v=3
        settle a
          now Stable 1
        leave a
          NONE
          write 2: 2 - led by -
          now Empty 2
        commit
        restore
        describe
          Empty consumer -
        wait 1
        set b v=3
        settle b
          now Stable 3
        """,
    )


def test_the_record_of_a_group_says_nothing_of_generations_without_assignments() -> None:
    check(
        """
        set a v=3
        set b v=3
        settle a
          now Stable 1
        join b
          now PreparingRebalance 1
        join a
          a: a-1 in 2 range led by a-1 a-1= b-1=
          b: b-1 in 2 range led by a-1
          now CompletingRebalance 2
        snapshot
          1 range led by a-1 a-1=->xa
        sync a a-1=new b-1=new
          write 2: 2 range led by a-1 a-1=->new b-1=->new
        snapshot
          2 range led by a-1 a-1=->new b-1=->new
        refuse NOT_LEADER_OR_FOLLOWER
          a: sync NOT_COORDINATOR
          now PreparingRebalance 2
        snapshot
          1 range led by a-1 a-1=->xa
        """,
    )


def test_deleting() -> None:
    check(
        """
        join a
          a: MEMBER_ID_REQUIRED a-1
        delete
          NONE
          write 1: none
          now Dead 0
        join a
          a: COORDINATOR_NOT_AVAILABLE a-1
        commit
        delete
          GROUP_ID_NOT_FOUND
        """,
    )


def test_deleting_is_refused_while_there_are_members() -> None:
    check(
        """
        set a v=3
        settle a
          now Stable 1
        delete
          NON_EMPTY_GROUP
        leave a
          NONE
          write 2: 2 - led by -
          now Empty 2
        delete
          NONE
          write 3: none
          now Dead 2
        join a
          a: COORDINATOR_NOT_AVAILABLE a-1
        commits a as none
          COORDINATOR_NOT_AVAILABLE
        refuse 2 NOT_ENOUGH_REPLICAS
        refuse 3 NOT_ENOUGH_REPLICAS
          now Empty 2
        snapshot
          1 range led by a-1 a-1=->xa
        delete
          NONE
          write 4: none
          now Dead 2
        commit
        snapshot
          none
        delete
          GROUP_ID_NOT_FOUND
        """,
    )
