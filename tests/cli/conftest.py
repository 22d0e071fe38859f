"""Fixtures for the command line's tests."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from cli.main import main
from tests.cli.mock_cluster import MockCluster, mock_cluster


@dataclass(frozen=True, slots=True)
class Result:
    """What a command left behind."""

    code: int
    out: str
    err: str


class Runner:
    """Runs `quorate` in this process, as a shell would: exit code, stdout, stderr."""

    def __init__(self, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self._capfd = capfd
        self._monkeypatch = monkeypatch

    def __call__(self, *arguments: str, stdin: bytes = b"") -> Result:
        self._monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        self._capfd.readouterr()
        code = main(arguments)
        captured = self._capfd.readouterr()
        return Result(int(code), captured.out, captured.err)


@pytest.fixture
def quorate(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Runner:
    """The command, in an environment without settings of ours."""
    for name in ("QUORATE_BOOTSTRAP", "QUORATE_OUTPUT"):
        monkeypatch.delenv(name, raising=False)
    return Runner(capfd, monkeypatch)


@pytest.fixture(scope="module")
def mock() -> Iterator[MockCluster]:
    """Mock brokers, shared by the tests of a module; each test uses topics of its own."""
    with mock_cluster() as cluster:
        yield cluster
