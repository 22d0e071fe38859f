"""Groups that go while something of theirs is under way, and waiters of overwritten entries."""

from __future__ import annotations

from functools import partial

import pytest

from raftlog.engine import Outcome
from raftlog.ready import Ready, SoftState
from raftlog.types import EntryKind, Role
from tests.raftlog.engine.rig import TIMING, Node, Rig
from tests.raftlog.engine.test_engine import Writer, everywhere


@pytest.mark.parametrize("after_us", [0, 50, 150, 300, 600, 2000])
def test_a_group_removed_while_its_files_are_being_synced_takes_nothing_along(
    after_us: int,
) -> None:
    rig = Rig(1, groups=2)
    writers = [Writer(rig, group) for group in (1, 2)]
    for writer in writers:
        writer.write(20)
        writer.wait()
    for node in rig.nodes:
        node.engine.checkpoint(node.group(1))
    rig.run(after_us / 1e6)
    for node in rig.nodes:
        node.engine.remove_group(1)
    rig.run(1.0)
    for node in rig.nodes:
        assert not node.failures
        assert 1 not in node.engine.groups
    writers[1].write(20)
    writers[1].wait()
    rig.group_ids = range(2, 3)
    for node in rig.nodes:
        node.crash()
    for node in rig.nodes:
        node.start()  # asserts in recovery that nothing of the removed group is asked for
    rig.wait_leader(2)
    everywhere(rig, writers[1])


def test_a_group_removed_while_its_write_ahead_part_is_retired_takes_nothing_along() -> None:
    rig = Rig(2, groups=2)
    writers = [Writer(rig, group) for group in (1, 2)]
    writers[0].write(20)
    writers[0].wait()
    rolls = [node.engine.wal.statistics().rolls for node in rig.nodes]
    while any(
        node.engine.wal.statistics().rolls < before + 1
        for node, before in zip(rig.nodes, rolls, strict=True)
    ):
        writers[1].write(10)  # until the part that holds both groups' entries is full
        rig.run(0.0004)
    for node in rig.nodes:
        node.engine.remove_group(1)
    for _ in range(60):
        writers[1].write(20)
        rig.run(0.01)
    writers[1].wait()
    for node in rig.nodes:
        statistics = node.engine.wal.statistics()
        assert statistics.parts < statistics.rolls
        assert not node.failures
    everywhere(rig, writers[1])


def test_waiters_of_a_removed_group_learn_that_their_fate_is_unknown() -> None:
    rig = Rig(3)
    leader = rig.wait_leader()
    outcomes: list[Outcome] = []
    leader.group(1).propose(EntryKind.DATA, 1, b"x", outcomes.append)
    leader.engine.remove_group(1)
    assert outcomes == [Outcome.UNKNOWN]
    rig.run(1.0)
    assert outcomes == [Outcome.UNKNOWN]


def cut(rig: Rig, node: Node) -> None:
    for other in rig.nodes:
        if other is not node:
            rig.cut |= {(node.id.node, other.id.node), (other.id.node, node.id.node)}


@pytest.mark.parametrize("eager", [False, True])
@pytest.mark.parametrize("seed", range(10))
def test_done_is_never_said_of_an_entry_that_was_overwritten(seed: int, eager: bool) -> None:
    """The old leader's entries and the new one's take the same indices; it rejoins at once, so
    that it may learn of the new commit index before it has stepped down by itself: with
    `eager`, in one Ready with the entries that replace its own."""
    rig = Rig(seed, timing=TIMING._replace(eager_commit=eager))
    writer = Writer(rig)
    writer.write(5)
    writer.wait()
    old = rig.wait_leader()
    cut(rig, old)
    outcomes: dict[bytes, Outcome] = {}
    lost = [b"lost-%d" % number for number in range(8)]
    for payload in lost:
        old.group(1).propose(EntryKind.DATA, 1, payload, partial(outcomes.__setitem__, payload))
    limit = rig.reactor.now_us() + 3_000_000
    assert rig.reactor.run_until(lambda: rig.leader() is not old, limit_us=limit)
    new = rig.wait_leader()
    assert new is not old
    for number in range(12 + seed):
        new.group(1).propose(EntryKind.DATA, 1, b"kept-%d" % number)
    rig.run(0.001 * seed)
    rig.cut.clear()
    rig.run(2.0)
    kept = old.apps[1].payloads
    assert kept == new.apps[1].payloads
    assert not set(lost) & set(kept)
    assert outcomes == dict.fromkeys(lost, Outcome.UNKNOWN)


@pytest.mark.parametrize("seed", range(8))
def test_a_leader_that_slept_through_an_election_says_done_of_nothing_overwritten(
    seed: int,
) -> None:
    """It wakes to find the new leader's entries and commits all at once."""
    rig = Rig(seed, timing=TIMING._replace(eager_commit=True))
    writer = Writer(rig)
    writer.write(5)
    writer.wait()
    old = rig.wait_leader()
    assert old.process is not None
    cut(rig, old)
    outcomes: list[Outcome] = []
    for number in range(4):
        old.group(1).propose(EntryKind.DATA, 1, b"lost-%d" % number, outcomes.append)
    rig.run(0.01)
    rig.cut = {pair for pair in rig.cut if pair[0] == old.id.node}
    old.process.pause(rig.reactor.now_us() + 1_500_000)
    others = [node for node in rig.nodes if node is not old]
    limit = rig.reactor.now_us() + 1_400_000
    assert rig.reactor.run_until(lambda: _leads(others), limit_us=limit)
    new = max(others, key=lambda node: node.group(1).node.term if _leads([node]) else -1)
    for number in range(10):
        new.group(1).propose(EntryKind.DATA, 1, b"kept-%d" % number)
    rig.run(1.6)
    rig.cut.clear()
    rig.run(2.0)
    assert outcomes == [Outcome.UNKNOWN] * 4
    assert old.apps[1].payloads == new.apps[1].payloads


def _leads(nodes: list[Node]) -> bool:
    return any(
        node.group(1).node.role is Role.LEADER and node.group(1).node.confirmed for node in nodes
    )


def test_a_step_down_is_taken_note_of_before_a_commit_in_the_same_ready() -> None:
    rig = Rig(1)
    leader = rig.wait_leader()
    cut(rig, leader)
    group = leader.group(1)
    outcomes: list[Outcome] = []
    entry = group.propose(EntryKind.DATA, 1, b"x", outcomes.append)
    rig.run(0.01)
    assert group.commit < entry.index and not outcomes
    follows = SoftState(Role.FOLLOWER, group.node.term + 1, rig.nodes[0].id, True)
    ready = Ready(1_000_000, commit=entry.index, soft_state=follows)
    leader.engine._notify(group, ready)
    assert outcomes == [Outcome.UNKNOWN]


@pytest.mark.parametrize("seed", range(6))
def test_done_means_in_the_log_whatever_crashes_and_cuts_happen(seed: int) -> None:
    rig = Rig(seed)
    writer = Writer(rig)
    for turn in range(8):
        writer.write(20)
        rig.run(0.0004 * (turn + 1))
        leader = rig.leader()
        if leader is not None:
            cut(rig, leader)
            for payload in (b"alone-%d-%d" % (turn, n) for n in range(5)):
                on_done = partial(writer._done, payload)
                leader.group(1).propose(EntryKind.DATA, 1, payload, on_done)
        rig.run(0.9)
        rig.cut.clear()
        rig.run(0.4)
    writer.write(3)
    writer.wait()
    everywhere(rig, writer)
    assert len(writer.unknown) >= 20
