"""Two of three data directories are gone: the third goes on by force, as the runbook says."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cli.exits import ExitCode
from tests.live.cluster import ROOT, Cluster, ask
from tests.live.conftest import COMMAND_S, Command
from tests.live.waiting import wait_for

pytestmark = pytest.mark.live

VALUES = [f"kept-{number}" for number in range(300)]
MORE = [f"more-{number}" for number in range(50)]
FORCE = "--force-unclean-recovery"
LOOK_S = 60.0


def data_of(cluster: Cluster, broker: int) -> Path:
    return cluster.brokers[broker].config.parent / "data"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cli.main", *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=COMMAND_S,
        check=False,
    )


def recover(cluster: Cluster, *more: str) -> subprocess.CompletedProcess[str]:
    return run("cluster", "recover", "--config", str(cluster.brokers[3].config), *more)


def status(quorate: Command) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(quorate("cluster", "status", "-o", "json").out)
    return found


def consumed(quorate: Command) -> list[str]:
    return sorted(quorate.succeeds("consume", "t", "--until-end").splitlines())


def produce(quorate: Command, values: list[str]) -> None:
    quorate.succeeds("produce", "t", stdin="\n".join(values).encode())


def log_of(cluster: Cluster, broker: int) -> str:
    return cluster.brokers[broker].log.read_text(errors="replace")


def test_one_of_three_goes_on(cluster: Cluster, quorate: Command) -> None:
    quorate.succeeds("topic", "create", "t", "-p", "3", "-r", "3")
    produce(quorate, VALUES)
    running = recover(cluster, "--metadata", FORCE)
    assert running.returncode == ExitCode.PRECONDITION
    assert "in use by process" in running.stderr

    cluster.kill_all()
    former = cluster.root / "found-again"
    shutil.move(data_of(cluster, 1), former)
    shutil.rmtree(data_of(cluster, 2))
    named = ("--metadata", "--all-partitions-of", "t")
    dry = recover(cluster, *named)
    assert (dry.returncode, "Nothing was changed" in dry.stdout) == (0, True), dry.stderr
    done = recover(cluster, *named, FORCE, "-o", "json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)

    cluster.start(3)
    cluster.wait_ready()
    alone = Command(cluster)
    wait_for(lambda: not status(alone)["leaderless"], LOOK_S, "leaders")
    assert consumed(alone) == sorted(VALUES)
    produce(alone, MORE)
    assert consumed(alone) == sorted(VALUES + MORE)
    shown = status(alone)
    assert not shown["healthy"]
    assert shown["voters"] == [3]
    assert shown["under_replicated"] == ["t-0", "t-1", "t-2"]
    assert "this directory went on by a forced recovery" in log_of(cluster, 3)

    join(cluster, 2, report)
    found = status(alone)
    assert found["under_replicated"] == ["t-0", "t-1", "t-2"], "an empty disk brings nothing back"
    alone.succeeds("topic", "create", "u", "-p", "1", "-r", "2")
    refuse(cluster, former)
    assert consumed(alone) == sorted(VALUES + MORE)


def join(cluster: Cluster, broker: int, report: dict[str, Any]) -> None:
    """A new directory in the place of a lost one, as `cluster recover` says."""
    formatted = run(
        *("storage", "format", "--config", str(cluster.brokers[broker].config)),
        *("--cluster-id", report["cluster_id"], "--recovery", report["recovery"]),
        *("--voter", *report["voters"]),
    )
    assert formatted.returncode == 0, formatted.stderr
    cluster.start(broker)
    cluster.wait_ready()

    def listed() -> bool:
        view = ask(cluster.brokers[3].kafka)
        return view is not None and broker in view.brokers

    wait_for(listed, LOOK_S, f"broker {broker} to be listed")
    said = log_of(cluster, broker)
    assert "this cluster went on by a forced recovery" in said
    assert "recovery.log" not in said, "a new directory has none"


def refuse(cluster: Cluster, former: Path) -> None:
    """A lost directory that is found again is no peer of anybody."""
    shutil.move(former, data_of(cluster, 1))
    cluster.start(1)
    wait_for(lambda: "left for lost" in log_of(cluster, 3), LOOK_S, "a refusal")
    wait_for(lambda: "STOP THIS BROKER" in log_of(cluster, 1), LOOK_S, "the same over there")
    cluster.kill(1)
