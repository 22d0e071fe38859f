"""Consumer groups: members that come and die, commits, and a coordinator that loads."""

from __future__ import annotations

import json
import select
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.request import urlopen

from bench import reference
from bench.client import percentiles
from bench.cluster import BenchCluster
from bench.frames import (
    DESCRIBE_VERSION,
    Address,
    Connection,
    Coordinator,
    address,
    commit,
    commit_errors,
    coordinator,
    fetch,
    fetched,
)
from bench.table import say
from partitions import wire
from partitions.coordinators.groups.broker import partition_for
from partitions.errors import ErrorCode
from partitions.internal import CONSUMER_OFFSETS
from partitions.wire import ApiKey

MEMBERS, DOOMED = 30, 1
SESSION_MS, HEARTBEAT_MS = 6_000, 1_000
STABLE_S = 120.0
WINDOW = 256
"""Commits under way on one connection."""
COMMIT_S = 5.0
SINGLES = 1_000
LOAD_GROUPS, LOAD_PARTITIONS, LOAD_ROUNDS = 1_000, 100, 10
LOAD_WINDOW = 8
OFFSETS_PARTITIONS = 50


# --- members


def bench_members(cluster: BenchCluster) -> None:
    """30 members join at once; one process among them is killed."""
    cluster.create_topic("members", MEMBERS)
    watch = Watch(cluster, "members")
    with _members(cluster, MEMBERS - DOOMED) as many, _members(cluster, DOOMED) as one:
        begin = time.monotonic()
        for process in (many, one):
            assert process.stdin is not None
            process.stdin.write(b"go\n")
            process.stdin.flush()
        took = watch.stable(MEMBERS, begin)
        say(f"{MEMBERS} members join", stable_s=took, initial_rebalance_delay_s=0)
        one.kill()
        died = time.monotonic()
        one.wait()
        took = watch.stable(MEMBERS - DOOMED, died)
        say(
            "  one is killed",
            stable_s=took,
            after_session_timeout_s=took - SESSION_MS / 1000,
            heartbeat_s=HEARTBEAT_MS / 1000,
        )


class Watch:
    """What the coordinator says of a group."""

    def __init__(self, cluster: BenchCluster, group: str) -> None:
        self._connection = Connection(coordinator(address(cluster.bootstrap), group).address)
        types = wire.messages(ApiKey.DESCRIBE_GROUPS)
        self._request = types.DescribeGroupsRequest(
            groups=[group], include_authorized_operations=False
        )

    def stable(self, members: int, begin: float) -> float:
        """Seconds from `begin` until it is stable with so many members."""
        while (now := time.monotonic()) < begin + STABLE_S:
            answer = self._connection.ask(
                ApiKey.DESCRIBE_GROUPS, DESCRIBE_VERSION, self._request
            ).groups[0]
            if answer.group_state == "Stable" and len(answer.members) == members:
                return now - begin
            time.sleep(0.02)
        raise SystemExit(f"not stable: {answer.group_state}, {len(answer.members)} members")


