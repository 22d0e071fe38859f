"""Settings that change while brokers run, with every client library that can ask for it."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import time
from itertools import count
from typing import Any

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)
from kafka.admin import AlterConfigOp, KafkaAdminClient
from kafka.admin import ConfigResource as PythonResource

from cli.configs import BROKER, TOPIC, Change, Owner, alter, describe
from cli.context import Address, Target
from cli.exits import CommandFailed, ExitCode
from partitions import wire
from partitions.errors import ErrorCode, KafkaError
from partitions.records import Record as PlainRecord
from partitions.records import build_batch
from partitions.wire import ApiKey
from tests.live.clients import Record
from tests.live.clients.confluent_client import ConfluentClient
from tests.live.cluster import Cluster
from tests.live.conftest import Command
from tests.live.raw import connected, wait_for_leaders
from tests.live.waiting import wait_for

pytestmark = pytest.mark.live

PATIENCE_S = 60.0
EVERYBODY = Owner(BROKER, "")
_numbers = count()


def new_topic(cluster: Cluster, **config: str) -> str:
    name = f"configured-{next(_numbers)}"
    ConfluentClient(cluster.bootstrap).create_topic(name, 1, **config)
    wait_for_leaders(cluster, name)
    return name


def at(cluster: Cluster, broker: int) -> Target:
    """One broker and no other."""
    return Target((cluster.brokers[broker].kafka,), PATIENCE_S)


def seen(cluster: Cluster, owner: Owner, name: str) -> dict[int, tuple[str | None, str]]:
    """Value and source of a topic's setting, as every running broker says."""
    found = {}
    for broker in cluster.brokers.values():
        if broker.pid is not None:
            rows = {row["name"]: row for row in describe(owner, at(cluster, broker.id))}
            found[broker.id] = (rows[name]["value"], rows[name]["source"])
    return found


def wait_seen(cluster: Cluster, owner: Owner, name: str, value: str, source: str) -> None:
    def agree() -> bool:
        return set(seen(cluster, owner, name).values()) == {(value, source)}

    wait_for(agree, PATIENCE_S, f"every broker to say {name} = {value}")


class Confluent:
    """librdkafka's admin requests about one topic."""

    def __init__(self, cluster: Cluster, topic: str) -> None:
        self._admin = AdminClient({"bootstrap.servers": cluster.bootstrap})
        self._topic = topic

    def incremental(self, *changes: tuple[AlterConfigOpType, str, str | None]) -> None:
        entries = [
            ConfigEntry(name, value, incremental_operation=operation)
            for operation, name, value in changes
        ]
        resource = ConfigResource(ResourceType.TOPIC, self._topic, incremental_configs=entries)
        for future in self._admin.incremental_alter_configs([resource]).values():
            future.result(PATIENCE_S)

    def replace(self, **values: str) -> None:
        configs = {name.replace("_", "."): value for name, value in values.items()}
        resource = ConfigResource(ResourceType.TOPIC, self._topic, set_config=configs)
        with pytest.warns(DeprecationWarning, match="incremental_alter_configs"):
            futures = self._admin.alter_configs([resource])
        for future in futures.values():
            future.result(PATIENCE_S)

    def describe(self) -> dict[str, Any]:
        resource = ConfigResource(ResourceType.TOPIC, self._topic)
        (future,) = self._admin.describe_configs([resource]).values()
        found: dict[str, Any] = future.result(PATIENCE_S)
        return found

    def own(self) -> dict[str, str]:
        """What the topic itself has, not by default."""
        described = self.describe()
        return {name: each.value for name, each in described.items() if each.source == 1}


