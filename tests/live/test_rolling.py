"""Brokers are restarted one after the other; producers and consumers notice next to nothing."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.live.clients.confluent_client import ConfluentClient
from tests.live.cluster import Cluster
from tests.live.raw import leaders, wait_for_leaders
from tests.live.rolling import describe, roll
from tests.live.rolling_load import KEYS, PACE_S
from tests.live.waiting import wait_for

pytestmark = pytest.mark.live

STALL_MAX_S = 5.0
"""On a machine that is busy with other things; `make rolling` prints figures worth reading."""
ELECTION_S = 1.2


def test_one_round_loses_nothing_and_stalls_nobody(cluster: Cluster) -> None:
    assert PACE_S < ELECTION_S
    lines: list[str] = []
    restarts = roll(cluster, 1, lines.append, settle=len(KEYS))
    print("\n".join(lines))
    for restart in restarts:
        assert restart.stopping < 10, describe(restart)
        assert restart.longest < STALL_MAX_S, describe(restart)


def test_a_broker_that_stops_has_handed_everything_over_before_it_is_gone(
    cluster: Cluster,
) -> None:
    """Nobody waits for an election: at the moment of its end others lead already."""
    ConfluentClient(cluster.bootstrap).create_topic("t", 6)
    assert set(wait_for_leaders(cluster, "t")) == {1, 2, 3}
    cluster.terminate(2)
    found = leaders(cluster.brokers[1].kafka, "t")
    assert 2 not in found
    # Each got one, or both went to the one that is not the controller.
    assert min(found.count(node) for node in (1, 3)) >= 2
    log = cluster.brokers[2].log.read_text()
    assert "leads_still=0" in log


def test_a_second_signal_ends_a_broker_at_once(cluster: Cluster) -> None:
    """It waits for followers that take nothing over, as long as they seem to be there."""
    cluster.kill(1)
    cluster.start(1)
    cluster.wait_ready()
    process = cluster.own(1)
    ConfluentClient(cluster.bootstrap).create_topic("t", 6)
    assert 1 in wait_for_leaders(cluster, "t")
    for other in (2, 3):
        cluster.pause(other)
    os.kill(process.pid, signal.SIGTERM)
    log = cluster.brokers[1].log
    wait_for(lambda: "stopping" in read_from(log), 30, "the drain to begin")
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait(5) == 128 + signal.SIGTERM
    assert "ends at once" in log.read_text()


def read_from(path: Path) -> str:
    return path.read_text(errors="replace")