@contextmanager
def _members(cluster: BenchCluster, count: int) -> Iterator[subprocess.Popen[bytes]]:
    """A process with so many members, which join when it is written to."""
    options = {
        "mode": "members",
        "bootstrap": cluster.bootstrap,
        "group": "members",
        "topic": "members",
        "members": count,
        "session_ms": SESSION_MS,
        "heartbeat_ms": HEARTBEAT_MS,
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.client", json.dumps(options)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.readline()  # it is ready
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


# --- commits


def bench_commits(cluster: BenchCluster) -> None:
    """Commits of one partition each: pipelined, and one at a time."""
    cluster.create_topic("commits", 6)
    for connections in (1, 6):
        groups = [f"commits-{number}" for number in range(connections)]
        before = cluster.cpu_seconds()
        rate = _pipelined(cluster, groups)
        used = [
            round((b - a) / COMMIT_S, 2) for a, b in zip(before, cluster.cpu_seconds(), strict=True)
        ]
        say(f"commits, {connections} groups", per_second=rate, window=WINDOW, broker_cores=used)
    single = percentiles(_singles(cluster))
    trip, sync = reference.round_trip(), reference.concurrent_fdatasync(cluster.directory)
    floor = 2 * trip["p50_us"] + sync["p50_us"]
    say("  one commit in flight", **single, floor_us=floor, ratio=single["p50_us"] / floor)


def _to_coordinator(cluster: BenchCluster, group: str) -> Connection:
    connection = Connection(coordinator(address(cluster.bootstrap), group).address)
    _wait_loaded(connection, group, "commits")
    return connection


def _wait_loaded(connection: Connection, group: str, topic: str) -> None:
    for _ in range(1000):
        connection.send(fetch(group, topic, 0))
        error, _ = fetched(connection.receive()[0])
        if error == ErrorCode.NOT_COORDINATOR.value:
            raise ConnectionError("the coordinator has moved")
        if not error:
            return
        time.sleep(0.02)
    raise SystemExit(f"the coordinator of {group} does not answer")


def _pipelined(cluster: BenchCluster, groups: list[str]) -> float:
    """Commits/s over a connection per group, WINDOW of them under way on each."""
    frames = {_to_coordinator(cluster, g): commit(g, "commits", [0], 7) for g in groups}
    begin = time.perf_counter()
    for connection, data in frames.items():
        connection.send(data * WINDOW)
    done, answers, end = 0, set[bytes](), begin + COMMIT_S
    while time.perf_counter() < end:
        for connection in select.select(list(frames), [], [])[0]:
            received = connection.receive()
            answers.update(received)
            done += len(received)
            connection.send(frames[connection] * len(received))
    took = time.perf_counter() - begin
    for connection in frames:
        connection.close()
    _check(answers)
    return done / took


def _check(answers: set[bytes]) -> None:
    errors = set[int]().union(*map(commit_errors, answers))
    if errors != {0}:
        raise SystemExit(f"commits failed: {[ErrorCode(e).name for e in errors]}")


def _singles(cluster: BenchCluster) -> list[float]:
    """Seconds of each of SINGLES commits, one after the other."""
    connection = _to_coordinator(cluster, "commits-0")
    data, took, answers = commit("commits-0", "commits", [0], 7), [], set[bytes]()
    for _ in range(SINGLES):
        begin = time.perf_counter()
        connection.send(data)
        answers.update(connection.receive())
        took.append(time.perf_counter() - begin)
    connection.close()
    _check(answers)
    return took[50:]


# --- load


def bench_load(cluster: BenchCluster) -> None:
    """1,000,000 commits of 1,000 groups of one coordinator, whose broker is killed then."""
    cluster.create_topic("load", LOAD_PARTITIONS)
    partition = partition_for("load-0", OFFSETS_PARTITIONS)
    names = (f"load-{number}" for number in range(1_000_000))
    found = (name for name in names if partition_for(name, OFFSETS_PARTITIONS) == partition)
    groups = [next(found) for _ in range(LOAD_GROUPS)]
    old = _fill(cluster, groups)
    commits = LOAD_GROUPS * LOAD_PARTITIONS * LOAD_ROUNDS
    for name, figures in _log_of(cluster, old.node, partition).items():
        say(f"log after {commits:,} commits", what=name, **figures)
    cluster.kill(old.node)
    killed = time.monotonic()
    others = [to for node, to in cluster.addresses.items() if node != old.node]
    led, answered = _answered(others, groups[-1])
    say("coordinator killed", until_another_leads_s=led - killed, load_s=answered - led)


def _fill(cluster: BenchCluster, groups: list[str]) -> Coordinator:
    """Every group commits all partitions, LOAD_ROUNDS times; again where the coordinator moves."""
    begin, moves = time.monotonic(), 0
    for offset in range(1, LOAD_ROUNDS + 1):
        wanted = deque(commit(g, "load", range(LOAD_PARTITIONS), offset) for g in groups)
        while wanted:
            to = coordinator(address(cluster.bootstrap), groups[0])
            try:
                _send_all(to.address, groups[0], wanted)
            except ConnectionError:
                moves += 1
    took = time.monotonic() - begin
    records = LOAD_ROUNDS * len(groups) * LOAD_PARTITIONS
    say("writing them, 100 a request", seconds=took, per_second=records / took, moves=moves)
    return to


def _send_all(to: Address, group: str, wanted: deque[bytes]) -> None:
    """Take from `wanted` what is committed; ConnectionError when another coordinates by now."""
    connection = Connection(to)
    try:
        _wait_loaded(connection, group, "load")
        sent = 0
        while wanted:
            while sent < min(LOAD_WINDOW, len(wanted)):
                connection.send(wanted[sent])
                sent += 1
            for answer in connection.receive():
                if commit_errors(answer) == {ErrorCode.NOT_COORDINATOR.value}:
                    raise ConnectionError("the coordinator has moved")
                _check({answer})
                wanted.popleft()
                sent -= 1
    finally:
        connection.close()


def _log_of(cluster: BenchCluster, node: int, partition: int) -> dict[str, dict[str, int]]:
    """By name: what the metrics of its leader say of the log, once no rewriting is under way."""
    labels = f'{{topic="{CONSUMER_OFFSETS}",partition="{partition}"}}'
    names = ("log_start_offset", "log_end_offset", "size_bytes")
    end = time.monotonic() + STABLE_S
    before: list[int] = []
    while time.monotonic() < end:
        rows = _scrape(cluster.admin[node])
        now = [int(rows[f"quorate_partition_{name}{labels}"]) for name in names]
        if now == before:
            break
        before = now
        time.sleep(1.0)
    start, last, size = before
    return {"kept": {"records": last - start, "trimmed_below": start, "bytes": size}}


def _scrape(admin: str) -> dict[str, str]:
    with urlopen(f"http://{admin}/metrics", timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    return dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))


def _answered(brokers: list[Address], group: str) -> tuple[float, float]:
    """When another broker first said that it coordinates the group, and when it told an offset."""
    connections = [Connection(to) for to in brokers]
    data, led, end = fetch(group, "load", LOAD_PARTITIONS - 1), 0.0, time.monotonic() + STABLE_S
    while time.monotonic() < end:
        for connection in connections:
            connection.send(data)
            error, offset = fetched(connection.receive()[0])
            now = time.monotonic()
            if error == ErrorCode.COORDINATOR_LOAD_IN_PROGRESS.value:
                led = led or now
            elif not error:
                if offset != LOAD_ROUNDS:
                    raise SystemExit(f"offset {offset} instead of {LOAD_ROUNDS} was told")
                return led or now, now
        time.sleep(0.002)
    raise SystemExit("nobody became the coordinator")


PARTS: dict[str, Callable[[BenchCluster], None]] = {
    "members": bench_members,
    "commits": bench_commits,
    "load": bench_load,
}