def test_librdkafka_changes_a_topic(shared_cluster: Cluster) -> None:
    topic = new_topic(shared_cluster, segment_ms="100000")
    client = Confluent(shared_cluster, topic)
    op = AlterConfigOpType
    client.incremental(
        (op.SET, "max.message.bytes", "1000"),
        (op.DELETE, "segment.ms", None),
        (op.APPEND, "cleanup.policy", "delete"),
    )
    assert client.own() == {"max.message.bytes": "1000", "cleanup.policy": "delete"}
    entry = client.describe()["max.message.bytes"]
    assert not entry.is_read_only
    assert not entry.is_default
    assert [(s.value, s.source) for s in entry.synonyms.values()]
    for refused, said in (
        ((op.SET, "max.message.byte", "1"), "Did you mean max.message.bytes"),
        ((op.SET, "max.message.bytes", "-1"), "not a whole number"),
        ((op.SUBTRACT, "cleanup.policy", "delete"), "cleanup.policy"),
        ((op.APPEND, "retention.ms", "5"), "no list"),
    ):
        with pytest.raises(KafkaException, match=said) as caught:
            client.incremental(refused)
        assert caught.value.args[0].code() == ErrorCode.INVALID_CONFIG
    client.replace(retention_ms="5000000")
    assert client.own() == {"retention.ms": "5000000"}


def test_kafka_python_changes_a_topic_and_a_broker(shared_cluster: Cluster) -> None:
    topic = new_topic(shared_cluster)
    admin = KafkaAdminClient(bootstrap_servers=shared_cluster.bootstrap)
    try:
        changes = {
            "retention.ms": (AlterConfigOp.SET, "6000000"),
            "segment.ms": "100000",
        }
        admin.alter_configs([PythonResource("TOPIC", topic, configs=changes)])
        assert _own(admin, topic) == {"retention.ms": "6000000", "segment.ms": "100000"}
        only = PythonResource("TOPIC", topic, configs={"segment.ms": "200000"})
        admin.alter_configs([only], incremental=False)
        assert _own(admin, topic)["segment.ms"] == "200000"
        broker = PythonResource("BROKER", "2", configs={"fetch.max.bytes": "50000000"})
        admin.alter_configs([broker])
        assert describe(Owner(BROKER, "2"), at(shared_cluster, 1))
        rows = {row["name"]: row for row in describe(Owner(BROKER, "2"), at(shared_cluster, 1))}
        assert (rows["fetch.max.bytes"]["value"], rows["fetch.max.bytes"]["source"]) == (
            "50000000",
            "broker",
        )
    finally:
        admin.close()


def _own(admin: KafkaAdminClient, topic: str) -> dict[str, str]:
    resource = PythonResource("TOPIC", topic)
    described = admin.describe_configs([resource])
    (kinds,) = described.values()
    return {name: about["value"] for name, about in kinds[topic].items()}


def test_every_layer_counts_and_every_broker_says_the_same(shared_cluster: Cluster) -> None:
    topic = Owner(TOPIC, new_topic(shared_cluster))
    name, target = "message.timestamp.after.max.ms", at(shared_cluster, 1)
    wait_seen(shared_cluster, topic, name, "3600000", "default")
    alter(EVERYBODY, [Change("set", f"log.{name}", "1")], target)
    wait_seen(shared_cluster, topic, name, "1", "cluster")
    alter(Owner(BROKER, "2"), [Change("set", f"log.{name}", "2")], target)
    expected = {1: ("1", "cluster"), 2: ("2", "broker"), 3: ("1", "cluster")}
    wait_for(
        lambda: seen(shared_cluster, topic, name) == expected, PATIENCE_S, "broker 2 to differ"
    )
    alter(topic, [Change("set", name, "3")], target)
    wait_seen(shared_cluster, topic, name, "3", "topic")
    alter(topic, [Change("unset", name)], target)
    alter(Owner(BROKER, "2"), [Change("unset", f"log.{name}")], target)
    alter(EVERYBODY, [Change("unset", f"log.{name}")], target)
    wait_seen(shared_cluster, topic, name, "3600000", "default")


