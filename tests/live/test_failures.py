"""Brokers die, stop and come back; what was acknowledged stays."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from tests.live.cluster import Cluster, exists, running
from tests.live.conftest import Command
from tests.live.load import IMPATIENT
from tests.live.waiting import wait_for

pytestmark = pytest.mark.live

HEAL_S = 60.0


def values(prefix: str, count: int = 500) -> list[str]:
    return [f"{prefix}-{number}" for number in range(count)]


def produce(quorate: Command, lines: list[str], *more: str) -> None:
    quorate.succeeds("produce", "t", *more, stdin="\n".join(lines).encode())


def consumed(quorate: Command) -> list[str]:
    return sorted(quorate.succeeds("consume", "t", "--until-end").splitlines())


def healthy(quorate: Command) -> bool:
    return quorate("cluster", "status").code == 0


@pytest.mark.parametrize("victim", ["controller", "other"])
def test_one_broker_killed_costs_nothing_that_was_acknowledged(
    quorate: Command, cluster: Cluster, victim: str
) -> None:
    quorate.succeeds("topic", "create", "t", "-p", "6", "-r", "3")
    produce(quorate, values("before"))
    controller = cluster.controller()
    broker = controller if victim == "controller" else controller % 3 + 1
    cluster.kill(broker)
    produce(quorate, values("without"))
    cluster.start(broker)
    cluster.wait_ready()
    wait_for(lambda: healthy(quorate), HEAL_S, "all replicas to catch up")
    produce(quorate, values("after"))
    assert consumed(quorate) == sorted(values("before") + values("without") + values("after"))


def test_all_brokers_killed_at_once_lose_nothing(quorate: Command, cluster: Cluster) -> None:
    quorate.succeeds("topic", "create", "t", "-p", "3", "-r", "3")
    produce(quorate, values("before"))
    for broker in (1, 2, 3):
        cluster.kill(broker)
    for broker in (1, 2, 3):
        cluster.start(broker)
    cluster.wait_ready()
    wait_for(lambda: healthy(quorate), HEAL_S, "leaders for all partitions")
    assert consumed(quorate) == sorted(values("before"))
    produce(quorate, values("after"))
    assert consumed(quorate) == sorted(values("before") + values("after"))


def test_a_paused_broker_does_not_stop_the_others(quorate: Command, cluster: Cluster) -> None:
    quorate.succeeds("topic", "create", "t", "-p", "6", "-r", "3")
    produce(quorate, values("before"))
    cluster.pause(3)
    # On its defaults librdkafka waits half a minute for the one that does not answer.
    impatient = [word for name, value in IMPATIENT.items() for word in ("-X", f"{name}={value}")]
    produce(quorate, values("paused"), *impatient)
    cluster.resume(3)
    wait_for(lambda: healthy(quorate), HEAL_S, "all replicas to catch up")
    assert consumed(quorate) == sorted(values("before") + values("paused"))


def test_the_second_run_finds_the_data_of_the_first(tmp_path: Path) -> None:
    with running(tmp_path) as first:
        Command(first).succeeds("topic", "create", "t", "-p", "3", "-r", "3")
        produce(Command(first), values("kept"))
        bootstrap, brokers = first.bootstrap, sorted(first.brokers)
    with running(tmp_path) as second:
        assert (second.bootstrap, sorted(second.brokers)) == (bootstrap, brokers)
        assert consumed(Command(second)) == sorted(values("kept"))


def test_dev_starts_a_killed_broker_again(tmp_path: Path) -> None:
    with running(tmp_path, restart=True) as cluster:
        victim = cluster.brokers[2].pid
        assert victim is not None
        os.kill(victim, signal.SIGKILL)

        def restarted() -> bool:
            cluster.refresh()
            return cluster.brokers[2].pid not in (None, victim)

        wait_for(restarted, HEAL_S, "a new pid in the ready file")
        cluster.wait_ready()


def test_brokers_do_not_outlive_a_killed_dev(cluster: Cluster) -> None:
    pids = [broker.pid for broker in cluster.brokers.values()]
    os.kill(cluster.dev_pid, signal.SIGKILL)
    wait_for(
        lambda: not any(exists(pid) for pid in pids if pid is not None),
        HEAL_S,
        f"the broker processes {pids} to end",
    )


def test_sigterm_stops_in_order(cluster: Cluster) -> None:
    assert cluster.stop() == 0
    text = cluster.dev_log.read_text()
    assert "SIGTERM" in text
    assert "killed" not in text


def test_the_ready_file_names_the_cluster_while_it_is_there(tmp_path: Path) -> None:
    with running(tmp_path) as cluster:
        content = json.loads((tmp_path / "ready.json").read_text())
        assert content["bootstrap"] == cluster.bootstrap
        assert all(exists(broker["pid"]) for broker in content["brokers"])
    assert not (tmp_path / "ready.json").exists()
