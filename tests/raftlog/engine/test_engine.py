"""Three engines on virtual disks with the real write-ahead log."""

from __future__ import annotations

import errno
from functools import partial
from itertools import count

import pytest

from raftlog.engine import Outcome
from raftlog.types import EntryKind
from tests.raftlog.engine.rig import Node, Rig


class Writer:
    """Proposes numbered payloads to whoever leads and notes which are acknowledged."""

    def __init__(self, rig: Rig, group: int = 1) -> None:
        self.rig = rig
        self.group = group
        self.numbers = count()
        self.acknowledged: list[bytes] = []
        self.unknown: list[bytes] = []

    def write(self, amount: int) -> None:
        leader = self.rig.wait_leader(self.group)
        for _ in range(amount):
            payload = b"%08d" % next(self.numbers)
            on_done = partial(self._done, payload)
            leader.group(self.group).propose(EntryKind.DATA, 1, payload, on_done)

    def _done(self, payload: bytes, outcome: Outcome) -> None:
        (self.acknowledged if outcome is Outcome.DONE else self.unknown).append(payload)

    def wait(self) -> None:
        """Until every proposal has its outcome."""
        expected = len(self.acknowledged) + len(self.unknown)
        leader = self.rig.wait_leader(self.group)
        assert self.rig.reactor.run_until(
            lambda: not leader.group(self.group).waiters, limit_us=self.rig.reactor.now_us() + 10**7
        )
        assert len(self.acknowledged) + len(self.unknown) >= expected


def everywhere(rig: Rig, writer: Writer) -> None:
    """Every live node applied the same, and everything acknowledged is in it."""
    rig.run(1.0)
    logs = [node.apps[writer.group].payloads for node in rig.nodes if node.process is not None]
    assert all(log == logs[0] for log in logs)
    missing = set(writer.acknowledged) - set(logs[0])
    assert not missing
    assert len(logs[0]) == len(set(logs[0]))


def test_acknowledged_writes_are_on_every_replica() -> None:
    rig = Rig(1)
    writer = Writer(rig)
    writer.write(200)
    writer.wait()
    assert len(writer.acknowledged) == 200
    everywhere(rig, writer)


def test_a_pass_makes_one_round_of_many_proposals() -> None:
    rig = Rig(2)
    writer = Writer(rig)
    rig.wait_leader()
    rig.run(1.0)
    leader = rig.wait_leader()
    before = leader.engine.statistics().rounds
    writer.write(100)
    writer.wait()
    assert leader.engine.statistics().rounds - before <= 2


@pytest.mark.parametrize("seed", range(8))
def test_acknowledged_writes_survive_crashes_of_any_node(seed: int) -> None:
    rig = Rig(seed)
    writer = Writer(rig)
    for turn in range(9):
        writer.write(60)
        rig.run(0.0003 * (turn + 1))  # crash with rounds written, synced, acknowledged or not
        victim = rig.nodes[turn % 3]
        victim.crash()
        rig.run(2.0)
        victim.start()
        rig.run(0.5)
    writer.write(10)
    writer.wait()
    everywhere(rig, writer)
    assert len(writer.acknowledged) >= 10


@pytest.mark.parametrize("seed", range(6))
def test_acknowledged_writes_survive_power_loss_of_all_nodes(seed: int) -> None:
    rig = Rig(seed)
    writer = Writer(rig)
    for turn in range(5):
        writer.write(100)
        rig.run(0.0002 * (turn + seed + 1))
        for node in rig.nodes:
            node.crash()
        for node in rig.nodes:
            node.start()
        rig.run(2.0)
    writer.write(1)
    writer.wait()
    everywhere(rig, writer)


def test_parts_are_recycled_while_writes_go_on_and_recovery_still_finds_all() -> None:
    rig = Rig(3, groups=3)
    writers = [Writer(rig, group) for group in (1, 2, 3)]
    for _ in range(60):
        for writer in writers[:2]:  # group 3 stays idle: its facts are carried forward
            writer.write(20)
        rig.run(0.05)
    writers[2].write(1)
    for writer in writers:
        writer.wait()
    statistics = [node.engine.wal.statistics() for node in rig.nodes]
    assert all(s.rolls >= 3 and s.parts < s.rolls for s in statistics), statistics
    for node in rig.nodes:
        node.crash()
    for node in rig.nodes:
        node.start()
    for writer in writers:
        rig.wait_leader(writer.group)
        everywhere(rig, writer)


def test_idle_groups_cost_one_frame_per_peer_and_interval() -> None:
    rig = Rig(4, groups=30)
    for group in rig.group_ids:
        rig.wait_leader(group)
    rig.run(3.0)
    before = rig.frames
    rig.run(10.0)
    intervals = 10_000_000 / 50_000
    # per interval each of 3 nodes sends a heartbeat to 2 peers and answers 2
    assert rig.frames - before <= intervals * 12 * 1.05
    assert all(not node.engine._schedule.size for node in rig.nodes)


def test_a_dead_leaders_covered_groups_elect_new_ones() -> None:
    rig = Rig(5, groups=12)
    for group in rig.group_ids:
        rig.wait_leader(group)
    rig.run(3.0)
    victim = rig.wait_leader(1)
    victim.crash()
    rig.run(3.0)
    for group in rig.group_ids:
        leader = rig.wait_leader(group)
        assert leader is not victim


def test_a_covered_group_takes_writes_at_once() -> None:
    rig = Rig(6)
    rig.wait_leader()
    rig.run(3.0)
    writer = Writer(rig)
    writer.write(1)
    begin = rig.reactor.now_us()
    writer.wait()
    assert rig.reactor.now_us() - begin < 5_000


def test_a_leader_cut_off_steps_down_and_its_waiters_learn_that_their_fate_is_unknown() -> None:
    rig = Rig(7)
    writer = Writer(rig)
    leader = rig.wait_leader()
    rig.run(3.0)
    for other in rig.nodes:
        if other is not leader:
            rig.cut |= {(leader.id.node, other.id.node), (other.id.node, leader.id.node)}
    writer.write(3)
    rig.run(3.0)
    assert len(writer.unknown) == 3
    new = rig.wait_leader()
    assert new is not leader
    rig.cut.clear()
    writer.write(3)
    writer.wait()
    everywhere(rig, writer)


def test_a_failed_sync_ends_the_engine_and_is_never_acknowledged() -> None:
    rig = Rig(8)
    leader: Node = rig.wait_leader()
    writer = Writer(rig)
    leader.disk.faults.add("sync", 1, errno.EIO)
    writer.write(1)
    rig.run(0.05)
    assert leader.failures
    number = leader.engine.statistics().frames_out
    rig.run(2.0)
    assert leader.engine.statistics().frames_out == number
    assert not writer.acknowledged
