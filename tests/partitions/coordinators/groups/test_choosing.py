"""What members agree on, and how many there may be."""

from __future__ import annotations

from partitions.coordinators.groups import GroupSettings
from tests.partitions.coordinators.groups.transcript import check


def test_protocol_types_and_protocols_must_agree() -> None:
    check(
        """
        set a protocols=range:,sticky:
        settle a
          now Stable 1
        join b v=3 type=connect
          b: INCONSISTENT_GROUP_PROTOCOL
        join b type=consumer protocols=other:
          b: INCONSISTENT_GROUP_PROTOCOL
        join b protocols=
          b: INCONSISTENT_GROUP_PROTOCOL
        join b protocols=sticky:
          now PreparingRebalance 1
        """,
    )


def test_an_empty_group_takes_any_type_and_needs_one() -> None:
    check(
        """
        set a v=3
        settle a
          now Stable 1
        leave a
          NONE
          write 2: 2 - led by -
          now Empty 2
        join b v=3 type= protocols=range:
          b: INCONSISTENT_GROUP_PROTOCOL
        join b v=3 type=connect protocols=
          b: INCONSISTENT_GROUP_PROTOCOL
        join b v=3 type=connect protocols=range:
          now PreparingRebalance 2
        wait 3
          b: b-3 in 3 range led by b-3 b-3= at 6 s
          now CompletingRebalance 3 at 6 s
        """,
    )


def test_the_protocol_with_most_votes_among_those_all_support() -> None:
    check(
        """
        set a v=3 protocols=x:,range:,sticky:
        set b v=3 protocols=sticky:,range:
        set c v=3 protocols=sticky:,range:,y:
        join a
          now PreparingRebalance 0
        join b
        join c
        wait 6
          a: a-1 in 1 sticky led by a-1 a-1= b-1= c-1= at 6 s
          b: b-1 in 1 sticky led by a-1 at 6 s
          c: c-1 in 1 sticky led by a-1 at 6 s
          now CompletingRebalance 1 at 6 s
        """,
    )


def test_one_too_many() -> None:
    check(
        """
        set a v=3
        set b v=3
        settle a b
          now Stable 1
        join c
          c: GROUP_MAX_SIZE_REACHED
        join c v=3
          c: GROUP_MAX_SIZE_REACHED
        join a
          now PreparingRebalance 1
        """,
        GroupSettings(max_size=2),
    )


def test_a_group_that_got_too_large_sheds_its_slowest() -> None:
    check(
        """
        set a v=3
        set b v=3
        set c v=3
        settle a b c
          now Stable 1
        # The setting was lowered since.
        restore 2
          now PreparingRebalance 1
        join c
        join a
        join b
          b: GROUP_MAX_SIZE_REACHED
          a: a-1 in 2 range led by a-1 a-1= c-1=
          c: c-1 in 2 range led by a-1
          now CompletingRebalance 2
        """,
        GroupSettings(max_size=3),
    )


def test_a_full_group_takes_its_static_member_back() -> None:
    check(
        """
        set a static=i
        settle a
          now Stable 1
        restart a
        join a
          write 2: 1 range led by a-2 a-2=->xa
        commit
          a: a-2 in 1 range led by a-1
        """,
        GroupSettings(max_size=1),
    )
