"""The scenarios of disks, and of processes that sleep, that broke other engines.

Numbered as in the project's list; whole engines on the real write-ahead log and virtual disks.
"""

from __future__ import annotations

import errno

import pytest

from raftlog.errors import CorruptLog
from raftlog.types import Role
from tests.raftlog.engine.rig import TIMING, Node, Rig
from tests.raftlog.engine.test_engine import Writer, everywhere


def filled(rig: Rig, amount: int = 20) -> Writer:
    writer = Writer(rig)
    writer.write(amount)
    writer.wait()
    assert len(writer.acknowledged) == amount
    return writer


def others(rig: Rig, *nodes: Node) -> list[Node]:
    return [node for node in rig.nodes if node not in nodes]


class Test8LeaderLosesItsWrite:
    """canonical/raft#320, kafka#9348: the same (index, term) twice, an epoch resumed."""

    def test_a_leader_whose_sync_fails_after_it_replicated_is_gone(self) -> None:
        rig = Rig(8)
        writer = filled(rig)
        leader = rig.wait_leader()
        term = leader.group(1).node.term
        leader.disk.faults.add("sync", 1, errno.EIO)
        writer.write(1)  # payload 20 reaches the others, and not the leader's own disk
        rig.run(3.0)
        second = rig.wait_leader()
        assert second is not leader
        assert second.group(1).node.term > term
        writer.write(5)
        writer.wait()
        leader.crash()
        leader.start()
        everywhere(rig, writer)
        assert b"%08d" % 20 in leader.apps[1].payloads
        assert leader.group(1).node.role is Role.FOLLOWER


class Test9FailedSync:
    """cockroach#37102, raft-engine#131: the second fsync succeeds, and the pages are gone."""

    def test_nothing_is_acknowledged_after_it(self) -> None:
        for seed in range(4):
            rig = Rig(seed)
            writer = filled(rig)
            leader = rig.wait_leader()
            behind, mate = others(rig, leader)
            behind.crash()
            leader.disk.faults.add("sync", 1, errno.EIO)
            writer.write(3)
            rig.run(0.1)
            leader.crash()
            mate.crash()
            behind.start()
            leader.start()
            rig.wait_leader()
            everywhere(rig, writer)


class Test15MinorityLosesItsStorage:
    """nats-server#7549, #7567, dragonboat#256: one bad disk of three, and an ack is gone."""

    def one_copy_left(self, seed: int = 1) -> tuple[Rig, Writer, Node, Node]:
        """The leader and `holder` have all; the third was down, and is back. The leader is not."""
        rig = Rig(seed)
        leader = rig.wait_leader()
        holder, behind = others(rig, leader)
        behind.crash()
        writer = filled(rig)
        leader.crash()
        holder.crash()
        behind.start()
        return rig, writer, leader, holder

    def test_a_bit_flipped_in_the_log_of_one_is_refused_and_the_others_serve(self) -> None:
        rig, writer, leader, holder = self.one_copy_left()
        flip(holder)
        with pytest.raises(CorruptLog, match="byte"):
            holder.start()
            rig.run(3.0)  # it would lead with the one that was behind, or help it
        holder.process = None
        leader.start()
        rig.wait_leader()
        writer.write(5)
        writer.wait()
        everywhere(rig, writer)

    def test_one_power_loss_of_a_minority_loses_nothing(self) -> None:
        for seed in range(4):
            rig, writer, leader, holder = self.one_copy_left(seed)
            holder.start()
            rig.run(3.0)
            everywhere(rig, writer)
            leader.start()
            everywhere(rig, writer)

    def test_a_log_that_is_gone_does_not_start_as_if_it_were_new(self) -> None:
        rig, writer, leader, holder = self.one_copy_left()
        for name in holder.disk.listdir("wal"):
            if name.endswith(".wal"):
                holder.disk.unlink(f"wal/{name}")
        with pytest.raises(CorruptLog, match="had been durable"):
            holder.start()
        holder.process = None
        leader.start()
        rig.wait_leader()
        everywhere(rig, writer)


def flip(node: Node) -> None:
    """One bit in the first round of the oldest part, long since known to be durable."""
    part = min(name for name in node.disk.listdir("wal") if name.endswith(".wal"))
    file = node.disk.open(f"wal/{part}")
    place = file.pread(4096, 0).find(b"QRND")
    assert place > 0
    node.disk.flip_bit(f"wal/{part}", place + 100)


class Test16SingleVoter:
    """etcd#14370: a group of one acks before its write-ahead log is durable."""

    def test_what_it_acknowledged_survives_a_power_loss_at_once(self) -> None:
        for seed in range(6):
            self.lose_power(seed)

    def lose_power(self, seed: int) -> None:
        rig = Rig(seed, nodes=1)
        writer = Writer(rig)
        writer.write(1)
        assert rig.reactor.run_until(lambda: bool(writer.acknowledged))
        rig.nodes[0].crash()
        rig.nodes[0].start()
        rig.wait_leader()
        assert rig.nodes[0].apps[1].payloads == writer.acknowledged


class Test17Quiesced:
    """cockroach#9372, #104057, tikv#18886: the leader sleeps, and a follower does not."""

    def asleep(self) -> tuple[Rig, Writer, Node]:
        rig = Rig(3)
        writer = filled(rig)
        rig.run(2.0)
        leader = rig.wait_leader()
        assert leader.group(1).node.deadline is None
        return rig, writer, leader

    def test_a_follower_that_slept_through_a_restart_is_spoken_to(self) -> None:
        rig, _, leader = self.asleep()
        term = leader.group(1).node.term
        awake = others(rig, leader)[0]
        awake.crash()
        rig.run(0.2)
        awake.start()
        rig.run(3.0)
        assert awake.group(1).node.leader == leader.id
        assert leader.group(1).node.term == term
        assert leader.group(1).node.deadline is None

    def test_a_follower_that_missed_a_write_is_not_slept_over(self) -> None:
        rig, writer, leader = self.asleep()
        behind = others(rig, leader)[0]
        pair = {(leader.id.node, behind.id.node), (behind.id.node, leader.id.node)}
        rig.cut |= pair
        writer.write(3)
        writer.wait()
        rig.cut -= pair
        rig.run(2.0)
        assert behind.apps[1].payloads == leader.apps[1].payloads

    def test_followers_of_a_leader_that_died_asleep_elect_another(self) -> None:
        rig, _, leader = self.asleep()
        leader.crash()
        rig.run(4 * TIMING.election_max_us / 1e6)
        assert rig.wait_leader() is not leader
