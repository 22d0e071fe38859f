"""`quorate debug bundle` where no broker answers."""

from __future__ import annotations

import errno
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.exits import ExitCode
from tests.cli.bundling.kit import unpacked
from tests.cli.conftest import Runner


@pytest.fixture
def nobody() -> Iterator[str]:
    """An address at which nobody listens."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{reserved.getsockname()[1]}"


def test_without_any_broker_the_rest_is_bundled(
    quorate: Runner, tmp_path: Path, data: Path, nobody: str
) -> None:
    path = tmp_path / "b.tar.gz"
    arguments = ("debug", "bundle", "-b", nobody, "--output-file", str(path), "-o", "json")
    more = ("--data-dir", str(data), "--log-file", str(next(data.rglob("*.log"))))
    result = quorate(*arguments, *more, "--admin", f"http://{nobody}/", "--timeout", "2")
    assert result.code == ExitCode.UNREACHABLE
    assert nobody in result.err
    document = json.loads(result.out)
    members = unpacked(path)
    assert list(members) == ["manifest.json", *(each["name"] for each in document["files"])]
    told = json.loads(members["manifest.json"])
    assert {**document, **told} == document
    assert set(members) == {
        "manifest.json",
        "local/data/settings.json",
        "local/data/meta.properties",
        "local/data/files.json",
        "local/data/damage.json",
        "local/data/broker.log",
    }
    everything = b"".join(members.values())
    assert b"hunter2" not in everything
    assert b"MESSAGE" not in everything
    missing = [each["what"] for each in told["missing"]]
    assert f"broker at {nobody}" in missing
    assert f"admin/{nobody}/metrics.txt" in missing
    assert "local/logs/00000000000000000000.log" in missing
    again = quorate(*arguments)
    assert again.code == ExitCode.PRECONDITION
    assert "is there already" in again.err
    assert unpacked(path) == members


def test_the_default_name_is_of_the_cluster_and_the_time(
    quorate: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nobody: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = quorate("debug", "bundle", "-b", nobody, "--data-dir", "lost", "--timeout", "1")
    (path,) = tmp_path.iterdir()
    assert path.match("quorate-debug-unknown-*T*Z.tar.gz")
    assert path.name in result.out
    assert "no such directory" in result.err


@pytest.mark.parametrize("url", ["https://h:1", "h", "h:99999", "ftp://h:1"])
def test_an_admin_port_must_be_one(quorate: Runner, url: str) -> None:
    result = quorate("debug", "bundle", "--admin", url)
    assert result.code == ExitCode.USAGE
    assert "http://host:port" in result.err


def test_a_bundle_without_a_place_is_refused_at_once(quorate: Runner, tmp_path: Path) -> None:
    path = tmp_path / "no" / "b.tar.gz"
    result = quorate("debug", "bundle", "--output-file", str(path))
    assert result.code == ExitCode.PRECONDITION
    assert f"{path.parent} is no directory" in result.err
    assert "asking" not in result.err


def test_a_bundle_that_cannot_be_written_is_a_failure(
    quorate: Runner, tmp_path: Path, nobody: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("cli.bundling.contents.write", full)
    path = tmp_path / "b.tar.gz"
    result = quorate("debug", "bundle", "-b", nobody, "--output-file", str(path), "--timeout", "1")
    assert result.code == ExitCode.FAILED
    assert f"cannot write {path}: No space left" in result.err
