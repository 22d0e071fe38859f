"""Brokers fail while a producer writes: it notices nothing but a delay."""

from __future__ import annotations

import pytest

from tests.live.clients.confluent_client import ConfluentClient
from tests.live.cluster import Cluster
from tests.live.load import check_exactly_once, loading, read_all
from tests.live.raw import wait_for_leaders

pytestmark = pytest.mark.live

TOPIC = "load"
PARTITIONS = 6


def other_than(*brokers: int) -> int:
    """A broker that is none of these."""
    return min({1, 2, 3} - set(brokers))


def test_an_idempotent_producer_survives_killed_and_stopped_brokers(cluster: Cluster) -> None:
    ConfluentClient(cluster.bootstrap).create_topic(TOPIC, PARTITIONS)
    leaders = wait_for_leaders(cluster, TOPIC)
    with loading(cluster, TOPIC) as load:
        load.wait_for_progress("at first", PARTITIONS)

        killed = leaders[0]
        cluster.kill(killed)
        load.wait_for_progress(f"without broker {killed}", PARTITIONS)
        cluster.start(killed)
        cluster.wait_ready()
        leaders = wait_for_leaders(cluster, TOPIC)

        # A leader that does not know that it was replaced when it comes back.
        stopped = other_than(killed)
        cluster.pause(stopped)
        load.wait_for_progress(f"while broker {stopped} is stopped", PARTITIONS)
        cluster.resume(stopped)
        load.wait_for_progress("after that", PARTITIONS)

        controller = cluster.controller()
        cluster.kill(controller)
        load.wait_for_progress("without the controller", PARTITIONS)
        cluster.start(controller)
        cluster.wait_ready()
        wait_for_leaders(cluster, TOPIC)
        load.wait_for_progress("with all brokers again", PARTITIONS)
    check_exactly_once(load, read_all(cluster, TOPIC, PARTITIONS))


def test_every_broker_serves_as_leader_with_one_other(cluster: Cluster) -> None:
    """Whichever broker is lost, the other two go on: no pair depends on a third."""
    ConfluentClient(cluster.bootstrap).create_topic(TOPIC, PARTITIONS)
    wait_for_leaders(cluster, TOPIC)
    with loading(cluster, TOPIC) as load:
        for lost in (1, 2, 3):
            cluster.terminate(lost)
            load.wait_for_progress(f"without broker {lost}", PARTITIONS)
            cluster.start(lost)
            cluster.wait_ready()
            wait_for_leaders(cluster, TOPIC)
    check_exactly_once(load, read_all(cluster, TOPIC, PARTITIONS))
