"""Write-ahead logs damaged by hand on a majority of stopped brokers: they say so and stay down."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.exits import ExitCode
from tests.live.clients.confluent_client import ConfluentClient
from tests.live.cluster import Broker, Cluster, ask
from tests.live.load import check_exactly_once, loading, read_all
from tests.live.raw import wait_for_leaders
from tests.live.test_broker_start import start

pytestmark = pytest.mark.live

TOPIC = "load"
PARTITIONS = 4
MAJORITY = (1, 2)
ZEROED_FROM = 4096


def _cut_in_half(part: Path) -> None:
    os.truncate(part, part.stat().st_size // 2)


def _zero(part: Path) -> None:
    """All but the beginning, as a `truncate` to it and back does."""
    size = part.stat().st_size
    os.truncate(part, ZEROED_FROM)
    os.truncate(part, size)


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (_cut_in_half, r"\.wal is (\d+) bytes long, and (\d+) bytes of it had been durable"),
        (_zero, r"the log ends with round \d+ .*, and rounds up to \d+ had been durable"),
        (Path.unlink, r"the log ends with round \d+.*, and rounds up to \d+ had been durable"),
    ],
)
def test_a_majority_whose_logs_were_damaged_refuses_to_start(
    cluster: Cluster, tmp_path: Path, damage: Callable[[Path], None], sentence: str
) -> None:
    ConfluentClient(cluster.bootstrap).create_topic(TOPIC, PARTITIONS)
    wait_for_leaders(cluster, TOPIC)
    with loading(cluster, TOPIC) as load:
        load.wait_for_progress("before the damage", PARTITIONS)
        cluster.kill_all()
        for broker in MAJORITY:
            shutil.copytree(_wal(cluster, broker), tmp_path / f"saved-{broker}")
            damage(_newest_part(_wal(cluster, broker)))
        cluster.start(3)
        for broker in MAJORITY:
            _refused(cluster.brokers[broker], sentence)
        known = len(load.delivered)
        for broker in MAJORITY:
            shutil.rmtree(_wal(cluster, broker))
            shutil.copytree(tmp_path / f"saved-{broker}", _wal(cluster, broker))
            cluster.start(broker)
        cluster.wait_ready()
        assert known, "nothing was acknowledged: nothing could have been lost"
        load.wait_for_progress("after the files were restored", PARTITIONS)
    check_exactly_once(load, read_all(cluster, TOPIC, PARTITIONS))


def _wal(cluster: Cluster, broker: int) -> Path:
    return cluster.root / "data" / f"broker-{broker}" / "data" / "wal"


def _newest_part(directory: Path) -> Path:
    """The one written to last; spares have not been written to since they were made."""
    return max(directory.glob("*.wal"), key=lambda path: path.stat().st_mtime_ns)


def _refused(broker: Broker, sentence: str) -> None:
    result = start(broker)
    assert result.code == ExitCode.PRECONDITION, result
    assert result.err.startswith("quorate: ")
    assert re.search(sentence, result.err), result.err
    assert "must not vote" in result.err
    assert "format the data directory anew" in result.err
    assert ask(broker.kafka) is None
