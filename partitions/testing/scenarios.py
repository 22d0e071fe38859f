"""What goes wrong while clients work: one coroutine per scenario, each ends with everything up."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from random import Random
from typing import Any

from partitions.internal import CONSUMER_OFFSETS
from partitions.records import Record, build_batch
from partitions.testing.broker import SimBroker
from partitions.testing.cluster import SimCluster
from partitions.testing.members import Groups
from partitions.testing.verdict import check_copies, settle
from raftlog.testing.reactor import EPOCH_MS

TOPIC = "words"
PARTITIONS = 6
_SECOND = 1_000_000

Scenario = Callable[[SimCluster, Random], Coroutine[Any, Any, None]]


async def quiet(cluster: SimCluster, random: Random) -> None:
    """No fault at all."""
    await cluster.sleep(2 * _SECOND)


async def leader(cluster: SimCluster, random: Random) -> None:
    """The leader of a partition loses power, and comes back."""
    broker = cluster.leader(TOPIC, random.randrange(PARTITIONS))
    assert broker is not None
    await _down(cluster, broker, random, broker.crash)


async def controller(cluster: SimCluster, random: Random) -> None:
    """The controller is killed, and comes back."""
    broker = cluster.controller()
    assert broker is not None
    await _down(cluster, broker, random, broker.kill)


async def rolling(cluster: SimCluster, random: Random) -> None:
    """Every broker in turn: power loss or kill -9."""
    for broker in _shuffled(cluster, random):
        await _down(cluster, broker, random, random.choice([broker.crash, broker.kill]))


async def restarts(cluster: SimCluster, random: Random) -> None:
    """Every broker in turn is stopped in good order and started again."""
    for broker in _shuffled(cluster, random):
        await cluster.sleep(random.randrange(_SECOND))
        await broker.stop()
        await cluster.sleep(random.randrange(_SECOND))
        broker.start()
        await cluster.sleep(_SECOND)


async def power(cluster: SimCluster, random: Random) -> None:
    """All brokers lose power at one moment."""
    for _ in range(2):
        await cluster.sleep(random.randrange(_SECOND // 2, _SECOND))
        for broker in cluster.brokers.values():
            broker.crash()
        await cluster.sleep(random.randrange(_SECOND))
        for broker in _shuffled(cluster, random):
            broker.start()
            await cluster.sleep(random.randrange(_SECOND // 5))
    await cluster.sleep(_SECOND)


async def cut(cluster: SimCluster, random: Random) -> None:
    """One broker, as a rule a leader, is cut off from the others for a while."""
    for _ in range(2):
        broker = cluster.leader(TOPIC, random.randrange(PARTITIONS))
        node = random.choice(list(cluster.brokers)) if broker is None else broker.node
        cluster.cut_off(node)
        await cluster.sleep(random.randrange(_SECOND, 4 * _SECOND))
        cluster.heal()
        await cluster.sleep(_SECOND)


async def one_way(cluster: SimCluster, random: Random) -> None:
    """One direction of one link fails for a while."""
    for _ in range(2):
        source, target = random.sample(list(cluster.brokers), 2)
        cluster.cut_one_way(source, target)
        await cluster.sleep(random.randrange(_SECOND, 3 * _SECOND))
        cluster.heal()
        await cluster.sleep(_SECOND)


async def slow_disk(cluster: SimCluster, random: Random) -> None:
    """One broker's disk takes 20 to 200 ms for a sync; then another's."""
    for broker in _shuffled(cluster, random)[:2]:
        steady = broker.latency
        broker.slow(lambda drawn, background: 20_000 + int(drawn.random() * 180_000))
        await cluster.sleep(2 * _SECOND)
        broker.slow(steady)


async def sync_error(cluster: SimCluster, random: Random) -> None:
    """A sync fails: the broker must end itself, and lives on what was durable."""
    broker = _shuffled(cluster, random)[0]
    broker.disk.fail_sync(random.randint(1, 20))
    while broker.running:
        await cluster.sleep(10_000)
    assert broker.failure is not None
    broker.disk.crash()
    await cluster.sleep(random.randrange(2 * _SECOND))
    broker.start()
    await cluster.sleep(_SECOND)


async def pause(cluster: SimCluster, random: Random) -> None:
    """A leader's process is stopped (SIGSTOP) for longer than an election takes."""
    for _ in range(2):
        broker = cluster.leader(TOPIC, random.randrange(PARTITIONS))
        if broker is not None and broker.process is not None:
            now = cluster.reactor.now_us()
            cluster.world.note(broker.node, "pause")
            broker.process.pause(now + random.randrange(_SECOND, 3 * _SECOND))
        await cluster.sleep(4 * _SECOND)


