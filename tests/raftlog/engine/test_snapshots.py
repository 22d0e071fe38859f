"""Followers that need what the log no longer holds, through the engine and real logs."""

from __future__ import annotations

import pytest

from raftlog.engine import installs
from raftlog.errors import PeerFault
from raftlog.testing.disk import PowerCut
from raftlog.types import EntryKind
from tests.raftlog.engine.rig import Node, Rig
from tests.raftlog.engine.test_engine import Writer, everywhere

EVERY = 50


def left_behind(rig: Rig, writer: Writer) -> Node:
    """A crashed follower whose next entry no other node's log holds any more."""
    leader = rig.wait_leader()
    writer.write(10)
    writer.wait()
    follower = next(node for node in rig.nodes if node is not leader)
    follower.crash()
    other = next(node for node in rig.nodes if node not in (leader, follower))
    leader.group(1).node.transfer(other.id)  # the snapshot's term is one the follower never saw
    leader.group(1).mark_dirty()
    limit = rig.reactor.now_us() + 5_000_000
    assert rig.reactor.run_until(lambda: rig.leader() is other, limit_us=limit)
    for _ in range(4):
        writer.write(EVERY)
        writer.wait()
    rig.run(0.2)
    for node in rig.nodes:
        if node is not follower:
            assert node.apps[1].log.snapshot().position.index > 3 * EVERY
    return follower


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installs, "SNAPSHOT_CHUNK_BYTES", 200)


@pytest.mark.parametrize("seed", range(4))
def test_a_follower_left_behind_installs_a_snapshot_and_follows_on(seed: int) -> None:
    rig = Rig(seed, snapshot_every=EVERY)
    writer = Writer(rig)
    follower = left_behind(rig, writer)
    follower.start()
    rig.run(1.0)
    assert follower.apps[1].installed == 1
    writer.write(20)
    writer.wait()
    everywhere(rig, writer)
    for node in rig.nodes:
        node.crash()
    for node in rig.nodes:
        node.start()
    rig.wait_leader()
    everywhere(rig, writer)


def test_the_leaders_log_may_be_compacted_while_its_snapshot_is_being_sent() -> None:
    rig = Rig(1, snapshot_every=EVERY)
    writer = Writer(rig)
    follower = left_behind(rig, writer)
    follower.start()
    for _ in range(30):  # a chunk takes a round trip; a new snapshot comes every third turn
        writer.write(20)
        rig.run(0.001)
    writer.wait()
    everywhere(rig, writer)
    assert follower.apps[1].installed >= 1


@pytest.mark.parametrize("seed", range(3))
def test_another_leader_begins_the_same_snapshot_again(seed: int) -> None:
    rig = Rig(seed, snapshot_every=EVERY)
    writer = Writer(rig)
    follower = left_behind(rig, writer)
    leader = rig.wait_leader()
    others = [node for node in rig.nodes if node is not follower]
    assert len({node.apps[1].log.snapshot() for node in others}) == 1
    follower.start()
    group, limit = follower.group(1), rig.reactor.now_us() + 5_000_000
    assert rig.reactor.run_until(lambda: group.sink is not None, limit_us=limit)
    leader.crash()
    writer.write(5)
    writer.wait()
    leader.start()
    everywhere(rig, writer)
    assert follower.apps[1].installed == 1


def cut_power_in(rig: Rig, node: Node, call: int) -> bool:
    """Lose power in the disk's `call`th call from now on; False if it comes to fewer."""
    limit = node.disk.calls + call
    node.disk.cut_at_call = limit
    end = rig.reactor.now_us() + 1_000_000
    try:
        rig.reactor.run_until(lambda: node.disk.calls >= limit, limit_us=end)
    except PowerCut:
        return True
    return node.disk.calls >= limit  # a storage thread's job met it


@pytest.mark.parametrize("seed", (1, 2))
@pytest.mark.parametrize("call", range(1, 21))
def test_power_loss_at_any_call_while_a_snapshot_arrives_and_is_installed(
    call: int, seed: int
) -> None:
    rig = Rig(seed, snapshot_every=EVERY)
    writer = Writer(rig)
    follower = left_behind(rig, writer)
    follower.start()
    met = cut_power_in(rig, follower, call)
    assert met or call > 15
    assert met or follower.apps[1].installed
    follower.crash()
    follower.start()
    writer.write(5)
    writer.wait()
    everywhere(rig, writer)
    assert follower.apps[1].log.snapshot().position.index > 3 * EVERY


def deposed(rig: Rig, writer: Writer) -> Node:
    """A former leader whose log goes on beyond the others' snapshot with entries of its own."""
    old = rig.wait_leader()
    writer.write(10)
    writer.wait()
    for other in rig.nodes:
        if other is not old:
            rig.cut |= {(old.id.node, other.id.node), (other.id.node, old.id.node)}
    for number in range(10 * EVERY):
        old.group(1).propose(EntryKind.DATA, 1, b"mine-%d" % number)
    limit = rig.reactor.now_us() + 5_000_000
    assert rig.reactor.run_until(lambda: rig.leader() is not old, limit_us=limit)
    for _ in range(4):
        writer.write(EVERY)
        writer.wait()
    rig.run(1.0)
    return old


@pytest.mark.parametrize("call", range(1, 16))
def test_power_loss_while_a_snapshot_replaces_a_log_that_goes_on_beyond_it(call: int) -> None:
    rig = Rig(call, snapshot_every=EVERY)
    writer = Writer(rig)
    old = deposed(rig, writer)
    assert old.group(1).node.last_index > 10 * EVERY
    rig.cut.clear()
    met = cut_power_in(rig, old, call)
    assert met or old.apps[1].installed
    old.crash()
    old.start()
    writer.write(5)
    writer.wait()
    everywhere(rig, writer)
    assert not any(payload.startswith(b"mine") for payload in old.apps[1].payloads)


@pytest.mark.parametrize("seed", range(6))
def test_everything_acknowledged_survives_crashes_and_snapshots_together(seed: int) -> None:
    rig = Rig(seed, snapshot_every=20)
    writer = Writer(rig)
    for turn in range(9):
        victim = rig.nodes[turn % 3]
        if victim.process is not None:
            victim.crash()
        writer.write(60)
        rig.run(0.3 + 0.0007 * turn)
        writer.write(30)
        victim.start()
        rig.run(0.0005 * (turn + seed))  # the next one crashes while this one catches up
        rig.run(0.5 if turn % 2 else 2.0)
    writer.write(10)
    writer.wait()
    everywhere(rig, writer)
    assert sum(node.apps[1].log.snapshot().position.index > 100 for node in rig.nodes) >= 2


def test_a_snapshot_that_cannot_be_used_takes_its_group_offline_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rig = Rig(1, snapshot_every=EVERY)
    writer = Writer(rig)
    follower = left_behind(rig, writer)
    follower.start()

    class Refusing:
        def write(self, cursor: int, data: bytes) -> None:
            raise PeerFault("not a snapshot")

    monkeypatch.setattr(follower.apps[1], "receive_snapshot", lambda meta: Refusing())
    rig.run(1.0)
    assert not follower.failures
    assert follower.engine.statistics().offline == 1
    assert 1 not in follower.engine.groups
    writer.write(20)
    writer.wait()
