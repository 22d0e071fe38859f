"""A change of settings reaches every broker, takes effect at once, and outlives a restart."""

from __future__ import annotations

from typing import Any

import pytest

from metadata.configs import TOPIC_CONFIGS
from metadata.configs.definition import Whole
from partitions.api import ALTER_CONFIGS, ControllerReply
from partitions.errors import ErrorCode
from partitions.testing import SimCluster
from tests.partitions.storage.kit import batch

TOPIC, BROKER = 2, 4
SETTLE_US = 1_000_000


def change(
    cluster: SimCluster, kind: int, name: str, *changes: tuple[str, str, str | None]
) -> ControllerReply:
    """Ask broker 3 to have it changed; returns when every broker's image had time to follow."""
    replies: list[ControllerReply] = []
    item = {"type": kind, "name": name, "changes": [list(c) for c in changes], "replace": False}

    async def work() -> ControllerReply:
        services = cluster.brokers[3].broker.services
        arguments: dict[str, Any] = {"items": [item], "validate_only": False}
        services.call_controller(ALTER_CONFIGS, arguments, replies.append)
        while not replies:
            await cluster.sleep(10_000)
        await cluster.sleep(SETTLE_US)
        return replies[0]

    reply = cluster.run(work())
    assert reply.error is ErrorCode.NONE, reply
    return reply


def succeed(
    cluster: SimCluster, kind: int, name: str, *changes: tuple[str, str, str | None]
) -> None:
    (outcome,) = change(cluster, kind, name, *changes).items
    assert outcome.error is ErrorCode.NONE, outcome


def in_force(cluster: SimCluster, name: str) -> dict[int, str | None]:
    """The text of a broker's setting, by node."""
    services = {broker.node: broker.broker.services for broker in cluster.running()}
    return {node: each.broker_configs()[name].text for node, each in services.items()}


def test_every_broker_follows_also_one_that_does_not_vote_and_one_that_restarts() -> None:
    cluster = SimCluster(1, 4, voters=(1, 2, 3))
    cluster.start()
    client = cluster.client()
    cluster.run(client.create_topic("t", 1, 3))
    name = "fetch.max.bytes"
    succeed(cluster, BROKER, "", ("set", name, "4096"))
    succeed(cluster, BROKER, "2", ("set", name, "8192"))
    expected = {1: 4096, 2: 8192, 3: 4096, 4: 4096}
    assert in_force(cluster, name) == {node: str(size) for node, size in expected.items()}
    acted_on = {b.node: b.broker.services.settings.fetch_max_bytes for b in cluster.running()}
    assert acted_on == expected
    for node in (2, 4):
        cluster.brokers[node].crash()
        cluster.brokers[node].start()
    cluster.run(client.list_offsets("t", 0))
    cluster.run(_pause(cluster))
    acted_on = {b.node: b.broker.services.settings.fetch_max_bytes for b in cluster.running()}
    assert acted_on == expected
    succeed(cluster, BROKER, "2", ("delete", name, None))
    succeed(cluster, BROKER, "", ("delete", name, None))
    assert set(in_force(cluster, name).values()) == {str(55 * 1024 * 1024)}
    assert {b.broker.services.settings.fetch_max_bytes for b in cluster.running()} == {55 << 20}


async def _pause(cluster: SimCluster) -> None:
    await cluster.sleep(5 * SETTLE_US)


def test_a_brokers_setting_is_its_topics_default_and_a_topics_own_wins() -> None:
    cluster = SimCluster(2, 3)
    cluster.start()
    client = cluster.client()
    cluster.run(client.create_topic("own", 1, 3, {"max.message.bytes": "2000"}))
    cluster.run(client.create_topic("default", 1, 3))
    succeed(cluster, BROKER, "", ("set", "message.max.bytes", "1000"))
    sizes = {
        topic: {
            (replica.max_message_bytes, replica.log.config.max_message_bytes)
            for replica in cluster.replicas(topic, 0).values()
        }
        for topic in ("own", "default")
    }
    assert sizes == {"own": {(2000, 2000)}, "default": {(1000, 1000)}}
    succeed(cluster, TOPIC, "own", ("delete", "max.message.bytes", None))
    replicas = cluster.replicas("own", 0).values()
    assert {replica.max_message_bytes for replica in replicas} == {1000}


def test_the_disks_minimum_and_the_rhythms_change_while_brokers_run() -> None:
    cluster = SimCluster(3, 3)
    cluster.start()
    client = cluster.client()
    cluster.run(client.create_topic("t", 1, 3))
    cluster.run(client.produce("t", 0, batch(-1, -1)))
    succeed(cluster, BROKER, "", ("set", "log.dirs.free.bytes.min", str(1 << 60)))
    assert all(broker.broker.manager._guard.low for broker in cluster.running())
    # The metadata log takes no part in it: what was too much can be taken back.
    succeed(cluster, BROKER, "", ("delete", "log.dirs.free.bytes.min", None))
    assert not any(broker.broker.manager._guard.low for broker in cluster.running())
    cluster.run(client.produce("t", 0, batch(-1, -1)))


def test_retention_that_gets_shorter_trims_soon() -> None:
    cluster = SimCluster(4, 3, settings={"log.retention.check.interval.ms": "86400000"})
    cluster.start()
    client = cluster.client()
    small = {"segment.bytes": "1024"}
    cluster.run(client.create_topic("t", 1, 3, small))
    for _ in range(30):
        cluster.run(client.produce("t", 0, batch(-1, -1)))
    assert {r.log_start_offset for r in cluster.replicas("t", 0).values()} == {0}
    succeed(cluster, BROKER, "", ("set", "log.retention.check.interval.ms", "100"))
    succeed(cluster, TOPIC, "t", ("set", "retention.bytes", "1024"))
    assert min(r.log_start_offset for r in cluster.replicas("t", 0).values()) > 0


def test_defaults_of_new_topics_change() -> None:
    cluster = SimCluster(5, 3)
    cluster.start()
    succeed(
        cluster,
        BROKER,
        "",
        ("set", "num.partitions", "4"),
        ("set", "default.replication.factor", "2"),
    )
    client = cluster.client()
    cluster.run(client.create_topic("t", -1, -1))
    topic = cluster.brokers[1].broker.metadata.image.topic("t")
    assert topic is not None
    assert [len(p.replicas) for p in topic.partitions] == [2] * 4


@pytest.mark.parametrize("bound", ["low", "high"])
def test_every_number_that_is_allowed_can_be_lived_with(bound: str) -> None:
    """One that is not would end every broker when it reads the metadata log, for good."""
    numbers = {
        name: str(getattr(d.rule, bound))
        for name, d in TOPIC_CONFIGS.items()
        if isinstance(d.rule, Whole)
    }
    cluster = SimCluster(6, 3)
    cluster.start()
    client = cluster.client()
    cluster.run(client.create_topic("new", 1, 3, numbers))
    cluster.run(client.create_topic("changed", 1, 3))
    succeed(cluster, TOPIC, "changed", *[("set", name, text) for name, text in numbers.items()])
    as_default = [("set", TOPIC_CONFIGS[name].broker_name, text) for name, text in numbers.items()]
    succeed(cluster, BROKER, "", *as_default)
    assert len(cluster.running()) == 3
    for broker in cluster.running():
        assert broker.failure is None