async def behind(cluster: SimCluster, random: Random) -> None:
    """A broker is away while records it never saw are deleted: it needs snapshots to come back.

    The others are hit in the middle of that.
    """
    client = cluster.client()
    for _ in range(2):
        broker = random.choice(list(cluster.brokers.values()))
        broker.crash()
        for _ in range(3):
            await cluster.sleep(_SECOND // 2)
            for partition in range(PARTITIONS):
                await client.delete_records(TOPIC, partition)
        broker.start()
        await cluster.sleep(random.randrange(_SECOND))
        other = random.choice(cluster.running())
        other.crash()
        await cluster.sleep(random.randrange(_SECOND))
        other.start()
        await cluster.sleep(_SECOND)


async def idle(cluster: SimCluster, random: Random) -> None:
    """Nobody writes while a broker goes and comes back: sleeping groups must take it in."""
    await cluster.sleep(_SECOND)
    cluster.world.resting = True
    await cluster.sleep(_SECOND)
    for broker in _shuffled(cluster, random)[:2]:
        await _down(cluster, broker, random, random.choice([broker.crash, broker.kill]))
        await settle(cluster, TOPIC, PARTITIONS)
    cluster.world.resting = False
    await cluster.sleep(_SECOND)


async def topics(cluster: SimCluster, random: Random) -> None:
    """Topics are made, written to and deleted while brokers go down, the controller first."""
    client = cluster.client()
    for number in range(6):
        broker = cluster.controller() or random.choice(cluster.running())
        later = random.randrange(_SECOND // 2)
        cluster.spawn(_blink(cluster, broker, random, later))
        await client.create_topic(f"t{number}", 4, 3)
        for partition in range(4):
            batch = bytes(build_batch([Record(value=b"t")], base_timestamp=EPOCH_MS))
            await client.produce(f"t{number}", partition, batch)
        if number % 3:
            await client.delete_topic(f"t{number - random.randint(0, 1)}")
        await cluster.sleep(random.randrange(2 * _SECOND))
    await cluster.sleep(2 * _SECOND)


async def _blink(cluster: SimCluster, broker: SimBroker, random: Random, later_us: int) -> None:
    """A power loss soon, and a restart after a while."""
    await cluster.sleep(later_us)
    if broker.running and len(cluster.running()) == len(cluster.brokers):
        broker.crash()
        await cluster.sleep(random.randrange(2 * _SECOND))
        broker.start()


async def disk_full(cluster: SimCluster, random: Random) -> None:
    """One broker's disk fills up, and is given room again."""
    broker = _shuffled(cluster, random)[0]
    used = broker.disk.root.used_bytes()
    broker.disk.capacity_bytes = used + random.randrange(100_000)
    await cluster.sleep(3 * _SECOND)
    broker.disk.capacity_bytes = None
    if not broker.running:
        broker.start()
    await cluster.sleep(_SECOND)


async def rot(cluster: SimCluster, random: Random) -> None:
    """Bits change on disks: of each partition in one copy, the leader's as a rule.

    Some brokers are down at that moment, and others fall behind and have to be caught up from
    files. The bits stay changed; the copies that notice go offline.
    """
    await cluster.sleep(random.randrange(_SECOND, 3 * _SECOND))
    for partition in random.sample(range(PARTITIONS), 4):
        broker = cluster.leader(TOPIC, partition) or random.choice(cluster.running())
        if random.random() < 0.3:
            broker = random.choice(cluster.running())
        ends = {"nothing": None, "kill": broker.kill, "crash": broker.crash}
        how = ends[random.choice(list(ends))]
        behind = random.choice([other for other in cluster.running() if other is not broker])
        if how is not None:
            how()
        else:
            behind.kill()
            await cluster.sleep(random.randrange(2 * _SECOND))
        for _ in range(random.choice((1, 1, 3))):
            cluster.damage(broker.node, TOPIC, partition, random)
        await cluster.sleep(random.randrange(_SECOND))
        cluster.start()
        await cluster.sleep(random.randrange(2 * _SECOND))


async def groups(cluster: SimCluster, random: Random) -> None:
    """Consumer groups commit and rebalance while their coordinators are taken from them."""
    work = Groups(cluster, TOPIC, PARTITIONS)
    work.start()
    while not (work.shared.commits and work.alone.commits):
        await cluster.sleep(_SECOND // 10)
    for _ in range(5):
        await cluster.sleep(random.randrange(_SECOND))
        broker = work.coordinator(random.choice((work.shared, work.alone)))
        if broker is not None and broker.running:
            await _depose(cluster, broker, random)
    await work.finish()
    partitions = len(work.log_starts())
    await settle(cluster, CONSUMER_OFFSETS, partitions)
    check_copies(cluster, CONSUMER_OFFSETS, partitions)
    assert max(work.log_starts()) > 0, "no log of groups was ever shortened"


async def _depose(cluster: SimCluster, broker: SimBroker, random: Random) -> None:
    """End a broker's leaderships in one of the ways there are, and heal."""
    choice = random.randrange(5)
    if choice < 2:
        await _down(cluster, broker, random, (broker.crash, broker.kill)[choice])
    elif choice == 2:
        cluster.cut_off(broker.node)
        await cluster.sleep(random.randrange(_SECOND, 4 * _SECOND))
        cluster.heal()
    elif choice == 3:
        await broker.stop()
        await cluster.sleep(random.randrange(_SECOND))
        broker.start()
    elif broker.process is not None:
        pause_us = random.randrange(_SECOND, 3 * _SECOND)
        broker.process.pause(cluster.reactor.now_us() + pause_us)
        await cluster.sleep(pause_us)


async def storm(cluster: SimCluster, random: Random) -> None:
    """Crashes, kills, cuts and pauses on top of each other; any number may be down."""
    for _ in range(8):
        await cluster.sleep(random.randrange(_SECOND))
        broker = random.choice(list(cluster.brokers.values()))
        choice = random.randrange(6)
        if not broker.running:
            broker.start()
        elif choice == 0:
            broker.crash()
        elif choice == 1:
            broker.kill()
        elif choice == 2:
            cluster.cut_off(broker.node)
        elif choice == 3:
            cluster.heal()
        elif choice == 4 and broker.process is not None:
            broker.process.pause(cluster.reactor.now_us() + random.randrange(_SECOND))
        else:
            cluster.cut_one_way(*random.sample(list(cluster.brokers), 2))


async def _down(
    cluster: SimCluster, broker: SimBroker, random: Random, end: Callable[[], None]
) -> None:
    """End a broker, and start it again after a while."""
    await cluster.sleep(random.randrange(_SECOND))
    end()
    await cluster.sleep(random.randrange(_SECOND // 10, 3 * _SECOND))
    broker.start()
    await cluster.sleep(random.randrange(_SECOND // 2, _SECOND))


def _shuffled(cluster: SimCluster, random: Random) -> list[SimBroker]:
    brokers = list(cluster.brokers.values())
    random.shuffle(brokers)
    return brokers


SCENARIOS: dict[str, Scenario] = {
    "quiet": quiet,
    "leader": leader,
    "controller": controller,
    "rolling": rolling,
    "restarts": restarts,
    "power": power,
    "cut": cut,
    "one-way": one_way,
    "slow-disk": slow_disk,
    "sync-error": sync_error,
    "pause": pause,
    "behind": behind,
    "idle": idle,
    "topics": topics,
    "disk-full": disk_full,
    "rot": rot,
    "groups": groups,
    "storm": storm,
}
