from __future__ import annotations

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metadata.leaders import (
    ROWS_PER_MESSAGE_MAX,
    Leader,
    LeaderRow,
    LeaderTable,
    pack_rows,
    unpack_rows,
)
from raftlog.errors import PeerFault

# One leader per term, as Raft promises: the node is a function of group and term.
facts = st.builds(
    lambda group, term: LeaderRow(group, term, (group * 7 + term) % 5),
    st.integers(1, 6),
    st.integers(0, 8),
)


@given(st.lists(facts))
def test_the_higher_term_wins(rows: list[LeaderRow]) -> None:
    table = LeaderTable()
    oracle: dict[int, Leader] = {}
    for group, term, node in rows:
        known = oracle.get(group)
        news = known is None or known.term < term
        assert table.update(group, term, node) is news
        if news:
            oracle[group] = Leader(term, node)
    assert {group: table.leader(group) for group in oracle} == oracle
    assert len(table) == len(oracle)


@given(st.lists(facts), st.randoms(use_true_random=False))
def test_tables_agree_whatever_the_order(rows: list[LeaderRow], random: object) -> None:
    one, other = LeaderTable(), LeaderTable()
    one.apply(rows)
    shuffled = list(rows)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    other.apply(shuffled)
    assert sorted(one.since(0).rows) == sorted(other.since(0).rows)


@given(st.lists(st.lists(facts, max_size=4)), st.integers(1, 3), st.data())
def test_a_peer_that_asks_from_its_version_gets_all(
    batches: list[list[LeaderRow]], limit: int, data: st.DataObject
) -> None:
    source, copy = LeaderTable(), LeaderTable()
    version = 0
    for batch in batches:
        source.apply(batch)
        if data.draw(st.booleans()):
            delta = source.since(version, limit)
            assert len(delta.rows) <= limit
            copy.apply(delta.rows)
            version = delta.version
    while True:
        delta = source.since(version, limit)
        copy.apply(delta.rows)
        version = delta.version
        if delta.complete:
            break
    assert version == source.version
    assert sorted(copy.since(0).rows) == sorted(source.since(0).rows)
    assert source.since(version).rows == ()


def test_a_delta_has_only_what_changed_since() -> None:
    table = LeaderTable()
    table.apply([LeaderRow(1, 1, 1), LeaderRow(2, 1, 1)])
    version = table.version
    assert table.update(1, 2, 3)
    assert table.since(version).rows == (LeaderRow(1, 2, 3),)


def test_news_are_told_apart() -> None:
    table = LeaderTable()
    assert table.apply([LeaderRow(1, 1, 1), LeaderRow(1, 1, 1), LeaderRow(2, 1, 1)]) == (1, 2)


def test_two_leaders_in_one_term_are_somebodys_fault() -> None:
    table = LeaderTable()
    table.update(1, 4, 1)
    with pytest.raises(PeerFault, match="both lead term 4"):
        table.update(1, 4, 2)
    assert table.leader(1) == Leader(4, 1)


def test_forgotten_groups_are_gone() -> None:
    table = LeaderTable()
    table.apply([LeaderRow(1, 1, 1), LeaderRow(2, 1, 1)])
    version = table.version
    table.forget([1, 9])
    assert table.leader(1) is None
    assert len(table) == 1
    assert table.version == version + 1
    assert table.since(0).rows == (LeaderRow(2, 1, 1),)


@given(st.lists(facts))
def test_rows_round_trip_through_cbor(rows: list[LeaderRow]) -> None:
    assert unpack_rows(cbor2.loads(cbor2.dumps(pack_rows(rows)))) == tuple(rows)


@pytest.mark.parametrize(
    "raw",
    [
        None,
        {},
        [[1, 1]],
        [[1, 1, 1, 1]],
        [[1, 1, True]],
        [[1, 1, 1.0]],
        [[0, 1, 1]],
        [[1, -1, 1]],
        [[1, 2**31, 1]],
        [[1, 1, 2**31]],
        [[2**63, 1, 1]],
        [[1, 1, 1]] * (ROWS_PER_MESSAGE_MAX + 1),
    ],
)
def test_hostile_rows_are_refused(raw: object) -> None:
    with pytest.raises(PeerFault):
        unpack_rows(raw)
