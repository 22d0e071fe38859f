"""The client's side of one measurement, in its own process: JSON options in, JSON result out.

python -m bench.client '{"mode": "produce", "bootstrap": "127.0.0.1:9092", ...}'
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from typing import Any

from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition

CONSUMER_TUNING = {
    "queued.max.messages.kbytes": 262_144,
    # librdkafka stops fetching at so many queued messages and by default looks again a second
    # later, which a fast broker turns into stalls of that second
    "queued.min.messages": 200_000,
    "fetch.queue.backoff.ms": 5,
    "fetch.max.bytes": 52_428_800,
    "max.partition.fetch.bytes": 1_048_576,
    "check.crcs": False,
    "enable.auto.commit": False,
}


def percentiles(seconds: list[float]) -> dict[str, float]:
    """p50 and p99 in microseconds."""
    ordered = sorted(seconds)
    last = len(ordered) - 1
    return {
        f"p{int(q * 100)}_us": round(1e6 * ordered[min(last, int(len(ordered) * q))])
        for q in (0.5, 0.99)
    }


def cpu_seconds() -> float:
    """User and system time of this process so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


class Deliveries:
    """Counts delivery reports."""

    def __init__(self) -> None:
        self.good = 0
        self.bad = 0
        self.last_error = ""

    def __call__(self, error: KafkaError | None, message: Message) -> None:
        """librdkafka's on_delivery."""
        if error is None:
            self.good += 1
        else:
            self.bad += 1
            self.last_error = str(error)


def _producer(options: dict[str, Any]) -> Producer:
    settings: dict[str, Any] = {
        "acks": "all",
        "linger.ms": options.get("linger_ms", 5),
        "enable.idempotence": options.get("idempotent", False),
        "socket.nagle.disable": True,
        "queue.buffering.max.messages": 200_000,
        "queue.buffering.max.kbytes": 65_536,
    }
    if options.get("mock_brokers"):
        settings["test.mock.num.brokers"] = options["mock_brokers"]
        settings["bootstrap.servers"] = "127.0.0.1:1"
    else:
        settings["bootstrap.servers"] = options["bootstrap"]
    return Producer(settings)


def produce(options: dict[str, Any]) -> dict[str, Any]:
    """As many messages as the client can hand over in `seconds`, all delivery reports awaited."""
    producer, done = _producer(options), Deliveries()
    topic, partitions = options["topic"], options["partitions"]
    payload = os.urandom(options["size"])
    for partition in range(partitions):
        producer.produce(topic, payload, partition=partition, on_delivery=done)
    producer.flush(20)
    assert done.good == partitions, f"warm-up failed: {done.last_error}"
    begin, cpu_begin = time.perf_counter(), cpu_seconds()
    end, sent, send, poll = begin + options["seconds"], 0, producer.produce, producer.poll
    while time.perf_counter() < end:
        for _ in range(500):
            try:
                send(topic, payload, partition=sent % partitions, on_delivery=done)
            except BufferError:
                poll(0.01)
                continue
            sent += 1
        poll(0)
    producer.flush(60)
    took = time.perf_counter() - begin
    delivered = done.good - partitions
    return {
        "per_second": delivered / took,
        "mb_per_second": delivered * options["size"] / took / 1e6,
        "errors": done.bad,
        "undelivered": sent - delivered - done.bad,
        "delivered": delivered,
        "client_cores": (cpu_seconds() - cpu_begin) / took,
        "error": done.last_error,
    }


def latency(options: dict[str, Any]) -> dict[str, Any]:
    """One message in flight at a time, without linger."""
    producer, done = _producer({**options, "linger_ms": 0}), Deliveries()
    payload, took = os.urandom(options["size"]), []
    end, number = time.perf_counter() + options["seconds"], 0
    while time.perf_counter() < end and number < options.get("messages", sys.maxsize):
        expected = done.good + done.bad + 1
        begin = time.perf_counter()
        partition = number % options["partitions"]
        producer.produce(options["topic"], payload, partition=partition, on_delivery=done)
        while done.good + done.bad < expected:
            producer.poll(1)
        took.append(time.perf_counter() - begin)
        number += 1
    return {**percentiles(took[options.get("skip", 50) :]), "messages": number, "errors": done.bad}


def consume(options: dict[str, Any]) -> dict[str, Any]:
    """Everything in the topic, once, after the first batch has arrived."""
    consumer = Consumer(
        {"bootstrap.servers": options["bootstrap"], "group.id": "bench", **CONSUMER_TUNING}
    )
    topic = options["topic"]
    consumer.assign([TopicPartition(topic, p, 0) for p in range(options["partitions"])])
    count, first, begin, cpu_begin = 0, 0, 0.0, 0.0
    while count < options["messages"]:
        batch = consumer.consume(min(10_000, options["messages"] - count), 10.0)
        if not batch:
            break
        if not begin:
            begin, cpu_begin, first = time.perf_counter(), cpu_seconds(), len(batch)
        count += len(batch)
    took = time.perf_counter() - begin
    result = {
        "per_second": (count - first) / took,
        "messages": count,
        "client_cores": (cpu_seconds() - cpu_begin) / took,
    }
    print(json.dumps(result), flush=True)
    os._exit(0)  # closing a consumer with a full queue takes longer than the measurement


def members(options: dict[str, Any]) -> dict[str, Any]:
    """Members of one group, which join when a line comes in, until this process is killed."""
    consumers = [
        Consumer(
            {
                "bootstrap.servers": options["bootstrap"],
                "group.id": options["group"],
                "session.timeout.ms": options["session_ms"],
                "heartbeat.interval.ms": options["heartbeat_ms"],
                "enable.auto.commit": False,
            }
        )
        for _ in range(options["members"])
    ]
    print("ready", flush=True)
    sys.stdin.readline()
    for consumer in consumers:
        consumer.subscribe([options["topic"]])
    while True:
        for consumer in consumers:
            consumer.poll(0)
        time.sleep(0.02)


def main() -> None:
    """Entry point of the client's process."""
    options = json.loads(sys.argv[1])
    modes = {"produce": produce, "latency": latency, "consume": consume, "members": members}
    print(json.dumps(modes[options["mode"]](options)))


if __name__ == "__main__":
    main()
