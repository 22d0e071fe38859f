"""Directories of brokers that were stopped, made by whole brokers in simulation."""

from __future__ import annotations

from copy import deepcopy
from functools import cache
from pathlib import Path
from random import Random

from partitions import recover
from partitions.recover import Copy, Directory, Forced, Report
from partitions.testing import SimCluster
from raftlog.seams import FileSystem
from raftlog.testing.disk import VirtualDisk
from tests.partitions.kit import batch_of

TOPIC = "words"
DIGITS = bytes(range(8))
PART_BYTES = 1024 * 1024
BEHIND, AHEAD, OTHER = 3, 2, 1
"""Brokers: 3 was cut off before the last records, which 1 and 2 have."""


@cache
def _stopped(nodes: int, voters: tuple[int, ...]) -> dict[int, VirtualDisk]:
    cluster = SimCluster(7, nodes, voters=voters)
    cluster.start()
    client = cluster.client()

    async def fill(count: int) -> None:
        for number in range(count):
            for partition in range(2):
                value = b"%d" % number
                batch = batch_of(value)
                await client.produce(TOPIC, partition, batch)

    async def story() -> None:
        while len(cluster.brokers[1].broker.metadata.image.unfenced()) < nodes:
            await cluster.sleep(10_000)
        await client.create_topic(TOPIC, 2, nodes)
        await fill(5)
        await cluster.sleep(1_000_000)
        cluster.cut_off(BEHIND)
        await fill(5)
        await cluster.sleep(1_000_000)

    cluster.run(story())
    for broker in cluster.running():
        broker.crash()
    return {node: broker.disk for node, broker in cluster.brokers.items()}


def disks(nodes: int = 3, voters: tuple[int, ...] = ()) -> dict[int, VirtualDisk]:
    """Fresh copies, by broker."""
    return deepcopy(_stopped(nodes, voters or tuple(range(1, nodes + 1))))


def look(disk: FileSystem) -> Directory:
    return recover.examine(disk, PART_BYTES)


def report_of(disk: FileSystem) -> Report:
    return Report(*look(disk))


def plan_of(disk: FileSystem, *names: str) -> Forced:
    here = look(disk)
    return recover.plan(here.properties, named(here, *names), (), accept_worse=False, digits=DIGITS)


def named(here: Directory, *names: str) -> list[Copy]:
    return [copy for copy in here.copies if not names or copy.name in names]


def force(disk: FileSystem, plan: Forced) -> None:
    recover.force(disk, plan, 0, part_bytes=PART_BYTES, random=Random(1))


def content(fs: VirtualDisk, at: str = "") -> dict[str, bytes]:
    """Every file, by path."""
    found: dict[str, bytes] = {}
    for name in fs.listdir(at):
        path = f"{at}/{name}" if at else name
        try:
            file = fs.open(path)
        except IsADirectoryError:
            found |= content(fs, path)
        else:
            found[path] = file.pread(file.size(), 0)
    return found


def write_to(disk: VirtualDisk, root: Path) -> Path:
    """The same as a real directory."""
    for path, data in content(disk).items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    return root
