from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metadata.controller import Candidate, place
from metadata.controller.placement import Replicas
from metadata.errors import ErrorCode, MetadataError
from raftlog.types import ReplicaId
from tests.metadata.samples import replica


def candidates(racks: Sequence[str | None]) -> list[Candidate]:
    return [Candidate(replica(node), rack) for node, rack in enumerate(racks)]


def spread(counts: Counter[ReplicaId], members: list[Candidate]) -> int:
    numbers = [counts[member.replica] for member in members]
    return max(numbers) - min(numbers)


def leaders(layout: list[Replicas]) -> Counter[ReplicaId]:
    return Counter(replicas[0] for replicas in layout)


def copies(layout: list[Replicas]) -> Counter[ReplicaId]:
    return Counter(one for replicas in layout for one in replicas)


@given(st.integers(1, 9), st.data())
def test_leaders_and_replicas_are_even_within_a_topic(brokers: int, data: st.DataObject) -> None:
    members = candidates([None] * brokers)
    factor = data.draw(st.integers(1, brokers))
    start, partitions = data.draw(st.integers(0, 10**6)), data.draw(st.integers(1, 40))
    layout = place(members, partitions, factor, start)
    assert len(layout) == partitions
    assert all(len(set(replicas)) == factor for replicas in layout)
    assert spread(leaders(layout), members) <= 1
    assert spread(copies(layout), members) <= 1


@given(st.integers(1, 9), st.data())
def test_leaders_and_replicas_stay_even_over_equal_topics(
    brokers: int, data: st.DataObject
) -> None:
    members = candidates([None] * brokers)
    factor, partitions = data.draw(st.integers(1, brokers)), data.draw(st.integers(1, 7))
    start, total = 0, list[Replicas]()
    for _ in range(data.draw(st.integers(1, 12))):
        total += place(members, partitions, factor, start)
        start += partitions
        assert spread(leaders(total), members) <= 1
        assert spread(copies(total), members) <= 1


@given(st.integers(1, 4), st.integers(1, 4), st.data())
def test_equal_racks_are_all_used_and_even(racks: int, size: int, data: st.DataObject) -> None:
    names = data.draw(st.permutations([f"r{n % racks}" for n in range(racks * size)]))
    members = candidates(names)
    factor = data.draw(st.integers(1, len(members)))
    layout = place(members, data.draw(st.integers(1, 40)), factor, data.draw(st.integers(0, 999)))
    check_racks(layout, members, factor)
    assert spread(leaders(layout), members) <= 1
    assert spread(copies(layout), members) <= 1


@given(st.lists(st.sampled_from(["a", "b", "c", None]), min_size=1, max_size=8), st.data())
def test_unequal_racks_are_all_used_and_leaders_even(
    racks: list[str | None], data: st.DataObject
) -> None:
    members = candidates(racks)
    factor = data.draw(st.integers(1, len(members)))
    layout = place(members, data.draw(st.integers(1, 40)), factor, data.draw(st.integers(0, 999)))
    assert all(len(set(replicas)) == factor for replicas in layout)
    check_racks(layout, members, factor)
    assert spread(leaders(layout), members) <= 1


def check_racks(layout: list[Replicas], members: list[Candidate], factor: int) -> None:
    rack = {m.replica: m.rack or f"own {m.replica.node}" for m in members}
    possible = min(factor, len(set(rack.values())))
    assert all(len({rack[one] for one in replicas}) == possible for replicas in layout)


@given(st.permutations(range(6)), st.integers(0, 100))
def test_the_order_of_candidates_does_not_matter(order: list[int], start: int) -> None:
    members = candidates(["a", "b", "a", None, "b", "c"])
    shuffled = [members[at] for at in order]
    assert place(shuffled, 5, 3, start) == place(members, 5, 3, start)


def test_three_brokers_three_replicas() -> None:
    layout = place(candidates([None] * 3), 3, 3, 0)
    assert [[one.node for one in replicas] for replicas in layout] == [
        [0, 1, 2],
        [1, 2, 0],
        [2, 0, 1],
    ]


@pytest.mark.parametrize(("brokers", "factor"), [(0, 1), (2, 3), (2, 0), (2, -1)])
def test_factors_that_cannot_be_met_are_refused(brokers: int, factor: int) -> None:
    with pytest.raises(MetadataError) as refused:
        place(candidates([None] * brokers), 1, factor, 0)
    assert refused.value.code is ErrorCode.INVALID_REPLICATION_FACTOR
