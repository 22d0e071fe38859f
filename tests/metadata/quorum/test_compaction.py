"""When a voter cuts its log: not before the followers it hears have passed, and not for ever."""

from __future__ import annotations

from typing import Any, cast

import pytest

from metadata.quorum import application
from raftlog.types import Configuration, SnapshotMeta
from tests.metadata.quorum.voters import TEN, TWENTY, Net, Step, Voter, entries, topic


class FakeNode:
    """What the application asks of its group's node."""

    def __init__(self) -> None:
        self.slowest_live_match = 0
        self.taken: list[int] = []

    def configuration_at(self, index: int) -> Configuration:
        return Configuration(())

    def snapshot_taken(self, meta: SnapshotMeta) -> None:
        self.taken.append(meta.position.index)


class FakeGroup:
    def __init__(self) -> None:
        self.node = FakeNode()


@pytest.fixture
def voter(monkeypatch: pytest.MonkeyPatch) -> Voter:
    """A voter that wants a snapshot every ten entries."""
    monkeypatch.setattr(application, "SNAPSHOT_ENTRIES", 10)
    made = Net(1).voters[1]
    made.app.group = cast("Any", FakeGroup())
    return made


def node(voter: Voter) -> FakeNode:
    return cast("FakeNode", voter.app.group.node)


def test_the_log_stays_while_a_follower_that_is_heard_is_behind(voter: Voter) -> None:
    node(voter).slowest_live_match = 9
    voter.commit(entries(TEN))
    assert node(voter).taken == []
    assert voter.app.log.snapshot().position.index == 0
    node(voter).slowest_live_match = 10
    voter.commit(entries(TWENTY[:11]))
    assert node(voter).taken == [10]
    log = voter.app.log
    assert [entry.index for entry in log.read(11, 12, 1 << 20)] == [11]


def test_it_goes_with_the_next_snapshot_at_the_latest(voter: Voter) -> None:
    voter.commit(entries(TEN))
    voter.commit(entries(TWENTY))
    assert node(voter).taken == [10]
    more: list[Step] = [*TWENTY, *[topic(number) for number in range(18, 28)]]
    voter.commit(entries(more))
    assert node(voter).taken == [10, 20]


def test_what_was_saved_is_the_state_at_that_point(voter: Voter) -> None:
    voter.commit(entries(TEN))
    voter.commit(entries(TWENTY))
    restored = Net(1).voters[1]
    restored.app.install(voter.app.log.snapshot(), voter.app.log.snapshot_bytes())
    assert restored.app.image.position.index == 10
    assert len(restored.app.image.topics) == 8