def test_a_smaller_largest_message_is_enforced(shared_cluster: Cluster) -> None:
    topic = new_topic(shared_cluster)
    client = ConfluentClient(shared_cluster.bootstrap)
    large = Record(random.Random(1).randbytes(5000))
    assert client.produce(topic, [large]) == [0]
    alter(Owner(TOPIC, topic), [Change("set", "max.message.bytes", "2000")], at(shared_cluster, 2))
    wait_seen(shared_cluster, Owner(TOPIC, topic), "max.message.bytes", "2000", "topic")
    with pytest.raises(KafkaError) as caught:
        client.produce(topic, [large])
    assert caught.value.code is ErrorCode.MESSAGE_TOO_LARGE
    assert client.produce(topic, [Record(b"small")]) == [1]


def test_a_shorter_retention_trims(shared_cluster: Cluster) -> None:
    topic = new_topic(shared_cluster, segment_bytes="100000")
    target = at(shared_cluster, 1)
    client = ConfluentClient(shared_cluster.bootstrap)
    old_ms = int(time.time() * 1000) - 7_200_000
    records = [Record(b"v" * 1000, None, (), old_ms) for _ in range(1000)]
    client.produce(topic, records)
    assert client.earliest(topic) == 0
    alter(EVERYBODY, [Change("set", "log.retention.check.interval.ms", "100")], target)
    alter(Owner(TOPIC, topic), [Change("set", "retention.ms", "3600000")], target)
    wait_for(lambda: client.earliest(topic) > 500, PATIENCE_S, "old segments to go")
    alter(EVERYBODY, [Change("unset", "log.retention.check.interval.ms")], target)


def test_topics_no_longer_come_by_themselves(shared_cluster: Cluster) -> None:
    if shutil.which("kcat") is None:
        pytest.skip("kcat is not installed")
    target = at(shared_cluster, 1)
    alter(EVERYBODY, [Change("set", "auto.create.topics.enable", "false")], target)
    for broker in (1, 2, 3):
        owner = Owner(BROKER, str(broker))

        def follows(owner: Owner = owner) -> bool:
            rows = {row["name"]: row["value"] for row in describe(owner, target)}
            return bool(rows["auto.create.topics.enable"] == "false")

        wait_for(follows, PATIENCE_S, f"{owner} to follow")
    arguments = ["-P", "-t", "not-by-itself", "-X", "message.timeout.ms=3000"]
    command = ["kcat", "-b", shared_cluster.bootstrap, *arguments]
    done = subprocess.run(command, input=b"x", capture_output=True, timeout=60, check=False)
    assert done.returncode != 0
    alter(EVERYBODY, [Change("unset", "auto.create.topics.enable")], target)
    listed = subprocess.run(
        ["kcat", "-b", shared_cluster.bootstrap, "-L", "-J"],
        capture_output=True,
        timeout=60,
        check=True,
    )
    topics = {topic["topic"] for topic in json.loads(listed.stdout)["topics"]}
    assert "not-by-itself" not in topics


