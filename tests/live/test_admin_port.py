"""The admin port of real brokers: what they tell while clients work and while brokers die."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from typing import NamedTuple

import pytest

from cli.context import Address
from partitions.ops.exposition import OPENMETRICS, TEXT
from partitions.ops.table import METRICS
from tests.live.cluster import Cluster
from tests.live.conftest import Command
from tests.live.raw import wait_for_leaders
from tests.live.waiting import wait_for
from tests.partitions.ops.strict import Family, parse

pytestmark = pytest.mark.live

PATIENCE_S = 60.0
ASK_S = 20.0
RECORDS = 3000


class Reply(NamedTuple):
    status: int
    content_type: str
    text: str


def get(address: Address, path: str, accept: str = "*/*", method: str = "GET") -> Reply:
    connection = HTTPConnection(address.host, address.port, timeout=ASK_S)
    try:
        connection.request(method, path, headers={"Accept": accept})
        response = connection.getresponse()
        kind = response.getheader("Content-Type") or ""
        return Reply(response.status, kind, response.read().decode())
    finally:
        connection.close()


def scrape(address: Address) -> dict[str, Family]:
    reply = get(address, "/metrics")
    assert (reply.status, reply.content_type) == (200, TEXT)
    return parse(reply.text)


def scrape_all(cluster: Cluster) -> list[dict[str, Family]]:
    return [scrape(each.admin) for each in cluster.brokers.values() if each.pid is not None]


def total(scrapes: list[dict[str, Family]], name: str, **labels: str) -> float:
    """Over all brokers, the samples that have these labels, whatever others they have."""
    wanted = set(labels.items())
    return sum(
        value
        for families in scrapes
        for (_, given), value in families[name].samples.items()
        if wanted <= set(given)
    )


@contextmanager
def scraping(cluster: Cluster) -> Iterator[list[int]]:
    """Scrape every broker again and again meanwhile; gives the sizes of the scrapes."""
    stop, sizes, failures = threading.Event(), [], []

    def run() -> None:
        while not stop.is_set():
            for broker in cluster.brokers.values():
                try:
                    sizes.append(len(scrape(broker.admin)))
                except Exception as error:
                    failures.append(error)
                    return

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield sizes
    finally:
        stop.set()
        thread.join()
    assert not failures, failures


def test_every_documented_metric_is_there_while_clients_work(
    shared_quorate: Command, shared_cluster: Cluster
) -> None:
    quorate, cluster = shared_quorate, shared_cluster
    quorate.succeeds("topic", "create", "t", "-p", "6", "-r", "3")
    lines = "\n".join(f"value {n}" for n in range(RECORDS)).encode()
    with scraping(cluster) as sizes:
        quorate.succeeds("produce", "t", stdin=lines)
        found = quorate.succeeds("consume", "t", "--group", "g", "--until-end")
        assert len(found.splitlines()) == RECORDS
        wait_for(lambda: len(sizes) >= 6, PATIENCE_S, "some scrapes")
    assert set(sizes) == {len(METRICS)}
    scrapes = scrape_all(cluster)
    for families in scrapes:
        assert list(families) and set(families) == set(METRICS)
        for name, metric in METRICS.items():
            assert families[name].kind == metric.kind.value
            assert families[name].meaning == metric.meaning
            for _, labels in families[name].samples:
                assert {label for label, _ in labels} <= {*metric.labels, "le"}, name
    empty = [n for n in METRICS if not any(families[n].samples for families in scrapes)]
    assert set(empty) <= {
        "quorate_request_errors_total",
        "kafka_network_requestmetrics_errors_total",
    }


def test_what_is_counted_is_what_was_done(shared_quorate: Command, shared_cluster: Cluster) -> None:
    quorate, cluster = shared_quorate, shared_cluster
    quorate.succeeds("topic", "create", "counted", "-p", "3", "-r", "3")
    wait_for_leaders(cluster, "counted")
    before = scrape_all(cluster)
    quorate.succeeds("produce", "counted", stdin=b"x\n" * RECORDS)
    quorate.succeeds("consume", "counted", "--until-end")
    after = scrape_all(cluster)

    def grew(name: str, **labels: str) -> float:
        return total(after, name, **labels) - total(before, name, **labels)

    messages = "kafka_server_brokertopicmetrics_messagesin_total"
    assert grew(messages, topic="counted") == RECORDS
    assert grew(messages) == 2 * RECORDS, "by topic, and once more as the sum"
    assert grew("quorate_messages_in_total") == RECORDS
    batches = grew("quorate_topic_batches_in_total", topic="counted")
    assert 1 <= batches < RECORDS / 10
    assert grew("quorate_requests_total", api="Produce") >= 1
    assert grew("quorate_request_duration_seconds", api="Produce") > 0
    size = grew("quorate_topic_batch_bytes_in_total", topic="counted")
    assert grew("quorate_topic_batch_bytes_out_total", topic="counted") >= size > RECORDS
    assert grew("quorate_response_bytes_total", api="Fetch") > size
    offsets = total(after, "kafka_topic_partition_current_offset", topic="counted")
    assert offsets == RECORDS, "each partition is told of by its leader alone"
    assert total(after, "quorate_partition_size_bytes", topic="counted") == 3 * size
    assert grew("quorate_wal_rounds_total") > 0
    assert grew("quorate_wal_sync_seconds") > 0
    assert total(after, "quorate_controller_active") == 1


@pytest.mark.usefixtures("short_sessions")
def test_a_dead_broker_shows(quorate: Command, cluster: Cluster) -> None:
    quorate.succeeds("topic", "create", "t", "-p", "6", "-r", "3")
    wait_for_leaders(cluster, "t")
    under_replicated = "quorate_partitions_under_replicated"
    # the followers of a new partition need a moment to be brought up to date
    wait_for(lambda: total(scrape_all(cluster), under_replicated) == 0, PATIENCE_S, "all copies")
    victim = cluster.controller() % 3 + 1
    cluster.kill(victim)
    quorate.succeeds("produce", "t", "--key-separator", ":", stdin=b"a:1\nb:2\nc:3\nd:4\ne:5\n")

    def seen(name: str, value: int) -> bool:
        return total(scrape_all(cluster), name) == value

    wait_for(lambda: seen(under_replicated, 6), PATIENCE_S, "all six")
    wait_for(lambda: seen("quorate_brokers_fenced", 2), PATIENCE_S, "both to take it for dead")
    found = scrape_all(cluster)
    assert total(found, "quorate_replica_lag_entries", replica=str(victim)) > 0
    assert total(found, "kafka_topic_partition_in_sync_replica") == 12
    assert total(found, "quorate_cluster_partitions_offline") == 0
    cluster.start(victim)
    cluster.wait_ready()
    wait_for(lambda: seen("quorate_partitions_under_replicated", 0), PATIENCE_S, "none")
    wait_for(lambda: seen("quorate_replica_lag_entries", 0), PATIENCE_S, "no lag")
    assert total(scrape_all(cluster), "quorate_partitions_led") == 6


def test_readyz_turns_when_the_quorum_is_lost_and_back(cluster: Cluster) -> None:
    survivor = cluster.brokers[3]
    assert get(survivor.admin, "/readyz") == (200, "text/plain; charset=utf-8", "ready\n")
    cluster.kill(1)
    cluster.kill(2)

    def turned() -> Reply | None:
        reply = get(survivor.admin, "/readyz", "application/json")
        return reply if reply.status == 503 else None

    reply = wait_for(turned, PATIENCE_S, "readyz to turn")
    found = json.loads(reply.text)
    assert found["ready"] is False
    assert any("metadata quorum is not reachable" in reason for reason in found["reasons"])
    assert get(survivor.admin, "/livez").status == 200
    assert scrape(survivor.admin)["quorate_ready"].value() == 0
    cluster.start(1)
    wait_for(lambda: get(survivor.admin, "/readyz").status == 200, PATIENCE_S, "readyz again")
    assert scrape(survivor.admin)["quorate_ready"].value() == 1


def test_a_broker_without_a_quorum_answers_from_its_start_on(cluster: Cluster) -> None:
    for broker in (1, 2, 3):
        cluster.kill(broker)
    cluster.start(1)
    admin = cluster.brokers[1].admin

    def answered() -> Reply | None:
        try:
            return get(admin, "/readyz")
        except ConnectionError:  # nobody listens, or still the one that was killed
            return None

    reply = wait_for(answered, PATIENCE_S, "an answer")
    assert reply.status == 503
    assert "is not registered with the controller" in reply.text


def test_only_gets_of_known_paths_are_answered(shared_cluster: Cluster) -> None:
    admin = shared_cluster.brokers[1].admin
    assert get(admin, "/").status == 404
    assert get(admin, "/metrics/").status == 404
    assert get(admin, "/metrics?name=x").status == 200
    for method in ("POST", "PUT", "DELETE", "HEAD", "OPTIONS"):
        assert get(admin, "/metrics", method=method).status == 405


def test_openmetrics_is_given_to_who_asks(shared_cluster: Cluster) -> None:
    accept = "application/openmetrics-text;version=1.0.0;q=0.8,text/plain;q=0.5"
    reply = get(shared_cluster.brokers[2].admin, "/metrics", accept)
    assert reply.content_type == OPENMETRICS
    families = parse(reply.text, openmetrics=True)
    assert set(families) == {
        name.removesuffix("_total") if metric.kind.value == "counter" else name
        for name, metric in METRICS.items()
    }


def test_hostile_clients_get_nothing_and_cost_the_broker_nothing(
    shared_quorate: Command, shared_cluster: Cluster
) -> None:
    broker = shared_cluster.brokers[1]
    where = (broker.admin.host, broker.admin.port)
    silent = [socket.create_connection(where, ASK_S) for _ in range(40)]
    try:
        for junk in (b"\x00" * 20_000, b"GET /" + b"a" * 20_000, b"G" * 10, b"\r\n" * 5000):
            with socket.create_connection(where, ASK_S) as sock:
                try:
                    sock.sendall(junk)
                    sock.shutdown(socket.SHUT_WR)
                    while sock.recv(65536):
                        pass
                except OSError:  # the broker has closed it, at whichever step
                    pass
        shared_quorate.succeeds("topic", "create", "meanwhile", "-p", "1", "-r", "3")
        shared_quorate.succeeds("produce", "meanwhile", stdin=b"x\n")

        def served() -> bool:
            """Those that say nothing are closed after a while, and their places are free."""
            try:
                return get(broker.admin, "/readyz").status == 200
            except OSError:
                return False

        wait_for(served, PATIENCE_S, "a place at the admin port")
    finally:
        for sock in silent:
            sock.close()
    assert "admin port failed" not in broker.log.read_text()
