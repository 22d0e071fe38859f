"""What operators are told of simulated brokers: facts of /readyz, rows and their bounds."""

from __future__ import annotations

import pytest

from partitions.errors import ErrorCode
from partitions.internal import CONSUMER_OFFSETS
from partitions.ops import groups
from partitions.ops import sources as looking
from partitions.ops.collecting import scrape
from partitions.ops.health import verdict
from partitions.ops.requests import RequestCounters
from partitions.ops.sources import Front, Sources
from partitions.ops.table import METRICS
from partitions.server.operations import facts_of, sources_of
from partitions.testing.broker import SimBroker
from partitions.testing.groups import GroupClient, GroupHistory
from partitions.testing.verdict import settle
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


def test_groups_are_told_by_their_coordinator_with_members_offsets_and_lag(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cluster, _ = started(5, **{"offsets.topic.num.partitions": "1"})
    client = GroupClient(
        cluster.world,
        cluster.new_address(),
        list(cluster.brokers),
        history=GroupHistory("g"),
        topic=TOPIC,
    )

    async def work() -> None:
        while await client.commit({0: 10, 1: BATCHES}) is not ErrorCode.NONE:
            await cluster.sleep(SECOND_US // 50)
        answer = await client.join("")
        await client.join(answer.member_id)
        await settle(cluster, CONSUMER_OFFSETS, 1)

    cluster.run(work())
    coordinator = cluster.leader(CONSUMER_OFFSETS, 0)
    assert coordinator is not None
    others = [told(each) for each in cluster.running() if each is not coordinator]
    assert [each["quorate_groups"].value() for each in others] == [0, 0]
    assert not any(each["kafka_consumergroup_lag"].samples for each in others)
    families = told(coordinator)
    assert families["quorate_group_coordinators"].value(state="active") == 1
    assert families["quorate_groups"].value() == 1
    assert families["kafka_consumergroup_members"].value(consumergroup="g") == 1
    lag, offset = (families[f"kafka_consumergroup_{n}"] for n in ("lag", "current_offset"))
    found = [
        (f.value(consumergroup="g", topic=TOPIC, partition=str(number)))
        for number in range(2)
        for f in (offset, lag)
    ]
    assert found == [10, BATCHES - 10, BATCHES, 0]
    monkeypatch.setattr(groups, "OFFSETS_MAX", 1)
    families = told(coordinator)
    assert len(families["quorate_group_lag"].samples) == 1
    assert families["quorate_metrics_rows_left_out"].value(of="group_offsets") == 1
    monkeypatch.setattr(groups, "GROUP_ID_MAX", 0)
    families = told(coordinator)
    assert not families["quorate_group_members"].samples
    assert families["quorate_metrics_rows_left_out"].value(of="groups") == 1
    assert families["quorate_groups"].value() == 1
