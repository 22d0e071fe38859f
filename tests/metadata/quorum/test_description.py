"""What a broker says of the quorum is checked before it is believed; observers are remembered
while they are registered."""

from __future__ import annotations

from typing import Any

import pytest

from metadata.quorum.description import QuorumMember, QuorumView, quorum_view
from metadata.quorum.fetch import Asked
from tests.metadata.quorum.voters import FOUNDING, Net, entries
from tests.metadata.samples import registered, replica

MEMBER = [1, b"d" * 16, 9, 100, -1]


def test_a_view() -> None:
    view = quorum_view([1, 7, 9, [MEMBER], []])
    assert view == QuorumView(1, 7, 9, (QuorumMember(1, b"d" * 16, 9, 100, -1),), ())


@pytest.mark.parametrize(
    "value",
    [
        None,
        [1, 7, 9, []],
        [True, 7, 9, [], []],
        [-1, 7, 9, [], []],
        [1, 2**31, 9, [], []],
        [1, 7, -1, [], []],
        [1, 7, "9", [], []],
        [1, 7, 9, {}, []],
        [1, 7, 9, [], [MEMBER] * 10_001],
        [1, 7, 9, [MEMBER[:4]], []],
        [1, 7, 9, [[1, b"short", 9, 1, 1]], []],
        [1, 7, 9, [[1, "d" * 16, 9, 1, 1]], []],
        [1, 7, 9, [[1, b"d" * 16, -2, 1, 1]], []],
        [1, 7, 9, [[1, b"d" * 16, 2**63, 1, 1]], []],
        [1, 7, 9, [[None, b"d" * 16, 9, 1, 1]], []],
    ],
)
def test_what_is_no_view(value: Any) -> None:
    with pytest.raises(ValueError, match="describe_quorum"):
        quorum_view(value)


def test_observers_are_remembered_as_long_as_they_are_registered() -> None:
    net = Net(1)
    (voter,) = net.voters.values()
    voter.commit(entries([*FOUNDING, [registered(9, 0)]]))
    for node in (9, *range(20, 40)):
        voter.source._fetch(replica(node), [2, 1000], lambda answer: None)
    assert set(voter.source.asked) == {replica(9), replica(39)}
    assert voter.source.asked[replica(9)] == Asked(2, net.reactor.now_us())
