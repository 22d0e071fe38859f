"""One group of an engine goes offline: what it does not do any more, and what goes on."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from raftlog.disk.wal import Wal
from raftlog.disk.wal_ledger import Ledger
from raftlog.disk.wal_state import Part
from raftlog.engine import Outcome
from raftlog.engine.heartbeats import OFFLINE_MAX, decode_offline, encode_offline
from raftlog.engine.offline import OfflineGroups
from raftlog.errors import CorruptLog, GroupOffline, PeerFault
from raftlog.types import EntryKind, HardState
from tests.raftlog.engine.rig import Node, Rig
from tests.raftlog.engine.test_engine import Writer

PATCH = pytest.MonkeyPatch


def filled(rig: Rig, groups: int = 2, amount: int = 40) -> list[Writer]:
    writers = [Writer(rig, group) for group in range(1, groups + 1)]
    for writer in writers:
        writer.write(amount)
        writer.wait()
    rig.run(0.5)
    return writers


def others(rig: Rig, *nodes: Node) -> list[Node]:
    return [node for node in rig.nodes if node not in nodes]


def recovered_facts(node: Node, group: int) -> tuple[HardState, int, str]:
    """Hard state, checkpoint's index and reason, as a restart would find them."""
    disk = node.disk
    _, recovered = Wal.open(disk, "wal", part_bytes=1 << 16, random=disk.random)
    known = recovered.groups[group]
    index = 0 if known.checkpoint is None else known.checkpoint.position.index
    return known.hard_state, index, known.offline


def complete(rig: Rig, writer: Writer, without: Node) -> None:
    """All replicas but one have what was acknowledged."""
    rig.run(1.0)
    for node in others(rig, without):
        if node.process is not None:
            assert set(writer.acknowledged) <= set(node.apps[writer.group].payloads)


def test_a_leader_whose_disk_changed_its_bytes_stops_and_another_one_leads() -> None:
    rig = Rig(1, groups=2)
    leader = rig.wait_leader(1)
    behind, third = others(rig, leader)
    behind.crash()
    writers = filled(rig)
    assert rig.wait_leader(1) is leader
    leader.engine.checkpoint(leader.group(1))
    rig.run(0.1)
    names = [name for name in leader.disk.listdir("group1") if name[:20].isdigit()]
    leader.disk.flip_bit(f"group1/{names[0]}", 700)
    leader.apps[1].log._tail.clear()  # what the other one lacks has to be read from the file
    behind.start()
    assert rig.reactor.run_until(
        lambda: 1 not in leader.engine.groups, limit_us=rig.reactor.now_us() + 10**7
    )
    assert "changed on disk" in leader.apps[1].offline_reason
    before = rig.reactor.now_us()
    assert rig.wait_leader(1) is third
    assert rig.reactor.now_us() - before < 100_000, "it does not wait for an election time-out"
    for writer in writers:
        writer.write(10)
        writer.wait()
    complete(rig, writers[0], leader)
    assert leader.engine.statistics().offline == 1
    assert not leader.failures
    assert leader.apps[2].payloads == third.apps[2].payloads


def test_a_follower_whose_log_differs_acknowledges_nothing_more() -> None:
    rig = Rig(2, groups=2)
    writers = filled(rig)
    leader = rig.wait_leader(1)
    follower, third = others(rig, leader)
    follower.group(1).node._replica.log.next_offset += 1  # it believes that it has one more
    third.crash()
    writers[0].write(1)
    rig.run(2.0)
    assert "re-replicated" in follower.apps[1].offline_reason
    assert len(writers[0].acknowledged) == 40, "two replicas have it, and one of them is offline"
    writers[1].write(1)
    writers[1].wait()
    assert len(writers[1].acknowledged) == 41
    third.start()
    writers[0].write(1)
    writers[0].wait()
    complete(rig, writers[0], follower)


def test_an_offline_replica_does_not_vote() -> None:
    rig = Rig(3, groups=2)
    filled(rig)
    leader = rig.wait_leader(1)
    one, other = others(rig, leader)
    one.group(1).take_offline("test")
    leader.crash()
    rig.run(5.0)
    assert rig.leader(1) is None
    assert rig.leader(2) is not None
    assert other.group(1).node.leader is None


def test_entries_that_were_written_when_it_went_offline_are_not_acknowledged() -> None:
    """The fault is met in the same pass that wrote a round: its sync must release no ack."""
    rig = Rig(4)
    writers = filled(rig, 1)
    leader = rig.wait_leader(1)
    follower, third = others(rig, leader)
    third.crash()

    def refuse(entries: object) -> None:
        raise CorruptLog("test: does not continue the log")

    follower.apps[1].log.append = refuse  # type: ignore[method-assign]
    writers[0].write(1)
    rig.run(3.0)
    assert follower.apps[1].offline_reason
    assert len(writers[0].acknowledged) == 40


def test_what_waited_is_told_that_its_fate_is_unknown_and_nothing_new_is_taken() -> None:
    rig = Rig(5)
    writers = filled(rig, 1)
    leader = rig.wait_leader(1)
    for other in others(rig, leader):
        rig.cut |= {(leader.id.node, other.id.node), (other.id.node, leader.id.node)}
    writers[0].write(2)
    reads: list[Outcome] = []
    group = leader.group(1)
    group.read(reads.append)
    group.take_offline("test")
    assert not writers[0].unknown, "not from within the call"
    rig.run(0.01)
    assert len(writers[0].unknown) == 2
    assert reads == [Outcome.UNKNOWN]
    with pytest.raises(GroupOffline, match="test"):
        group.propose(EntryKind.DATA, 1, b"x")
    with pytest.raises(GroupOffline, match="test"):
        group.read(reads.append)


