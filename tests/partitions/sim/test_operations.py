"""What operators are told of simulated brokers: facts of /readyz, rows and their bounds."""

from __future__ import annotations

import pytest

from partitions.ops import sources as looking
from partitions.ops.collecting import scrape
from partitions.ops.health import verdict
from partitions.ops.requests import RequestCounters
from partitions.ops.sources import Front, Sources
from partitions.ops.table import METRICS
from partitions.server.operations import facts_of, sources_of
from partitions.testing.broker import SimBroker
from tests.partitions.ops.strict import Family, parse
from tests.partitions.sim.test_offline import BATCHES, SECOND_US, TOPIC, leader_of, started

NOBODY = Front(0, 0, 0, 0, 0, 0, 0)


def sources(broker: SimBroker) -> Sources:
    return sources_of(broker.broker, RequestCounters(), lambda: NOBODY)


def told(broker: SimBroker) -> dict[str, Family]:
    return parse(b"".join(scrape(sources(broker), openmetrics=False)).decode())


def test_every_metric_is_told_and_figures_are_those_of_the_log() -> None:
    cluster, _ = started(1)
    leader = leader_of(cluster)
    families = told(leader)
    assert set(families) == set(METRICS)
    where = {"topic": TOPIC, "partition": "0"}
    assert families["quorate_partition_high_watermark"].value(**where) == BATCHES
    assert families["quorate_partition_leader"].value(**where) == 1
    assert families["kafka_topic_partition_in_sync_replica"].value(**where) == 3
    assert families["quorate_cluster_partitions"].value() == 2
    assert verdict(facts_of(leader.broker)).ready


def test_rows_are_bounded_and_sums_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster, client = started(2)

    async def more() -> None:
        await client.create_topic("another", 3, 3, {})

    cluster.run(more())
    monkeypatch.setattr(looking, "PARTITIONS_MAX", 4)
    monkeypatch.setattr(looking, "TOPICS_MAX", 1)
    families = told(leader_of(cluster))
    assert len(families["quorate_partition_size_bytes"].samples) == 4
    assert len(families["quorate_topic_messages_in_total"].samples) == 1
    left_out = families["quorate_metrics_rows_left_out"]
    assert (left_out.value(of="partitions"), left_out.value(of="topics")) == (1, 1)
    assert families["quorate_partitions"].value() == 5
    assert families["quorate_messages_in_total"].value() > 0, "of the topic that has no rows"


def test_a_copy_that_goes_offline_is_a_reason_and_its_traffic_stays_counted() -> None:
    cluster, _ = started(3)
    leader = leader_of(cluster)
    before = told(leader)["quorate_batches_in_total"].value()
    (replica,) = [each for each in leader.broker.manager.running() if each.partition == 0]
    replica.group_handle.take_offline("its file has changed")
    found = verdict(facts_of(leader.broker))
    assert [f"{TOPIC}-0" in reason for reason in found.reasons] == [True]
    families = told(leader)
    assert families["quorate_replicas_offline"].value() == 1
    assert families["quorate_batches_in_total"].value() == before
    assert families["quorate_ready"].value() == 0


def test_a_broker_that_stops_is_not_ready() -> None:
    cluster, _ = started(4)
    broker = leader_of(cluster).broker
    broker.draining.leave(lambda: None)
    assert any("stopping" in reason for reason in verdict(facts_of(broker)).reasons)


def test_without_a_majority_no_controller_is_reachable() -> None:
    cluster, _ = started(5)
    last, *others = cluster.brokers.values()
    for broker in others:
        broker.kill()
    cluster.reactor.run_until(cluster.reactor.now_us() + 5 * SECOND_US)
    assert facts_of(last.broker).controller is None
    assert told(last)["quorate_metadata_controller"].value() == -1


def test_a_follower_that_is_gone_or_offline_is_not_in_sync() -> None:
    cluster, _ = started(6)
    leader = leader_of(cluster)
    first, second = [each for each in cluster.brokers.values() if each is not leader]
    in_sync = "kafka_topic_partition_in_sync_replica"
    where = {"topic": TOPIC, "partition": "0"}
    first.kill()
    cluster.reactor.run_until(cluster.reactor.now_us() + SECOND_US)
    families = told(leader)
    assert families[in_sync].value(**where) == 2
    assert families["kafka_topic_partition_under_replicated_partition"].value(**where) == 1
    first.start()
    cluster.reactor.run_until(cluster.reactor.now_us() + 5 * SECOND_US)
    assert told(leader)[in_sync].value(**where) == 3
    (replica,) = [each for each in second.broker.manager.running() if each.partition == 0]
    replica.group_handle.take_offline("its file has changed")
    cluster.reactor.run_until(cluster.reactor.now_us() + SECOND_US)
    assert told(leader)[in_sync].value(**where) == 2
