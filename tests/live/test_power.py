"""All brokers die at once, again and again; what they had acknowledged is there."""

from __future__ import annotations

import pytest

from tests.live.clients.confluent_client import ConfluentClient
from tests.live.cluster import Cluster
from tests.live.load import check_exactly_once, loading, read_all
from tests.live.raw import wait_for_leaders

pytestmark = pytest.mark.live

TOPIC = "load"
PARTITIONS = 4
TIMES = 5


def test_the_whole_cluster_is_killed_under_load(cluster: Cluster) -> None:
    ConfluentClient(cluster.bootstrap).create_topic(TOPIC, PARTITIONS)
    wait_for_leaders(cluster, TOPIC)
    with loading(cluster, TOPIC) as load:
        for number in range(TIMES):
            load.wait_for_progress(f"before power failure {number}", PARTITIONS)
            cluster.kill_all()
            for broker in (1, 2, 3):
                cluster.start(broker)
        cluster.wait_ready()
        load.wait_for_progress("after the last power failure", PARTITIONS)
    check_exactly_once(load, read_all(cluster, TOPIC, PARTITIONS))
