"""The benchmark table: `python -m bench.run [part ...]`, or `make bench`.

Parts: produce, latency, consume, idle, groups, connections; members, commits and load of consumer
groups. Each figure stands beside a reference from this run.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from bench import consumers, reference
from bench.cluster import BenchCluster, running
from bench.table import say
from cli.dev import probe

SECONDS = 5.0
IDLE_S = 60.0
SETTLE_S = 10.0
GROUPS, GROUPS_A_TOPIC = 3000, 300
CONNECTIONS = 1000


def client(**options: Any) -> dict[str, Any]:
    """Run `bench.client` in a process of its own."""
    command = [sys.executable, "-m", "bench.client", json.dumps(options)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if not done.stdout:
        raise SystemExit(f"the client failed: {done.stderr[-2000:]}")
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def bench_produce(cluster: BenchCluster, partitions: int = 6) -> None:
    """100 B and 1 KiB messages, acks=all, linger 5 ms."""
    for size in (100, 1024):
        topic = f"produce-{size}"
        cluster.create_topic(topic, partitions)
        before = cluster.cpu_seconds()
        result = client(
            mode="produce",
            bootstrap=cluster.bootstrap,
            topic=topic,
            partitions=partitions,
            size=size,
            seconds=SECONDS,
        )
        cores = [
            round((b - a) / SECONDS, 2) for a, b in zip(before, cluster.cpu_seconds(), strict=True)
        ]
        say(f"produce {size} B", **_rates(result), errors=result["errors"], broker_cores=cores)
        mock = client(
            mode="produce", mock_brokers=3, topic="m", partitions=4, size=size, seconds=SECONDS
        )
        say("  same client, its mock", **_rates(mock))
    for batch in (16_384, 262_144):
        rate = reference.plain_writers(cluster.directory, batch, 2.0)
        say(f"  3 plain writers, {batch >> 10} KiB", mb_per_second=rate)


def _rates(result: dict[str, Any]) -> dict[str, float]:
    return {
        "per_second": float(round(result["per_second"])),
        "mb_per_second": result["mb_per_second"],
    }


def bench_latency(cluster: BenchCluster) -> None:
    """One 100 B message in flight, against two round trips and a concurrent fdatasync."""
    cluster.create_topic("latency", 6)
    result = client(
        mode="latency",
        bootstrap=cluster.bootstrap,
        topic="latency",
        partitions=6,
        size=100,
        seconds=SECONDS,
    )
    trip = reference.round_trip()
    sync = reference.concurrent_fdatasync(cluster.directory)
    floor = 2 * trip["p50_us"] + sync["p50_us"]
    say("one in flight", p50_us=result["p50_us"], p99_us=result["p99_us"], n=result["messages"])
    say("  loopback round trip", **trip)
    say("  3 concurrent fdatasyncs", **sync)
    say("  ratio p50 / floor", floor_us=floor, ratio=result["p50_us"] / floor)


def bench_consume(cluster: BenchCluster) -> None:
    """Read back 100 B messages with a tuned consumer."""
    cluster.create_topic("consume", 6)
    options = {"bootstrap": cluster.bootstrap, "topic": "consume", "partitions": 6}
    made = client(mode="produce", size=100, seconds=SECONDS * 2, **options)
    before = cluster.cpu_seconds()
    result = client(mode="consume", messages=made["delivered"], **options)
    used = [round(b - a, 2) for a, b in zip(before, cluster.cpu_seconds(), strict=True)]
    say(
        "consume 100 B",
        per_second=float(round(result["per_second"])),
        messages=result["messages"],
        client_cores=result["client_cores"],
        broker_cpu_seconds=used,
    )


def bench_idle(cluster: BenchCluster) -> None:
    """CPU and memory of three brokers that nobody talks to, then with 300 partitions."""
    time.sleep(SETTLE_S)
    base = _idle(cluster, "idle")
    cluster.create_topic("idle", 300)
    time.sleep(SETTLE_S)
    more = _idle(cluster, "idle, 300 partitions more")
    say("  300 partitions cost", cpu_seconds=more - base)


def bench_groups(cluster: BenchCluster) -> None:
    """3,000 sleeping groups of three replicas: what they cost, and how fast one wakes.

    Each message goes to a partition that has slept since its last, a second before or more (the
    first to each is left out: the client then meets it for the first time, too); beside it stands
    the same with one partition, which is awake.
    """
    for number in range(GROUPS // GROUPS_A_TOPIC):
        cluster.create_topic(f"asleep-{number}", GROUPS_A_TOPIC)
    time.sleep(SETTLE_S)
    used = _idle(cluster, f"idle, {GROUPS} partitions")
    say("  of one core, each broker", percent=100 * used / IDLE_S / len(cluster.pids))
    for name, partitions in (("asleep-0", GROUPS_A_TOPIC), ("asleep-1", 1)):
        result = client(
            mode="latency",
            bootstrap=cluster.bootstrap,
            topic=name,
            partitions=partitions,
            size=100,
            messages=2 * GROUPS_A_TOPIC,
            skip=GROUPS_A_TOPIC,
            seconds=SECONDS,
        )
        state = "asleep" if partitions > 1 else "awake"
        say(f"one message, {state}", p50_us=result["p50_us"], p99_us=result["p99_us"])


def bench_connections(cluster: BenchCluster) -> None:
    """Connections that do nothing: what each costs the brokers, before and after a question."""
    before = sum(cluster.memory_mib())
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(cluster.connect()) for _ in range(CONNECTIONS)]
        time.sleep(SETTLE_S)
        _say_each(cluster, "connection", before)
        for each in sockets:
            each.sendall(probe.request())
        for each in sockets:
            with each.makefile("rb") as stream:
                stream.read(int.from_bytes(stream.read(4), "big"))
        time.sleep(SETTLE_S)
        _say_each(cluster, "connection, after Metadata", before)


def _say_each(cluster: BenchCluster, name: str, before_mib: float) -> None:
    more = sum(cluster.memory_mib()) - before_mib
    say(name, count=CONNECTIONS, kib_each=1024 * more / CONNECTIONS)


def _idle(cluster: BenchCluster, name: str) -> float:
    before = sum(cluster.cpu_seconds())
    time.sleep(IDLE_S)
    used = sum(cluster.cpu_seconds()) - before
    memory = [round(m, 1) for m in cluster.memory_mib()]
    say(name, seconds=IDLE_S, cpu_seconds=used, pss_mib=memory)
    return used


PARTS: dict[str, Callable[[BenchCluster], None]] = {
    "produce": bench_produce,
    "latency": bench_latency,
    "consume": bench_consume,
    "idle": bench_idle,
    "groups": bench_groups,
    "connections": bench_connections,
    **consumers.PARTS,
}


@click.command(help=__doc__)
@click.argument("parts", nargs=-1, type=click.Choice(list(PARTS)))
def main(parts: tuple[str, ...]) -> None:
    """Each part gets a fresh quorum."""
    for part in parts or tuple(PARTS):
        with (
            tempfile.TemporaryDirectory(prefix="quorate-bench-") as directory,
            running(Path(directory)) as cluster,
        ):
            PARTS[part](cluster)


if __name__ == "__main__":
    main()
