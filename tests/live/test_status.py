"""`quorate cluster status` while brokers die: what it says is true when it says it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.exits import ExitCode
from tests.live.cluster import Cluster, running
from tests.live.conftest import Command
from tests.live.waiting import wait_for

pytestmark = pytest.mark.live

PATIENCE_S = 30.0


@pytest.fixture
def five(tmp_path: Path) -> Iterator[Cluster]:
    """Three voters and two observers."""
    with running(tmp_path / "cluster", nodes=5) as cluster:
        yield cluster


def status(quorate: Command) -> dict[str, Any]:
    result = quorate("cluster", "status", "-o", "json")
    found: dict[str, Any] = json.loads(result.out)
    assert result.code == (ExitCode.OK if found["healthy"] else ExitCode.FAILED)
    assert found["healthy"] is not bool(found["reasons"])
    return found


def reachable(found: dict[str, Any]) -> dict[int, bool]:
    return {row["id"]: row["reachable"] for row in found["brokers"]}


@pytest.mark.usefixtures("short_sessions")
def test_a_dead_broker_is_shown_at_once_and_after_its_session(
    quorate: Command, cluster: Cluster
) -> None:
    assert wait_for(lambda: status(quorate)["healthy"], PATIENCE_S, "a healthy cluster")
    victim = cluster.controller() % 3 + 1
    cluster.kill(victim)
    found = status(quorate)
    assert not reachable(found)[victim], "its session has not ended yet"
    assert any(f"broker {victim} at " in reason for reason in found["reasons"])

    def fenced() -> bool:
        """No broker lists it any more, and the command still misses it."""
        found = status(quorate)
        assert not reachable(found)[victim]
        return any(row["id"] == victim and row["address"] is None for row in found["brokers"])

    wait_for(fenced, PATIENCE_S, "the dead broker to be fenced")


def test_a_lost_quorum_is_no_controller(five: Cluster) -> None:
    """Also in the eyes of observers, which hear of the controller from voters only."""
    quorate = Command(five)
    controller = five.controller()
    five.kill(controller)
    five.pause(controller % 3 + 1)

    def lost() -> dict[str, Any] | None:
        found = status(quorate)
        names = [row["names_controller"] for row in found["brokers"]]
        return found if found["controller"] is None and not any(names) else None

    found = wait_for(lost, PATIENCE_S, "no broker to name a controller")
    assert found["reasons"][0].startswith("no controller: 1 of 3 voters reachable")
    assert sum(reachable(found).values()) == 3
    table = quorate("cluster", "status")
    assert table.code == ExitCode.FAILED
    assert "no controller: 1 of 3 voters reachable" in table.out
    five.resume(controller % 3 + 1)
    wait_for(lambda: status(quorate)["controller"], PATIENCE_S, "a new controller")
