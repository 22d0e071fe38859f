"""Produces end before the disk is full, and come back; replication goes on a little longer."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from structlog.testing import capture_logs

from partitions.errors import ErrorCode, KafkaError
from partitions.replicas.diskguard import LOOK_BYTES, LOOK_US, DiskGuard
from partitions.testing import SimCluster
from partitions.testing.client import GaveUp, SimClient
from raftlog.testing.disk import VirtualDisk
from raftlog.testing.reactor import VirtualReactor
from tests.partitions.kit import batch_of

MIB = 1024 * 1024
MINIMUM = 1_000_000


class Rig:
    """A guard on a disk whose free space is set at will."""

    def __init__(self, free: int) -> None:
        self.reactor = VirtualReactor(1)
        self.disk = VirtualDisk(Random(1))
        self.disk.capacity_bytes = free
        self.stops: list[bool] = []
        self.errors: list[KafkaError] = []
        process = self.reactor.process("broker")
        self.failures: list[str] = []
        self.guard = DiskGuard(
            self.disk, process, "/data", MINIMUM, self.stops.append, self.failures.append
        )
        self.guard.start()

    def free(self, size: int) -> None:
        """Change it, and wait for the guard's next look."""
        self.disk.capacity_bytes = size
        self.reactor.run_until(self.reactor.now_us() + LOOK_US + 1)

    def accepts(self, size: int = 1000) -> bool:
        try:
            self.guard.take(size)
        except KafkaError as error:
            self.errors.append(error)
            return False
        return True


def test_writes_are_refused_below_the_minimum_and_accepted_clearly_above_it() -> None:
    with capture_logs() as logs:
        rig = Rig(MINIMUM + 10_000)
        assert rig.accepts()
        rig.free(MINIMUM - 1)
        assert not rig.accepts()
        assert rig.errors[0].code is ErrorCode.KAFKA_STORAGE_ERROR
        assert "/data" in rig.errors[0].message
        assert "log.dirs.free.bytes.min" in rig.errors[0].message
        rig.free(MINIMUM + 5_000)  # not clearly more
        assert not rig.accepts()
        rig.free(MINIMUM + MINIMUM // 8)
        assert rig.accepts()
    assert [line["log_level"] for line in logs] == ["error", "warning"]


def test_a_fast_producer_does_not_pass_the_minimum_between_two_looks() -> None:
    rig = Rig(MINIMUM + 10_500)
    written = 0
    while rig.accepts():
        written += 1000
        rig.disk.capacity_bytes = MINIMUM + 10_500 - written
    assert written == 10_000


def test_a_disk_that_others_fill_is_looked_at_after_so_many_bytes() -> None:
    rig = Rig(1 << 30)
    rig.disk.capacity_bytes = 0
    written = 0
    while rig.accepts(1_000_000):
        written += 1_000_000
    assert written <= LOOK_BYTES


def test_other_leaders_entries_are_taken_down_to_half_the_minimum() -> None:
    rig = Rig(MINIMUM + 1)
    rig.free(MINIMUM // 2)
    assert rig.stops == []
    rig.free(MINIMUM // 2 - 1)
    assert rig.stops == [True]
    rig.free(MINIMUM - 1)
    assert rig.stops == [True]
    rig.free(MINIMUM)
    assert rig.stops == [True, False]


def test_a_directory_that_is_gone_ends_the_broker_with_a_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rig = Rig(1 << 30)
    assert rig.accepts()

    def gone() -> int:
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(rig.disk, "free_bytes", gone)
    rig.free(1 << 30)
    (reason,) = rig.failures
    assert "the data directory /data is gone (No such file or directory)" in reason
    assert not rig.accepts()


# --- whole brokers

SETTINGS = {"log.dirs.free.bytes.min": str(4 * MIB)}
BATCH = batch_of(bytes(250_000))


async def fill(client: SimClient, limit: int) -> int:
    """Produce until it is refused; how many batches went through."""
    for written in range(limit):
        try:
            await client.produce("t", 0, BATCH)
        except GaveUp as error:
            if "KAFKA_STORAGE_ERROR" not in str(error):
                raise
            return written
    return limit


def limit_space(disk: VirtualDisk, free: int) -> None:
    disk.capacity_bytes = disk.root.used_bytes() + free


def test_a_broker_on_a_full_disk_refuses_lives_and_accepts_again() -> None:
    cluster = SimCluster(1, 1, settings=SETTINGS)
    cluster.start()
    client = cluster.client()
    client.patience_us = 3_000_000
    broker = cluster.brokers[1]

    async def work() -> None:
        await client.create_topic("t", 1, 1)
        await client.produce("t", 0, BATCH)
        limit_space(broker.disk, 12 * MIB)
        await cluster.sleep(LOOK_US)
        written = await fill(client, 100)
        assert 10 < written < 40
        assert broker.running and broker.failure is None
        assert await client.list_offsets("t", 0) == written + 1
        limit_space(broker.disk, 64 * MIB)
        await cluster.sleep(LOOK_US + 100_000)
        await client.produce("t", 0, BATCH)
        assert await client.list_offsets("t", 0) == written + 2

    cluster.run(work())
    broker.kill()
    broker.start()
    assert broker.disk.free_bytes() > 4 * MIB


def followers(cluster: SimCluster) -> list[Any]:
    leader = cluster.leader("t", 0)
    return [broker for broker in cluster.running() if broker is not leader]


def test_a_follower_on_a_full_disk_lives_while_the_others_go_on_and_catches_up() -> None:
    cluster = SimCluster(2, 3, settings=SETTINGS)
    cluster.start()
    client = cluster.client()

    async def work() -> None:
        await client.create_topic("t", 1, 3)
        await client.produce("t", 0, BATCH)
        victim = followers(cluster)[0]
        limit_space(victim.disk, 6 * MIB)
        for _ in range(30):  # 7.5 MB: more than there is
            await client.produce("t", 0, BATCH)
            await cluster.sleep(200_000)
        assert victim.running and victim.failure is None
        behind = cluster.replicas("t", 0)[victim.node].log.end
        assert behind < 30
        limit_space(victim.disk, 64 * MIB)
        await cluster.sleep(5_000_000)
        await client.produce("t", 0, BATCH)
        await cluster.sleep(5_000_000)
        assert cluster.replicas("t", 0)[victim.node].log.end == 32

    cluster.run(work())


@pytest.mark.parametrize("setting", ["0", "1000"])
def test_two_parts_of_the_write_ahead_log_are_always_kept_free(setting: str) -> None:
    cluster = SimCluster(3, 1, settings={"log.dirs.free.bytes.min": setting})
    limit_space(cluster.brokers[1].disk, 40 * MIB)
    cluster.start()
    client = cluster.client()
    client.patience_us = 2_000_000

    async def work() -> None:
        await client.create_topic("t", 1, 1)
        limit_space(cluster.brokers[1].disk, 5 * MIB)
        await cluster.sleep(LOOK_US)
        await fill(client, 100)
        assert cluster.brokers[1].running

    cluster.run(work())
    assert cluster.brokers[1].disk.free_bytes() >= MIB
