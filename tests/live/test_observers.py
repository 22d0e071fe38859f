"""Four brokers, of which three vote: the fourth serves like the others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from raftlog.disk.fs import OsFileSystem
from raftlog.disk.properties import read_properties
from tests.live.clients import Record
from tests.live.clients.confluent_client import ConfluentClient
from tests.live.cluster import Cluster, ask, running
from tests.live.raw import wait_for_leaders
from tests.live.waiting import wait_for

pytestmark = pytest.mark.live

OBSERVER = 4
PARTITIONS = 4
"""With three copies each: some on the observer, and some led by it."""


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Three voters and an observer; one that is killed stays down until it is started."""
    with running(tmp_path / "cluster", nodes=OBSERVER) as fresh:
        fresh.wait_ready()
        yield fresh


def fill(client: ConfluentClient, topic: str, what: bytes) -> None:
    """One record more in every partition."""
    for number in range(PARTITIONS):
        client.produce(topic, [Record(what)], partition=number)


def content(client: ConfluentClient, topic: str, count: int) -> list[list[bytes | None]]:
    return [
        [stored.value for stored in client.consume(topic, count, partition=number)]
        for number in range(PARTITIONS)
    ]


def controller_seen_by(cluster: Cluster, broker: int) -> int | None:
    view = ask(cluster.brokers[broker].kafka)
    return None if view is None else view.controller


def wait_for_topics(client: ConfluentClient, *names: str) -> None:
    wait_for(lambda: set(names) <= set(client.topics()), 30, f"{names} at the observer")


def test_an_observer_serves_without_the_controller_and_after_a_kill(cluster: Cluster) -> None:
    properties = read_properties(OsFileSystem(cluster.root / "data" / "broker-4" / "data"))
    assert [voter.node_id for voter in properties.voters] == [1, 2, 3]
    here = ConfluentClient(str(cluster.brokers[OBSERVER].kafka))
    here.create_topic("first", PARTITIONS)
    leaders = wait_for_leaders(cluster, "first")
    assert OBSERVER in leaders, "the observer leads nothing: placement has changed"
    fill(here, "first", b"1")

    killed = cluster.controller()
    assert killed != OBSERVER, "who does not vote cannot lead the quorum"
    cluster.kill(killed)
    wait_for_leaders(cluster, "first")
    fill(here, "first", b"2")
    wait_for(lambda: controller_seen_by(cluster, OBSERVER) not in (None, killed), 30, "another one")
    # A client keeps the controller it has been told of: this one asks anew.
    ConfluentClient(str(cluster.brokers[OBSERVER].kafka)).create_topic("second", PARTITIONS)
    cluster.start(killed)
    cluster.wait_ready()
    wait_for_leaders(cluster, "second")
    fill(here, "second", b"1")

    cluster.kill(OBSERVER)
    there = ConfluentClient(str(cluster.brokers[killed].kafka))
    wait_for_leaders(cluster, "first")
    wait_for_leaders(cluster, "second")
    fill(there, "first", b"3")
    there.delete_topic("second")
    there.create_topic("third", PARTITIONS)

    cluster.start(OBSERVER)
    cluster.wait_ready()
    again = ConfluentClient(str(cluster.brokers[OBSERVER].kafka))
    wait_for_topics(again, "first", "third")
    wait_for_leaders(cluster, "first")
    wait_for_leaders(cluster, "third")
    fill(again, "first", b"4")
    fill(again, "third", b"1")
    assert content(again, "first", 4) == [[b"1", b"2", b"3", b"4"]] * PARTITIONS
    assert content(again, "third", 1) == [[b"1"]] * PARTITIONS
    assert "second" not in again.topics()
    partitions = cluster.root / "data" / "broker-4" / "data" / "partitions"
    wait_for(lambda: not list(partitions.glob("*-second-*")), 30, "the deleted topic's files to go")
