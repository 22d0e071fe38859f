"""A member of a consumer group in a process of its own, by whichever library.

python -m tests.live.group_member LIBRARY BOOTSTRAP GROUP TOPIC SESSION_MS

It prints `partition offset` for each record it has processed, and commits after that. SIGTERM
makes it leave the group and end with 0.
"""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import NamedTuple

import aiokafka
import confluent_kafka
import kafka

HEARTBEAT_MS = 500
POLL_S = 0.1
# kafka-python (3.0.12) forgets a join that outlasts its poll, if changed metadata was the reason:
# no heartbeat follows, and its session ends. So a poll has to outlast joins; one that waits for
# records comes back with the next heartbeat all the same.
KAFKA_PYTHON_POLL_MS = 10_000


class Options(NamedTuple):
    """What every member is told."""

    bootstrap: str
    group: str
    topic: str
    session_ms: int


def processed(partition: int | None, offset: int | None) -> None:
    """Say so."""
    sys.stdout.write(f"{partition} {offset}\n")
    sys.stdout.flush()


def _told_to_leave() -> threading.Event:
    leave = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: leave.set())
    return leave


def with_confluent(options: Options) -> None:
    """librdkafka, one record at a time."""
    leave = _told_to_leave()
    consumer = confluent_kafka.Consumer(
        {
            "bootstrap.servers": options.bootstrap,
            "group.id": options.group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "session.timeout.ms": options.session_ms,
            "heartbeat.interval.ms": HEARTBEAT_MS,
            "reconnect.backoff.max.ms": 500,
            "log_level": 0,
        }
    )
    consumer.subscribe([options.topic])
    while not leave.is_set():
        message = consumer.poll(POLL_S)
        if message is None or message.error() is not None:
            continue
        processed(message.partition(), message.offset())
        try:
            consumer.commit(message=message, asynchronous=False)
        except confluent_kafka.KafkaException:
            continue  # the coordinator moved, or this member's time was over
    consumer.close()


def with_kafka_python(options: Options) -> None:
    """kafka-python, some records at a time."""
    leave = _told_to_leave()
    consumer = kafka.KafkaConsumer(
        options.topic,
        bootstrap_servers=options.bootstrap.split(","),
        group_id=options.group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        session_timeout_ms=options.session_ms,
        heartbeat_interval_ms=HEARTBEAT_MS,
        reconnect_backoff_max_ms=500,
    )
    while not leave.is_set():
        try:
            records = consumer.poll(timeout_ms=KAFKA_PYTHON_POLL_MS)
            for record in [each for some in records.values() for each in some]:
                processed(record.partition, record.offset)
            if records:
                consumer.commit()
        except kafka.errors.KafkaError:
            continue  # no broker can be reached, or this member's time was over
    consumer.close()


async def with_aiokafka(options: Options) -> None:
    """aiokafka, some records at a time."""
    leave = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, leave.set)
    consumer = aiokafka.AIOKafkaConsumer(
        options.topic,
        bootstrap_servers=options.bootstrap,
        group_id=options.group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        session_timeout_ms=options.session_ms,
        heartbeat_interval_ms=HEARTBEAT_MS,
    )
    async with consumer:
        while not leave.is_set():
            records = await consumer.getmany(timeout_ms=int(POLL_S * 1000))
            for record in [each for some in records.values() for each in some]:
                processed(record.partition, record.offset)
            if records:
                try:
                    await consumer.commit()
                except aiokafka.errors.KafkaError:
                    continue


MEMBERS: dict[str, Callable[[Options], None]] = {
    "confluent-kafka": with_confluent,
    "kafka-python": with_kafka_python,
    "aiokafka": lambda options: asyncio.run(with_aiokafka(options)),
}

KAFKAJS = """
const { Kafka, logLevel } = require('kafkajs');
const [bootstrap, group, topic, session, heartbeat] = process.argv.slice(1);
const kafka = new Kafka({
  brokers: bootstrap.split(','), logLevel: logLevel.NOTHING,
  retry: { initialRetryTime: 100, maxRetryTime: 500, retries: 1000 },
});
const consumer = kafka.consumer({
  groupId: group, sessionTimeout: Number(session), heartbeatInterval: Number(heartbeat),
});
process.on('SIGTERM', () => consumer.disconnect().then(() => process.exit(0)));
(async () => {
  await consumer.connect();
  await consumer.subscribe({ topics: [topic], fromBeginning: true });
  await consumer.run({
    autoCommitThreshold: 1,
    eachMessage: async ({ partition, message }) => {
      process.stdout.write(`${partition} ${message.offset}\\n`);
    },
  });
})();
"""


def command(library: str, options: Options) -> list[str]:
    """What to run for a member."""
    texts = [options.bootstrap, options.group, options.topic, str(options.session_ms)]
    if library == "kafkajs":
        return ["node", "-e", KAFKAJS, *texts, str(HEARTBEAT_MS)]
    if library == "kcat":
        settings = {
            "auto.offset.reset": "earliest",
            "auto.commit.interval.ms": 200,
            "session.timeout.ms": options.session_ms,
            "heartbeat.interval.ms": HEARTBEAT_MS,
            "reconnect.backoff.max.ms": 500,
        }
        pairs = [part for name, value in settings.items() for part in ("-X", f"{name}={value}")]
        # -E: without it kcat ends when no broker can be reached.
        start = ["kcat", "-b", options.bootstrap, "-q", "-E", "-u", "-f", r"%p %o\n", *pairs]
        return [*start, "-G", options.group, options.topic]
    return [sys.executable, "-m", "tests.live.group_member", library, *texts]


def missing(library: str) -> str:
    """Why the library cannot take part here; empty if it can."""
    if library == "kcat" and shutil.which("kcat") is None:
        return "kcat is not installed"
    if library == "kafkajs":
        if shutil.which("node") is None:
            return "KafkaJS: node is not installed"
        look = ["node", "-e", "require.resolve('kafkajs')"]
        if subprocess.run(look, capture_output=True, check=False).returncode:
            return "KafkaJS: node finds no package kafkajs (NODE_PATH says where it looks)"
    return ""


if __name__ == "__main__":
    _, chosen, servers, name, read, session = sys.argv
    MEMBERS[chosen](Options(servers, name, read, int(session)))
