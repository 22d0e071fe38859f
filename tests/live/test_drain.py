"""`quorate broker drain` on a cluster that runs."""

from __future__ import annotations

import json

import pytest

from cli.exits import ExitCode
from tests.live.clients import Record
from tests.live.clients.confluent_client import ConfluentClient
from tests.live.cluster import Cluster
from tests.live.conftest import Command
from tests.live.raw import leaders, wait_for_leaders
from tests.live.waiting import wait_for

pytestmark = pytest.mark.live

PARTITIONS = 6


def test_a_broker_is_drained_and_stays_so_until_that_is_undone(
    cluster: Cluster, quorate: Command
) -> None:
    client = ConfluentClient(cluster.bootstrap)
    client.create_topic("t", PARTITIONS)
    wait_for_leaders(cluster, "t")
    node = cluster.controller()
    other = min({1, 2, 3} - {node})
    found = json.loads(quorate.succeeds("broker", "drain", str(node), "--output", "json"))
    assert found == {"broker": node, "draining": True, "controller": False, "leads": []}
    assert node not in wait_for_leaders(cluster, "t")
    assert cluster.controller() != node
    rows = json.loads(quorate("cluster", "status", "-o", "json").out)["brokers"]
    assert {row["id"]: row["draining"] for row in rows} == {n: n == node for n in (1, 2, 3)}
    client.produce("t", [Record(b"x")] * 10)

    # It still is after a restart, and another drain finds nothing to do.
    cluster.terminate(node)
    cluster.start(node)
    cluster.wait_ready()
    assert "draining" in quorate.succeeds("broker", "drain", str(node))
    assert node not in wait_for_leaders(cluster, "t")

    quorate.succeeds(
        "config", "set", "--cluster", "leader.imbalance.check.interval.seconds=1", "-o", "json"
    )
    found = json.loads(quorate.succeeds("broker", "drain", str(node), "--undo", "-o", "json"))
    assert found == {"broker": node, "draining": False}
    seen = cluster.brokers[other].kafka
    wait_for(lambda: leaders(seen, "t").count(node) == PARTITIONS // 3, 60, "its leaderships")


def test_what_cannot_be_moved_is_named(cluster: Cluster, quorate: Command) -> None:
    quorate.succeeds("topic", "create", "alone", "--partitions", "3", "--replication-factor", "1")
    wait_for_leaders(cluster, "alone")
    result = quorate("broker", "drain", "2", "--output", "json")  # without a wait for its end
    assert result.code == ExitCode.FAILED
    (left,) = json.loads(result.out)["leads"]
    assert "broker 2 leads" in result.err, "progress"
    assert "still leads 1 partition, whose only replica it has" in result.err
    cluster.kill(2)
    for more in ((), ("--undo",)):
        result = quorate("broker", "drain", "7", *more)
        assert result.code == ExitCode.FAILED
        assert "there is no broker 7; the brokers of this cluster are 1, 2, 3" in result.err
    assert left.startswith("alone-")
