"""Clients that are not librdkafka: what each writes, the command line reads, and back."""

from __future__ import annotations

import asyncio
import shutil
import subprocess

import aiokafka
import kafka
import pytest

from tests.live.cluster import Cluster
from tests.live.conftest import COMMAND_S, Command

pytestmark = pytest.mark.live

VALUES = [f"value {number}" for number in range(500)]
ACKNOWLEDGED_S = 30


def create(quorate: Command, topic: str) -> None:
    quorate.succeeds("topic", "create", topic, "-p", "1", "-r", "3")


def consumed(quorate: Command, topic: str) -> list[str]:
    return quorate.succeeds("consume", topic, "--until-end").splitlines()


def test_kafka_python(common_quorate: Command, common_cluster: Cluster) -> None:
    create(common_quorate, "kafka-python")
    servers = common_cluster.bootstrap.split(",")
    producer = kafka.KafkaProducer(bootstrap_servers=servers, acks="all")
    sent = [producer.send("kafka-python", value.encode(), partition=0) for value in VALUES]
    offsets = [future.get(ACKNOWLEDGED_S).offset for future in sent]
    producer.close()
    assert offsets == list(range(len(VALUES)))
    assert consumed(common_quorate, "kafka-python") == VALUES

    consumer = kafka.KafkaConsumer(bootstrap_servers=servers, consumer_timeout_ms=30_000)
    place = kafka.TopicPartition("kafka-python", 0)
    consumer.assign([place])
    consumer.seek_to_beginning(place)
    received = [next(consumer).value.decode() for _ in VALUES]
    consumer.close()
    assert received == VALUES


async def round_trip(bootstrap: str, topic: str) -> tuple[list[int], list[str]]:
    """Offsets that aiokafka's producer was given, and values that its consumer read."""
    async with aiokafka.AIOKafkaProducer(
        bootstrap_servers=bootstrap, acks="all", enable_idempotence=True
    ) as producer:
        sent = [await producer.send(topic, value.encode(), partition=0) for value in VALUES]
        offsets = [(await future).offset for future in sent]
    async with aiokafka.AIOKafkaConsumer(bootstrap_servers=bootstrap) as consumer:
        place = aiokafka.TopicPartition(topic, 0)
        consumer.assign([place])
        await consumer.seek_to_beginning(place)
        received = [(await consumer.getone()).value.decode() for _ in VALUES]
    return offsets, received


def test_aiokafka(common_quorate: Command, common_cluster: Cluster) -> None:
    create(common_quorate, "aiokafka")
    work = asyncio.wait_for(round_trip(common_cluster.bootstrap, "aiokafka"), COMMAND_S)
    offsets, received = asyncio.run(work)
    assert offsets == list(range(len(VALUES)))
    assert received == VALUES
    assert consumed(common_quorate, "aiokafka") == VALUES


@pytest.mark.skipif(shutil.which("kcat") is None, reason="kcat is not installed")
def test_kcat(common_quorate: Command, common_cluster: Cluster) -> None:
    create(common_quorate, "kcat")
    kcat = ["kcat", "-b", common_cluster.bootstrap, "-t", "kcat"]
    subprocess.run([*kcat, "-P"], input="\n".join(VALUES).encode(), check=True, timeout=COMMAND_S)
    read = subprocess.run(
        [*kcat, "-C", "-e", "-q"], capture_output=True, check=True, timeout=COMMAND_S
    )
    assert read.stdout.decode().splitlines() == VALUES
    assert consumed(common_quorate, "kcat") == VALUES
