"""Crash at every file-system call of random workloads: what was reported durable is there."""

from __future__ import annotations

from random import Random

import pytest

from raftlog.testing.disk import PowerCut, VirtualDisk
from tests.raftlog.disk.driver import Driver

STEPS = 45


def _run(driver: Driver, steps: int) -> bool:
    """True when the power failed before the steps were done."""
    try:
        driver.start()
        for _ in range(steps):
            driver.step()
    except PowerCut:
        return True
    return False


def _crash(driver: Driver, random: Random) -> None:
    if random.random() < 0.25:
        driver.disk.kill()
    else:
        driver.disk.crash()


@pytest.mark.parametrize("seed", range(4))
def test_power_loss_at_every_call(seed: int) -> None:
    probe = Driver(VirtualDisk(Random(seed)), Random(seed))
    assert not _run(probe, STEPS)
    calls = probe.disk.calls
    assert calls > 100
    for call in range(1, calls + 1):
        # One seed gives one workload; only the fates in the crash differ from call to call.
        driver = Driver(VirtualDisk(Random(f"{seed}/{call}")), Random(seed))
        driver.disk.cut_at_call = call
        assert _run(driver, STEPS), call
        _crash(driver, driver.disk.random)
        driver.start()
        driver.sync()
        driver.append()
        driver.sync()
        driver.disk.crash()
        driver.start()


@pytest.mark.parametrize("seed", range(80))
def test_many_crashes_in_a_row(seed: int) -> None:
    random = Random(f"crashes {seed}")
    driver = Driver(VirtualDisk(random, page_bytes=1024), random)
    for _ in range(12):
        if random.random() < 0.8:
            driver.disk.cut_at_call = driver.disk.calls + random.randint(1, 150)
        _run(driver, random.randint(5, 60))
        _crash(driver, random)
    driver.start()


def test_the_workload_recycles_and_reuses_files() -> None:
    driver = Driver(VirtualDisk(Random(1)), Random(1))
    driver.start()
    for _ in range(300):
        driver.step()
    statistics = driver.wal.statistics()
    assert driver.recycled > 3
    assert statistics.rolls > statistics.rolls_without_spare > 0