@pytest.mark.parametrize("how", ["crash", "again"])
def test_it_stays_offline_after_a_restart(how: str) -> None:
    rig = Rig(6, groups=2)
    writers = filled(rig)
    leader = rig.wait_leader(1)
    leader.group(1).take_offline("the reason")
    rig.run(0.1)
    for _ in range(2 if how == "again" else 1):
        leader.crash()
        rig.run(1.0)
        leader.start()
        rig.run(1.0)
        assert leader.engine.links.offline == {1: "the reason"}
    for node in others(rig, leader):
        assert node.engine.links.is_offline(leader.id, 1)
        assert not node.engine.links.is_offline(leader.id, 2)
        assert not node.engine.links.serves(leader.id, 1)
    for writer in writers:
        writer.write(5)
        writer.wait()
    assert 1 not in leader.engine.groups
    complete(rig, writers[0], leader)


def roll(rig: Rig, writer: Writer, node: Node, rolls: int) -> None:
    """Write until the node's write-ahead log has moved on by so many parts."""
    goal = node.engine.wal.statistics().rolls + rolls
    while node.engine.wal.statistics().rolls < goal:
        writer.write(20)
        rig.run(0.05)


def recycling(rig: Rig) -> tuple[Node, HardState, int]:
    """A node with an offline group, its parts recycled since; the facts as they were then."""
    writers = filled(rig)
    victim = others(rig, rig.wait_leader(1))[0]
    victim.engine.checkpoint(victim.group(1))
    rig.run(0.1)
    writers[0].write(10)
    writers[0].wait()
    core = victim.group(1).node
    hard_state, checkpoint = HardState(core.term, core._replica.vote), 41
    victim.group(1).take_offline("the reason")
    roll(rig, writers[1], victim, 5)
    return victim, hard_state, checkpoint


def test_its_parts_are_recycled_and_its_facts_carried_forward() -> None:
    rig = Rig(7, groups=2)
    victim, hard_state, checkpoint = recycling(rig)
    assert victim.engine.wal.statistics().parts <= 3
    victim.crash()
    assert recovered_facts(victim, 1) == (hard_state, checkpoint, "the reason")


def test_its_files_hold_what_the_recycled_parts_held() -> None:
    rig = Rig(8, groups=2)
    victim, _, _ = recycling(rig)
    victim.crash()
    content = b"".join(
        victim.disk.open(f"group1/{name}").pread(1 << 20, 0)
        for name in victim.disk.listdir("group1")
    )
    assert all(b"%08d" % number in content for number in range(50))


def test_a_removed_group_is_forgotten_although_it_was_offline() -> None:
    rig = Rig(9, groups=2)
    filled(rig)
    for node in rig.nodes:
        node.group(1).take_offline("test")
    rig.run(0.1)
    for node in rig.nodes:
        node.engine.remove_group(1)
    rig.run(0.5)
    assert all(not node.engine.links.offline for node in rig.nodes)
    victim = rig.nodes[0]
    assert not victim.engine.links.is_offline(rig.nodes[1].id, 1)
    victim.crash()
    _, recovered = Wal.open(victim.disk, "wal", part_bytes=1 << 16, random=victim.disk.random)
    assert set(recovered.groups) == {2}


def test_a_disk_error_is_not_one_groups_affair() -> None:
    rig = Rig(10, groups=2)
    filled(rig)
    victim = rig.nodes[0]
    victim.disk.fail_sync()
    victim.group(1).take_offline("test")
    rig.run(1.0)
    assert len(victim.failures) == 1


# --- faults put in


def go_on(patch: PATCH) -> None:
    """The fault is noted, and the group goes on."""
    patch.setattr(OfflineGroups, "take", lambda self, group, reason: group.app.offline(reason))


def hold_the_parts(patch: PATCH) -> None:
    """The entries of an offline group are waited for, for ever."""

    def dirty(self: Ledger, part: Part) -> tuple[int, ...]:
        groups = self.groups
        return tuple(
            group
            for group, index in sorted(part.entries.items())
            if group in groups and index > groups[group].safe_trusted
        )

    patch.setattr(Ledger, "dirty", dirty)


def forget_the_reason(patch: PATCH) -> None:
    """Recycling carries everything forward but that the group is offline."""
    patch.setattr(Wal, "_stage_offline", lambda self, state: None)


def leave_the_files(patch: PATCH) -> None:
    """Nothing is synced before the parts go."""
    patch.setattr(OfflineGroups, "_keep", lambda self, group: None)


@pytest.mark.parametrize(
    "broken, test",
    [
        (
            go_on,
            test_entries_that_were_written_when_it_went_offline_are_not_acknowledged,
        ),
        (hold_the_parts, test_its_parts_are_recycled_and_its_facts_carried_forward),
        (forget_the_reason, test_its_parts_are_recycled_and_its_facts_carried_forward),
        (leave_the_files, test_its_files_hold_what_the_recycled_parts_held),
        (forget_the_reason, partial(test_it_stays_offline_after_a_restart, "crash")),
    ],
)
def test_mutants(
    broken: Callable[[PATCH], None], test: Callable[[], None], monkeypatch: PATCH
) -> None:
    broken(monkeypatch)
    with pytest.raises(AssertionError):
        test()


def test_lists_of_offline_groups() -> None:
    many = range(3, 2 * OFFLINE_MAX + 10)
    decoded = [decode_offline(body) for body in encode_offline(many)]
    assert [begins for begins, _ in decoded] == [True, False, False]
    assert [group for _, groups in decoded for group in groups] == list(many)
    assert [decode_offline(body) for body in encode_offline([])] == [(True, [])]
    for bad in (b"", b"\1" + bytes(7), b"\1" + bytes(8 * (OFFLINE_MAX + 1))):
        with pytest.raises(PeerFault):
            decode_offline(bad)
