"""`quorate debug bundle` of a cluster that has lost a broker, and of one that has lost them all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cli.exits import ExitCode
from tests.cli.bundling.kit import unpacked
from tests.live.cluster import Cluster
from tests.live.conftest import Command

pytestmark = pytest.mark.live

PRIVATE = "what-nobody-else-may-read"
BROKER_PARTS = {
    "cluster.json",
    "log-dirs.json",
    "quorum.json",
    "settings.json",
    "topic-settings.json",
    "topics.json",
}


def test_a_report_has_what_is_left_of_the_cluster_and_no_message(
    cluster: Cluster, quorate: Command, tmp_path: Path
) -> None:
    quorate.succeeds("topic", "create", "orders", "-p", "2", "-r", "3", "-c", "retention.ms=123456")
    text = f"{PRIVATE}\n" * 50
    quorate.succeeds("produce", "orders", "--compression", "none", stdin=text.encode())
    assert PRIVATE in quorate.succeeds("consume", "orders", "--group", "billing", "-c", "50")
    victim = cluster.controller() % 3 + 1
    cluster.kill(victim)
    arguments = ("debug", "bundle", "--data-dir", str(cluster.root / "data"), "-o", "json")
    path = tmp_path / "some.tar.gz"
    result = quorate(*arguments, "--output-file", str(path))
    assert result.code == ExitCode.FAILED, result
    members = unpacked(path)
    _nothing_private(members)
    missing = {each["what"] for each in json.loads(result.out)["missing"]}
    assert f"broker at {cluster.brokers[victim].kafka}" in missing
    assert f"admin/{cluster.brokers[victim].admin}/readyz.txt" in missing
    left = sorted(set(cluster.brokers) - {victim})
    _brokers_tell(members, left, victim)
    for node in left:
        ready = members[f"admin/127.0.0.1_{cluster.brokers[node].admin.port}/readyz.txt"]
        assert b" 200 " in ready.splitlines()[0]
        assert document(members, f"local/broker-{node}/damage.json")["looked_through"] == "nothing"
    dead = document(members, f"local/broker-{victim}/damage.json")
    assert (dead["looked_through"], dead["damaged"]) == ("everything", [])
    for node in cluster.brokers:
        assert b"broker started" in members[f"local/broker-{node}/broker.log"]
        assert (
            document(members, f"local/broker-{node}/settings.json")["settings"]["node.id"] == node
        )

    cluster.kill_all()
    path = tmp_path / "none.tar.gz"
    result = quorate(*arguments, "--output-file", str(path))
    assert result.code == ExitCode.UNREACHABLE, result
    members = unpacked(path)
    _nothing_private(members)
    assert {name.split("/")[0] for name in members} == {"manifest.json", "local"}
    assert len([name for name in members if name.endswith("damage.json")]) == 3


def _nothing_private(members: dict[str, bytes]) -> None:
    for name, data in members.items():
        assert PRIVATE.encode() not in data, name


def _brokers_tell(members: dict[str, bytes], left: list[int], victim: int) -> None:
    status = document(members, "cluster/status.json")
    assert any(f"broker {victim}" in reason for reason in status["reasons"])
    groups = {each["group"]: each for each in document(members, "cluster/groups.json")}
    assert "billing" in groups or groups == {}, "the group's coordinator may have been the victim"
    for node in left:
        below = f"brokers/broker-{node}/"
        found = {name.removeprefix(below) for name in members if name.startswith(below)}
        assert found == BROKER_PARTS
        settings = {row["name"]: row["value"] for row in document(members, f"{below}settings.json")}
        assert settings["node.id"] == str(node)
        changed = document(members, f"{below}topic-settings.json")["orders"]
        assert changed == [{"name": "retention.ms", "value": "123456", "source": "topic"}]
        quorum = document(members, f"{below}quorum.json")
        assert {member["id"] for member in quorum["members"]} == {1, 2, 3}
        rows = document(members, f"{below}topics.json")
        assert sum(row["topic"] == "orders" for row in rows) == 2
        assert document(members, f"{below}log-dirs.json")["id"] == node


def document(members: dict[str, bytes], name: str) -> Any:
    return json.loads(members[name])
