"""Lines in the log about who leads: one per change, none in between."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from metadata.leaders import LeaderTable
from metadata.quorum.image_holder import ImageHolder
from partitions.server.announcements import GATHER_US, MISSED_US, Announcements
from raftlog.ready import SoftState
from raftlog.testing.reactor import VirtualReactor
from raftlog.types import ReplicaId, Role

ME, OTHER = 1, 2
GROUPS = range(1, 201)


class Spread:
    """The part of LeaderSpread that is listened to."""

    def __init__(self) -> None:
        self.table = LeaderTable()
        self.on_change: Any = None

    def learn(self, group: int, term: int, node: int) -> None:
        if self.table.update(group, term, node):
            self.on_change()


class Holder(ImageHolder):
    """An image of GROUPS."""

    @property
    def image(self) -> Any:
        return type("Image", (), {"groups": dict.fromkeys(GROUPS)})


class Rig:
    def __init__(self) -> None:
        self._virtual = VirtualReactor(1)
        self.spread, self.holder = Spread(), Holder()
        process = self._virtual.process("broker")
        Announcements(process, ME, self.holder, self.spread)  # type: ignore[arg-type]

    def pass_us(self, time_us: int) -> None:
        self._virtual.run_until(self._virtual.now_us() + time_us)

    def controller(self, node: int | None, term: int, *, confirmed: bool = True) -> None:
        leader = None if node is None else ReplicaId(node, b"d" * 16)
        self.holder.leadership(SoftState(Role.FOLLOWER, term, leader, confirmed))


@pytest.fixture
def lines() -> Iterator[list[Any]]:
    with capture_logs() as found:
        yield found


def test_new_partitions_say_nothing_and_a_lost_broker_says_one_line(lines: list[Any]) -> None:
    rig = Rig()
    for group in GROUPS:
        rig.spread.learn(group, 1, ME if group % 2 else OTHER)
    rig.pass_us(2 * GATHER_US)
    assert lines == []
    for group in GROUPS:
        if group % 2 == 0:
            rig.spread.learn(group, 2, ME)
    rig.pass_us(2 * GATHER_US)
    rig.pass_us(10 * GATHER_US)
    (line,) = lines
    assert (line["event"], line["taken"], line["lost"], line["led"]) == (
        "leaderships changed",
        *(100, 0, 200),
    )


def test_what_is_handed_over_is_said(lines: list[Any]) -> None:
    rig = Rig()
    rig.spread.learn(1, 1, ME)
    rig.spread.learn(2, 1, ME)
    rig.pass_us(2 * GATHER_US)
    rig.spread.learn(1, 2, OTHER)
    rig.spread.table.forget([2])  # its topic is deleted
    rig.pass_us(2 * GATHER_US)
    assert [(line["taken"], line["lost"], line["led"]) for line in lines] == [(0, 1, 0)]


def test_an_election_is_one_line_and_a_lost_quorum_a_warning(lines: list[Any]) -> None:
    rig = Rig()
    rig.controller(None, 0)
    rig.pass_us(10 * MISSED_US)
    assert lines == [], "it has not met a controller yet: the start says what it waits for"
    rig.controller(OTHER, 1, confirmed=False)
    rig.controller(OTHER, 1)
    rig.controller(None, 2)
    rig.pass_us(MISSED_US // 2)
    rig.controller(3, 2)
    rig.pass_us(10 * MISSED_US)
    assert [line["controller"] for line in lines] == [OTHER, 3]
    del lines[:]
    rig.controller(None, 3)
    rig.controller(None, 4)
    rig.pass_us(10 * MISSED_US)
    (line,) = lines
    assert (line["log_level"], line["last"]) == ("warning", 3)
    rig.controller(3, 2)
    assert [line["event"] for line in lines][1:] == ["controller found"]
    rig.controller(ME, 5)
    assert len(lines) == 2, "the controller itself says so in another line"
