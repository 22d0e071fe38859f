"""`quorate broker start` where it cannot: a message that names the setting, and an exit code."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cli.dev import ports
from cli.exits import ExitCode
from tests.live.cluster import ROOT, Broker, Cluster, ask
from tests.live.conftest import COMMAND_S, Result

pytestmark = pytest.mark.live


@pytest.fixture
def broker(common_cluster: Cluster) -> Broker:
    return common_cluster.brokers[1]


def start(broker: Broker, *settings: str) -> Result:
    """A second process with the configuration of a broker that runs, but for `settings`."""
    overrides = [argument for setting in settings for argument in ("--set", setting)]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "cli.main", "broker", "start"),
            *("--config", str(broker.config), *overrides),
        ],
        capture_output=True,
        cwd=ROOT,
        timeout=COMMAND_S,
        check=False,
    )
    return Result(done.returncode, done.stdout.decode(), done.stderr.decode())


def refused(broker: Broker, code: ExitCode, *named: str, settings: tuple[str, ...] = ()) -> None:
    """The start must fail with `code` and a message that has all of `named`."""
    result = start(broker, *settings)
    assert result.code == code, result
    assert result.err.startswith("quorate: ")
    assert len(result.err.splitlines()) <= 3
    assert all(each in result.err for each in named), result.err
    assert ask(broker.kafka) is not None


def test_a_directory_in_use(broker: Broker) -> None:
    refused(broker, ExitCode.PRECONDITION, "in use by process", str(broker.pid))


def test_a_directory_of_another_node(broker: Broker) -> None:
    refused(broker, ExitCode.PRECONDITION, "node.id 1", "say 2", settings=("node.id=2",))


def test_a_directory_that_is_not_formatted(broker: Broker, tmp_path: Path) -> None:
    for directory in (tmp_path, tmp_path / "missing"):
        setting = f"log.dirs={directory}"
        refused(
            broker, ExitCode.PRECONDITION, str(directory), "storage format", settings=(setting,)
        )


@pytest.fixture
def formatted(tmp_path: Path) -> str:
    """The setting that names another directory for node 1."""
    shared = ["--data", str(tmp_path), "--node-id", "1", "--cluster-id", "another"]
    shared += ["--voter", f"1@127.0.0.1:1:{'1' * 32}"]
    done = subprocess.run(
        [sys.executable, "-m", "cli.main", "storage", "format", *shared],
        capture_output=True,
        cwd=ROOT,
        timeout=COMMAND_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return f"log.dirs={tmp_path}"


def test_a_port_that_is_taken(broker: Broker, formatted: str) -> None:
    refused(broker, ExitCode.PRECONDITION, "listeners", str(broker.kafka), settings=(formatted,))
    address = f"PLAINTEXT://127.0.0.1:{ports.pick(1)[0]}"
    free = (f"listeners={address}", f"advertised.listeners={address}")
    refused(
        broker,
        ExitCode.PRECONDITION,
        "peer.listener",
        str(broker.peer),
        settings=(formatted, *free),
    )


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        ("num.partitoins=1", "num.partitions"),
        ("log.retention.byte=1", "log.retention.bytes"),
        ("num.partitions=0", "num.partitions"),
        ("listeners=SASL_SSL://127.0.0.1:1", "SASL_SSL"),
        ("log.cleanup.policy=compact", "compact"),
    ],
)
def test_settings_that_make_no_sense(broker: Broker, setting: str, named: str) -> None:
    refused(broker, ExitCode.USAGE, named, settings=(setting,))


def test_a_directory_whose_properties_are_damaged(
    broker: Broker, formatted: str, tmp_path: Path
) -> None:
    path = tmp_path / "meta.properties"
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    refused(broker, ExitCode.PRECONDITION, "meta.properties", settings=(formatted,))
