"""`quorate dev` when a broker's directory is gone or ruined: a majority serves, the rest says why.

What must never happen is that a wiped voter comes back under its old id.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli.exits import ExitCode
from tests.live.cluster import READY_S, Cluster, running
from tests.live.conftest import Command
from tests.live.waiting import wait_for

pytestmark = pytest.mark.live

VALUES = [f"kept-{number}" for number in range(300)]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A cluster that acknowledged VALUES on a topic of three replicas, and was stopped."""
    with running(tmp_path) as cluster:
        quorate = Command(cluster)
        quorate.succeeds("topic", "create", "t", "-p", "3", "-r", "3")
        quorate.succeeds("produce", "t", stdin="\n".join(VALUES).encode())
    return tmp_path


def data_of(root: Path, broker: int) -> Path:
    return root / "data" / f"broker-{broker}" / "data"


def published(root: Path) -> dict[int, Any]:
    content = json.loads((root / "ready.json").read_text(encoding="utf-8"))
    return {broker["id"]: broker for broker in content["brokers"]}


def remove(directory: Path) -> None:
    shutil.rmtree(directory)


def ruin_the_log(directory: Path) -> None:
    shutil.rmtree(directory / "wal")


def ruin_the_properties(directory: Path) -> None:
    (directory / "meta.properties").write_text("node.id=one\n", encoding="utf-8")


@pytest.mark.parametrize(
    ("harm", "named"),
    [
        (remove, "was formatted before and is gone"),
        (ruin_the_log, "held a write-ahead log, and it is gone"),
        (ruin_the_properties, "meta.properties"),
    ],
)
def test_the_majority_serves_without_the_broker_that_refuses(
    root: Path, harm: Callable[[Path], None], named: str
) -> None:
    harm(data_of(root, 1))
    with running(root) as cluster:
        brokers = published(root)
        assert brokers[1]["pid"] is None
        assert named in brokers[1]["down"]
        assert (brokers[2]["down"], brokers[3]["down"]) == (None, None)
        # said right after the ready file is there
        wait_for(lambda: "Broker 1 is down: " in cluster.dev_log.read_text(), READY_S, "the news")
        assert "2 of 3 brokers serve" in cluster.dev_log.read_text()
        quorate = Command(cluster)
        found = quorate.succeeds("consume", "t", "--until-end").splitlines()
        assert sorted(found) == sorted(VALUES)
        quorate.succeeds("produce", "t", stdin=b"more\n")
    assert harm is not remove or not data_of(root, 1).exists()


def test_without_a_majority_nothing_is_formatted_and_nothing_starts(root: Path) -> None:
    for broker in (1, 3):
        remove(data_of(root, broker))
    cluster = Cluster(root)
    cluster.start_dev()
    try:
        assert wait_for(cluster.ended, READY_S, "quorate dev to end") == [ExitCode.PRECONDITION]
        said = cluster.dev_log.read_text(encoding="utf-8").splitlines()[-1]
        assert "1 of 3 voters can start" in said
        for broker in (1, 3):
            assert f"broker {broker}: its data directory {data_of(root, broker)}" in said
            assert not data_of(root, broker).exists()
    finally:
        cluster.stop()
