"""The commands of the README against real brokers."""

from __future__ import annotations

import json

import pytest

from cli.exits import ExitCode
from tests.live.cluster import Cluster
from tests.live.conftest import Command

pytestmark = pytest.mark.live

RECORDS = [f"record {number}" for number in range(2000)]


def test_a_topic_lives_from_create_to_delete(quorate: Command) -> None:
    quorate.succeeds("topic", "create", "orders", "--partitions", "6", "--replication-factor", "3")
    again = quorate("topic", "create", "orders")
    assert again.code == ExitCode.FAILED
    assert "orders" in again.err
    quorate.succeeds("topic", "create", "orders", "--if-not-exists")

    listed = json.loads(quorate.succeeds("topic", "list", "-o", "json"))
    assert listed == [{"name": "orders", "partitions": 6, "replication_factor": 3}]
    rows = json.loads(quorate.succeeds("topic", "describe", "orders", "--offsets", "-o", "json"))
    assert [row["partition"] for row in rows] == list(range(6))
    assert all(sorted(row["replicas"]) == [1, 2, 3] for row in rows)
    assert all((row["first_offset"], row["next_offset"]) == (0, 0) for row in rows)

    quorate.succeeds("topic", "delete", "orders")
    assert json.loads(quorate.succeeds("topic", "list", "-o", "json")) == []
    assert quorate("topic", "delete", "orders").code == ExitCode.FAILED
    quorate.succeeds("topic", "delete", "orders", "--if-exists")


@pytest.mark.parametrize("compression", ["none", "lz4"])
def test_what_is_produced_is_consumed_in_order(quorate: Command, compression: str) -> None:
    quorate.succeeds("topic", "create", "t", "-p", "1", "-r", "3")
    quorate.succeeds(
        *("produce", "t", "--compression", compression), stdin="\n".join(RECORDS).encode()
    )
    assert quorate.succeeds("consume", "t", "--until-end").splitlines() == RECORDS


def test_status_names_brokers_and_controller(quorate: Command, cluster: Cluster) -> None:
    status = json.loads(quorate.succeeds("cluster", "status", "--check", "-o", "json"))
    assert [broker["id"] for broker in status["brokers"]] == [1, 2, 3]
    assert status["controller"] == cluster.controller()
    assert sorted(broker["address"] for broker in status["brokers"]) == sorted(
        cluster.bootstrap.split(",")
    )


def test_an_impossible_replication_factor_is_refused_with_a_reason(quorate: Command) -> None:
    result = quorate("topic", "create", "t", "--replication-factor", "4")
    assert result.code == ExitCode.FAILED
    assert "INVALID_REPLICATION_FACTOR" in result.err