def test_the_commands_of_a_settings_life(shared_cluster: Cluster, shared_quorate: Command) -> None:
    topic = new_topic(shared_cluster)
    whose = ("--topic", topic)
    shared_quorate.succeeds("config", "set", *whose, "retention.ms=7000000", "segment.ms=100000")
    refused = shared_quorate("config", "set", *whose, "retention.mss=1")
    assert (refused.code, "Did you mean retention.ms" in refused.err) == (ExitCode.FAILED, True)
    shared_quorate.succeeds(
        *("topic", "alter", topic, "-c", "max.message.bytes=9000", "-d", "segment.ms")
    )
    rows = json.loads(shared_quorate.succeeds("config", "list", *whose, "--changed", "-o", "json"))
    own = {row["name"]: row["value"] for row in rows if row["source"] == "topic"}
    assert own == {"retention.ms": "7000000", "max.message.bytes": "9000"}
    shared_quorate.succeeds("config", "unset", *whose, "max.message.bytes", "--validate-only")
    (row,) = json.loads(
        shared_quorate.succeeds("config", "get", *whose, "max.message.bytes", "-o", "json")
    )
    assert (row["value"], row["source"], row["type"]) == ("9000", "topic", "int")
    assert [each["source"] for each in row["given"]] == ["topic", "default"]
    assert "Largest record batch" in row["documentation"]
    shared_quorate.succeeds("topic", "add-partitions", topic, "--total", "3")
    ConfluentClient(shared_cluster.bootstrap).produce(topic, [Record(b"x")] * 5)
    wait_for_leaders(shared_cluster, topic)
    arguments = ("topic", "trim", topic, "-p", "0", "--before", "3", "-o", "json")
    (trimmed,) = json.loads(shared_quorate.succeeds(*arguments))
    assert (trimmed["partition"], trimmed["first_offset"]) == (0, 3)
    beyond = shared_quorate("topic", "trim", topic, "--before", "5", "-o", "json")
    assert beyond.code == ExitCode.FAILED, "partitions 1 and 2 have no such offset"
    assert [each["first_offset"] for each in json.loads(beyond.out)] == [5, None, None]


def produced(address: Address, topic: str) -> int:
    """The error code of one record sent to a broker: librdkafka hides those it tries again."""
    m = wire.messages(ApiKey.PRODUCE)
    records = bytes(build_batch([PlainRecord(value=b"x")], base_timestamp=1))
    part = m.PartitionProduceData(index=0, records=records)
    data = m.TopicProduceData(name=topic, partition_data=[part])
    body = m.ProduceRequest(acks=-1, timeout=1000, topic_data=[data], transactional_id=None)
    with connected(address) as connection:
        answer = connection.ask(ApiKey.PRODUCE, 9, body)
    return int(answer.responses[0].partition_responses[0].error_code)


def test_settings_outlive_the_death_of_all_brokers(cluster: Cluster) -> None:
    topic = Owner(TOPIC, new_topic(cluster))
    target = at(cluster, 3)
    alter(topic, [Change("set", "min.insync.replicas", "3")], target)
    alter(EVERYBODY, [Change("set", "message.max.bytes", "3000")], target)
    cluster.kill_all()
    for broker in (1, 2, 3):
        cluster.start(broker)
    cluster.wait_ready()
    wait_for_leaders(cluster, topic.name)
    wait_seen(cluster, topic, "min.insync.replicas", "3", "topic")
    wait_seen(cluster, topic, "max.message.bytes", "3000", "cluster")
    client = ConfluentClient(cluster.bootstrap)
    assert client.produce(topic.name, [Record(b"three of three")]) == [0]
    cluster.kill(next(iter({1, 2, 3} - {wait_for_leaders(cluster, topic.name)[0]})))

    (leader,) = wait_for_leaders(cluster, topic.name)
    address = cluster.brokers[leader].kafka
    refused = ErrorCode.NOT_ENOUGH_REPLICAS
    wait_for(lambda: produced(address, topic.name) == refused, PATIENCE_S, "writes to be refused")
    running = next(each.id for each in cluster.brokers.values() if each.pid is not None)
    alter(topic, [Change("unset", "min.insync.replicas")], at(cluster, running))
    wait_seen(cluster, topic, "min.insync.replicas", "1", "default")
    assert client.produce(topic.name, [Record(b"two are enough")])[0] >= 1


def test_without_a_quorum_nothing_is_changed_and_that_is_said(cluster: Cluster) -> None:
    topic = Owner(TOPIC, new_topic(cluster))
    cluster.kill(1)
    cluster.kill(2)
    target = Target((cluster.brokers[3].kafka,), 3.0)
    with pytest.raises(CommandFailed) as caught:
        alter(topic, [Change("set", "retention.ms", "5")], target)
    assert caught.value.exit_code == ExitCode.TIMED_OUT
