"""Fixtures for live tests; what brokers logged is shown when a test fails."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.live.cluster import ROOT, Cluster, running

COMMAND_S = 120.0


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add what brokers logged to the report of a failure."""
    report = yield
    for cluster in getattr(item, "funcargs", {}).values():
        if report.failed and isinstance(cluster, Cluster):
            report.sections += [(f"log of {title}", text) for title, text in cluster.logs()]
    return report


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Three fresh brokers; one that is killed stays down until it is started."""
    with running(tmp_path / "cluster") as fresh:
        yield fresh


@pytest.fixture
def short_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the test's cluster miss a dead broker soon: nine seconds, the default, are long.

    To be asked for with `usefixtures`, which comes before the cluster.
    """
    monkeypatch.setenv("QUORATE_BROKER_SESSION_TIMEOUT_MS", "4000")
    monkeypatch.setenv("QUORATE_BROKER_HEARTBEAT_INTERVAL_MS", "500")


@pytest.fixture(scope="module")
def shared_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three brokers for all tests of a module: they harm no broker and use topics of their own."""
    with running(tmp_path_factory.mktemp("cluster")) as fresh:
        yield fresh


@pytest.fixture(scope="session")
def common_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three brokers for modules that do what clients do, and nothing to the cluster as a whole.

    Their topics have names that no other module uses. Who changes settings, counts requests or
    weighs a broker's memory has `shared_cluster`.
    """
    with running(tmp_path_factory.mktemp("cluster")) as fresh:
        yield fresh


@dataclass(frozen=True, slots=True)
class Result:
    """What a command left behind."""

    code: int
    out: str
    err: str


class Command:
    """`quorate` as a process of its own, pointed at a cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def __call__(self, *arguments: str, stdin: bytes = b"") -> Result:
        done = subprocess.run(
            [sys.executable, "-m", "cli.main", *arguments, "-b", self._cluster.bootstrap],
            input=stdin,
            capture_output=True,
            cwd=ROOT,
            timeout=COMMAND_S,
            check=False,
        )
        return Result(done.returncode, done.stdout.decode(), done.stderr.decode())

    def succeeds(self, *arguments: str, stdin: bytes = b"") -> str:
        """Standard output of a command that must end with 0."""
        result = self(*arguments, stdin=stdin)
        assert result.code == 0, f"quorate {' '.join(arguments)}: {result}"
        return result.out


@pytest.fixture
def quorate(cluster: Cluster) -> Command:
    """The command line, on the test's cluster."""
    return Command(cluster)


@pytest.fixture
def common_quorate(common_cluster: Cluster) -> Command:
    """The command line, on the cluster of many modules."""
    return Command(common_cluster)


@pytest.fixture
def shared_quorate(shared_cluster: Cluster) -> Command:
    """The command line, on the module's cluster."""
    return Command(shared_cluster)
