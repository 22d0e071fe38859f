"""Whole brokers of which only some vote in the metadata quorum, on virtual time."""

from __future__ import annotations

from partitions.testing import SimCluster
from partitions.testing.client import SimClient
from raftlog.types import METADATA_GROUP
from tests.partitions.kit import batch_of

PARTITIONS = 6
SECOND_US = 1_000_000


async def fill(client: SimClient, topic: str, value: bytes) -> list[int]:
    """One record more in every partition; their offsets."""
    return [await client.produce(topic, part, batch_of(value)) for part in range(PARTITIONS)]


async def caught_up(cluster: SimCluster) -> None:
    """Until all running brokers have the same image and know one controller."""

    def agree() -> bool:
        running = [broker.broker for broker in cluster.running()]
        views = [(b.metadata.image.position, b.services.controller_id()) for b in running]
        alive = [broker.node for broker in cluster.running()]
        return views[0][1] in alive and all(view == views[0] for view in views)

    while not agree():
        await cluster.sleep(10_000)


async def all_alive(cluster: SimCluster) -> None:
    """Until every broker's image lists all brokers as live: placement then uses them all."""
    while any(
        len(broker.broker.metadata.image.unfenced()) < len(cluster.brokers)
        for broker in cluster.running()
    ):
        await cluster.sleep(10_000)


def test_observers_have_no_part_in_the_quorum_and_serve_like_the_others() -> None:
    cluster = SimCluster(1, 5, voters=(2, 3, 4))
    cluster.start()
    client = cluster.client()

    async def story() -> None:
        await all_alive(cluster)
        await client.create_topic("words", PARTITIONS, 3)
        assert await fill(client, "words", b"1") == [0] * PARTITIONS
        await caught_up(cluster)

    cluster.run(story())
    for node, broker in cluster.brokers.items():
        assert (METADATA_GROUP in broker.broker.engine.groups) == (node in (2, 3, 4))
        others = [other for other in cluster.brokers if other != node]
        assert broker.mesh.connected() == others, "both lanes to everybody"
    served = {node for p in range(PARTITIONS) for node in cluster.replicas("words", p)}
    assert served == {1, 2, 3, 4, 5}


def test_observers_follow_the_next_controller() -> None:
    cluster = SimCluster(2, 5, voters=(1, 2, 3))
    cluster.start()
    client = cluster.client()

    async def story() -> None:
        await all_alive(cluster)
        await client.create_topic("first", PARTITIONS, 3)
        await caught_up(cluster)
        controller = cluster.controller()
        assert controller is not None
        assert controller.node in (1, 2, 3)
        controller.crash()
        assert await fill(client, "first", b"1") == [0] * PARTITIONS
        await client.create_topic("second", PARTITIONS, 3)
        assert await fill(client, "second", b"1") == [0] * PARTITIONS
        await caught_up(cluster)
        controller.start()
        await caught_up(cluster)

    cluster.run(story())


def test_an_observer_comes_back_to_what_changed_meanwhile() -> None:
    cluster = SimCluster(3, 4, voters=(1, 2, 3))
    cluster.start()
    client = cluster.client()
    observer = cluster.brokers[4]

    async def story() -> None:
        await all_alive(cluster)
        await client.create_topic("kept", PARTITIONS, 3)
        await client.create_topic("deleted", PARTITIONS, 3)
        await fill(client, "kept", b"1")
        await fill(client, "deleted", b"1")
        assert len(observer.broker.manager.replicas) >= 2
        observer.crash()
        await client.delete_topic("deleted")
        await fill(client, "kept", b"2")
        observer.start()
        held = len(observer.broker.manager.replicas)
        assert held >= 2, "its partitions run before it knows the cluster"
        await caught_up(cluster)
        await cluster.sleep(SECOND_US)
        names = {replica.topic for replica in observer.broker.manager.replicas.values()}
        assert names == {"kept"}
        assert not [n for n in observer.disk.listdir("partitions") if "deleted" in n]
        assert await fill(client, "kept", b"3") == [2] * PARTITIONS

    cluster.run(story())


def test_without_a_metadata_majority_a_restarted_observer_serves_its_partitions() -> None:
    """The image comes from the one voter that is left, though it knows of no controller."""
    cluster = SimCluster(4, 5, voters=(1, 2, 3))
    cluster.start()
    client = cluster.client()

    async def story() -> None:
        await all_alive(cluster)
        await client.create_topic("words", 20, 3)
        await caught_up(cluster)
        held = [part for part in range(20) if {3, 4, 5} == set(cluster.replicas("words", part))]
        assert held, "no partition lies on brokers 3, 4 and 5: placement has changed"
        cluster.brokers[1].crash()
        cluster.brokers[2].crash()
        cluster.brokers[4].crash()
        await cluster.sleep(SECOND_US)
        cluster.brokers[4].start()
        cluster.brokers[5].crash()
        assert await client.produce("words", held[0], batch_of(b"1")) == 0
        restarted = cluster.brokers[4].broker
        assert restarted.metadata.image.topic("words") is not None
        while restarted.services.controller_id() is not None:
            await cluster.sleep(10_000)

    cluster.run(story())


def test_retention_waits_for_the_image() -> None:
    """An observer that leads a partition but knows nothing of its topic must delete nothing."""
    settings = {"log.retention.check.interval.ms": "1000", "log.retention.ms": "1000"}
    cluster = SimCluster(5, 4, voters=(1, 2, 3), settings=settings)
    cluster.start()
    client = cluster.client()

    async def story() -> None:
        await all_alive(cluster)
        await client.create_topic("words", PARTITIONS, 3)
        await caught_up(cluster)
        observer = cluster.brokers[4]
        enforced: list[bool] = []
        observer.kill()
        for node in (1, 2, 3):
            cluster.cut_one_way(node, 4)
        observer.start()
        manager = observer.broker.manager
        manager.enforce_retention = lambda: enforced.append(True)  # type: ignore[method-assign]
        await cluster.sleep(5 * SECOND_US)
        assert observer.broker.metadata.image.cluster is None
        assert not enforced
        cluster.heal()
        await caught_up(cluster)
        await cluster.sleep(5 * SECOND_US)
        assert enforced

    cluster.run(story())


def test_the_same_seed_gives_the_same_trace() -> None:
    def digest() -> str:
        cluster = SimCluster(6, 4, voters=(1, 2, 3))
        cluster.start()
        cluster.run(cluster.client().create_topic("words", 3, 3))
        cluster.brokers[4].crash()
        cluster.brokers[4].start()
        cluster.run(caught_up(cluster))
        return cluster.trace.digest()

    assert digest() == digest()
