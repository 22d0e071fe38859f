"""The soak's own judge: each kind of lie is found, and nothing honest is accused."""

from __future__ import annotations

import math

from tests.live.soak.history import NOTHING, History, Read, Sync, Write

PLACE = ("group", "topic", 0)


def wrote(value: int, start: float, end: float = math.inf, generation: int = 1) -> Write:
    acknowledged = end < math.inf
    return Write(PLACE, value, generation, "member", start, end, acknowledged)


def read(value: int, start: float, end: float) -> Read:
    return Read(PLACE, value, 1, start, end)


def synced(member: str, generation: int, at: float, *partitions: int) -> Sync:
    held = frozenset([("topic", each) for each in partitions])
    return Sync("group", generation, member, held, at, at + 1)


def test_what_was_acknowledged_may_not_be_missing() -> None:
    (found,) = History([wrote(1, 0, 1)], [read(NOTHING, 2, 3)]).violations()
    assert "commit 1 is lost" in found


def test_an_older_offset_may_not_come_back() -> None:
    (found,) = History([wrote(1, 0, 1), wrote(2, 2, 3)], [read(1, 4, 5)]).violations()
    assert "commit 2 is lost" in found


def test_what_one_reader_saw_the_next_one_sees() -> None:
    reads = [read(2, 3, 4), read(1, 5, 6)]
    (found,) = History([wrote(1, 0, 1), wrote(2, 2)], reads).violations()
    assert "commit 2 is lost" in found


def test_reads_beside_a_commit_may_see_either() -> None:
    reads = [read(1, 2, 5), read(2, 2, 5), read(1, 3, 9)]
    assert History([wrote(1, 0, 1), wrote(2, 3, 6)], reads).violations() == []


def test_a_commit_without_an_answer_may_come_late_in_its_generation() -> None:
    history = History([wrote(1, 0), wrote(2, 1, 2)], [read(2, 3, 4), read(1, 5, 6)])
    assert history.violations() == []


def test_but_not_after_it() -> None:
    history = History([wrote(1, 0), wrote(2, 5, 6, 2)], [read(1, 7, 8)], [synced("b", 2, 3)])
    (found,) = history.violations()
    assert "commit 2 is lost" in found


def test_a_refused_commit_is_never_seen() -> None:
    refused = wrote(1, 0)
    refused.refused = True
    (found,) = History([refused], [read(1, 2, 3)]).violations()
    assert "never committed" in found


def test_a_deletion_excuses_only_what_was_before_it() -> None:
    gone = wrote(NOTHING, 2, 3)
    assert History([wrote(1, 0, 1), gone], [read(NOTHING, 4, 5)]).violations() == []
    (found,) = History([wrote(1, 0, 1), gone, wrote(2, 4, 5)], [read(NOTHING, 6, 7)]).violations()
    assert "commit 2 is lost" in found


def test_a_deletion_that_was_acknowledged_lets_nothing_back() -> None:
    history = History([wrote(1, 0, 1), wrote(NOTHING, 2, 3)], [read(1, 4, 5)])
    (found,) = history.violations()
    assert "commit -1 is lost" in found


def test_one_owner_in_a_generation() -> None:
    (found,) = History(syncs=[synced("a", 1, 0, 0, 1), synced("b", 1, 0, 1, 2)]).violations()
    assert "two owners" in found
    assert History(syncs=[synced("a", 1, 0, 0), synced("b", 1, 0, 1)]).violations() == []


def test_generations_only_grow_unless_the_group_was_deleted() -> None:
    syncs = [synced("a", 2, 0, 0), synced("b", 1, 5, 0)]
    (found,) = History(syncs=syncs).violations()
    assert "generation goes back" in found
    assert History(syncs=syncs, deletions=[wrote(NOTHING, 3, 4)]).violations() == []


def test_a_static_member_that_was_replaced_commits_no_more() -> None:
    syncs = [
        Sync("group", 1, name, frozenset([("topic", 0)]), at, at + 1, "one")
        for name, at in (("member", 0), ("next", 4))
    ]
    assert (
        History([Write(PLACE, 1, 1, "member", 2, 3, True, False, "one")], [], syncs).violations()
        == []
    )
    (found,) = History(
        [Write(PLACE, 1, 1, "member", 6, 7, True, False, "one")], [], syncs
    ).violations()
    assert "replaced" in found


def test_a_commit_of_an_old_generation_is_refused() -> None:
    (found,) = History([wrote(1, 5, 6)], [], [synced("b", 2, 3, 0)]).violations()
    assert "old generation" in found
