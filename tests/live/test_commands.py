"""The commands of the README against real brokers."""

from __future__ import annotations

import json

import pytest

from cli.exits import ExitCode
from tests.live.cluster import Cluster
from tests.live.conftest import Command

pytestmark = pytest.mark.live

RECORDS = [f"record {number}" for number in range(2000)]


def test_a_topic_lives_from_create_to_delete(common_quorate: Command) -> None:
    common_quorate.succeeds(
        "topic", "create", "orders", "--partitions", "6", "--replication-factor", "3"
    )
    again = common_quorate("topic", "create", "orders")
    assert again.code == ExitCode.FAILED
    assert "orders" in again.err
    common_quorate.succeeds("topic", "create", "orders", "--if-not-exists")

    listed = json.loads(common_quorate.succeeds("topic", "list", "-o", "json"))
    assert {"name": "orders", "partitions": 6, "replication_factor": 3} in listed
    rows = json.loads(
        common_quorate.succeeds("topic", "describe", "orders", "--offsets", "-o", "json")
    )
    assert [row["partition"] for row in rows] == list(range(6))
    assert all(sorted(row["replicas"]) == [1, 2, 3] for row in rows)
    assert all((row["first_offset"], row["next_offset"]) == (0, 0) for row in rows)

    common_quorate.succeeds("topic", "delete", "orders")
    left = json.loads(common_quorate.succeeds("topic", "list", "-o", "json"))
    assert "orders" not in [topic["name"] for topic in left]
    gone = common_quorate("topic", "delete", "orders")
    assert gone.code == ExitCode.FAILED
    assert ("UNKNOWN_TOPIC" in gone.err, "UNKNOWN_TOPIC" in gone.out) == (True, False), gone
    common_quorate.succeeds("topic", "delete", "orders", "--if-exists")


def test_every_topic_to_delete_gets_its_outcome(common_quorate: Command) -> None:
    common_quorate.succeeds("topic", "create", "there")
    result = common_quorate("topic", "delete", "missing", "there", "-o", "json")
    assert result.code == ExitCode.FAILED
    missing, there = json.loads(result.out)
    assert (missing["topic"], there["topic"]) == ("missing", "there")
    assert (missing["outcome"], "UNKNOWN_TOPIC" in missing["error"]) == ("failed", True)
    assert (there["outcome"], there["error"]) == ("deleted", None)
    assert "1 of 2 failed" in result.err


@pytest.mark.parametrize("compression", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_what_is_produced_is_consumed_in_order(common_quorate: Command, compression: str) -> None:
    topic = f"in-{compression}"
    common_quorate.succeeds("topic", "create", topic, "-p", "1", "-r", "3")
    common_quorate.succeeds(
        *("produce", topic, "--compression", compression), stdin="\n".join(RECORDS).encode()
    )
    assert common_quorate.succeeds("consume", topic, "--until-end").splitlines() == RECORDS


def test_producing_a_few_records_waits_for_no_timer(common_quorate: Command) -> None:
    """librdkafka looks for a broker to give it a producer id every 500 ms."""
    common_quorate.succeeds("topic", "create", "few", "-p", "6", "-r", "3")
    seconds = [
        json.loads(common_quorate.succeeds("produce", "few", "-o", "json", stdin=b"1\n2\n3\n"))[
            "seconds"
        ]
        for _ in range(5)
    ]
    assert sorted(seconds)[2] < 0.3, seconds


def test_status_names_brokers_and_controller(
    common_quorate: Command, common_cluster: Cluster
) -> None:
    status = json.loads(common_quorate.succeeds("cluster", "status", "-o", "json"))
    assert [broker["id"] for broker in status["brokers"]] == [1, 2, 3]
    assert status["controller"] == common_cluster.controller()
    assert sorted(broker["address"] for broker in status["brokers"]) == sorted(
        common_cluster.bootstrap.split(",")
    )


def test_an_impossible_replication_factor_is_refused_with_a_reason(common_quorate: Command) -> None:
    result = common_quorate("topic", "create", "t", "--replication-factor", "4")
    assert result.code == ExitCode.FAILED
    assert "INVALID_REPLICATION_FACTOR" in result.err
