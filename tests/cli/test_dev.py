"""`quorate dev` as a process, from start to signal; the brokers only look like brokers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cli.commands.dev import data_directory, welcome
from cli.dev import plan as plans
from cli.dev import temporary
from cli.dev.supervisor import Options, Supervisor
from cli.exits import ExitCode
from raftlog.disk.properties import DirectoryLock
from tests.cli import fake_broker
from tests.cli.test_supervisor import alive

PATIENCE_S = 30
SCRIPT = f"""
import sys
from cli.dev import supervisor
from cli.main import main
fake = [sys.executable, {fake_broker.__file__!r}]
supervisor.broker_command = lambda broker: [*fake, str(broker.kafka.port), "1,2", "serve"]
sys.exit(main(sys.argv[1:]))
"""


@contextmanager
def dev(temporary: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """`quorate dev` with two fake brokers; interrupted at the end if it still runs."""
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT, "dev", "--nodes", "2", *arguments],
        env={"TMPDIR": str(temporary), "PATH": "/usr/bin:/bin"},
        cwd=Path(__file__).parent.parent.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
            process.wait(PATIENCE_S)


def announced(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    content: dict[str, Any] = json.loads(process.stdout.readline())
    return content


def finish(process: subprocess.Popen[str], number: signal.Signals) -> str:
    """Send the signal; the rest of standard error."""
    process.send_signal(number)
    _, err = process.communicate(timeout=PATIENCE_S)
    return err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_everything_and_a_temporary_cluster_leaves_nothing(
    tmp_path: Path, number: signal.Signals
) -> None:
    with dev(tmp_path, "--port", "0", "-o", "json") as process:
        content = announced(process)
        pids = [broker["pid"] for broker in content["brokers"]]
        assert all(map(alive, pids))
        assert len(list(tmp_path.glob("quorate-dev-*/broker-*/broker.toml"))) == 2
        err = finish(process, number)
    assert process.returncode == ExitCode.OK
    assert number.name in err
    assert "stopped" in err
    assert not any(map(alive, pids))
    assert list(tmp_path.iterdir()) == []


def test_people_are_told_the_address_and_what_to_try(tmp_path: Path) -> None:
    with dev(tmp_path, "--port", "0") as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(6)]
        finish(process, signal.SIGINT)
    assert "Bootstrap address: 127.0.0.1:" in lines[0]
    assert " topic create " in lines[2]
    assert " produce " in lines[3]
    assert "curl http://127.0.0.1:" in lines[4]
    assert "Ctrl-C" in lines[5], "both of two brokers are needed: none is to be killed"


def test_the_suggestions_are_for_the_brokers_that_are_up(tmp_path: Path) -> None:
    """No broker is to be killed that the others need, and no topic wants more copies than live."""
    plan = plans.create(tmp_path, 3, 9092)
    said = {}
    for down in ({}, {2: "gone"}):
        supervisor = Supervisor(plan, Options(), print, refused=down)
        said[len(down)] = welcome(plan, supervisor)
    assert said[0].startswith("3 brokers serve.")
    assert "kill -9" in said[0]
    assert "--partitions 6\n" in said[0]
    assert said[1].startswith("2 of 3 brokers serve.")
    assert "kill -9" not in said[1]
    assert "--partitions 6 --replication-factor 2\n" in said[1]
    five = plans.create(tmp_path, 5, 9092)
    text = welcome(five, Supervisor(five, Options(), print, refused={1: "gone"}))
    assert "(that is broker 5)" in text, "an observer: both voters stay"
    one = plans.create(tmp_path, 1, 9092)
    text = welcome(one, Supervisor(one, Options(), print))
    assert text.startswith("1 broker serves.")
    assert "kill -9" not in text


def test_what_a_killed_run_left_is_removed_by_the_next_and_nothing_else(tmp_path: Path) -> None:
    kept = tmp_path / "quorate-dev-kept"
    (kept / "broker-1").mkdir(parents=True)
    with dev(tmp_path, "--port", "0", "-o", "json") as alive_one:
        announced(alive_one)
        (used,) = set(tmp_path.iterdir()) - {kept}
        with dev(tmp_path, "--port", "0", "-o", "json") as victim:
            brokers = [broker["pid"] for broker in announced(victim)["brokers"]]
            (left,) = set(tmp_path.iterdir()) - {kept, used}
            victim.kill()
            victim.wait(PATIENCE_S)
        for pid in brokers:  # these only look like brokers: they do not stop by themselves
            os.kill(pid, signal.SIGKILL)
        assert left.exists()
        with dev(tmp_path, "--port", "0", "-o", "json") as third:
            announced(third)
            assert not left.exists()
            assert used.exists()
            assert kept.exists()
            assert f"removed {left}" in finish(third, signal.SIGTERM)


def test_only_what_nobody_holds_is_abandoned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with temporary.locked_directory() as used, temporary.locked_directory() as continued:
        assert temporary.remove_abandoned() == []
    data = used / "broker-1" / "data"
    data.mkdir(parents=True)
    with data_directory(continued):  # given as --data: somebody's, whatever it is called
        pass
    with DirectoryLock(data):
        assert temporary.remove_abandoned() == [], "a broker still stops there"
    assert temporary.remove_abandoned() == [used]
    assert list(tmp_path.iterdir()) == [continued]


def test_a_kept_cluster_is_found_again(tmp_path: Path) -> None:
    seen = []
    for _ in range(2):
        with dev(
            tmp_path, "--port", "0", "-o", "json", "--data", str(tmp_path / "kept")
        ) as process:
            content = announced(process)
            seen.append((content["bootstrap"], content["cluster_id"]))
            finish(process, signal.SIGTERM)
    assert seen[0] == seen[1]


def test_a_ready_file_appears_with_the_cluster_and_goes_with_it(tmp_path: Path) -> None:
    path = tmp_path / "ready.json"
    with dev(tmp_path, "--port", "0", "-o", "json", "--ready-file", str(path)) as process:
        content = announced(process)
        assert json.loads(path.read_text(encoding="utf-8")) == content
        finish(process, signal.SIGTERM)
    assert not path.exists()


def test_logs_of_a_cluster_that_failed_are_kept(tmp_path: Path) -> None:
    with dev(tmp_path, "--port", "0", "--no-restart", "-o", "json") as process:
        for broker in announced(process)["brokers"]:
            os.kill(broker["pid"], signal.SIGKILL)
        _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == ExitCode.FAILED
    assert "no broker is left" in err
    (kept,) = tmp_path.iterdir()
    assert f"logs are kept in {kept}" in err


def test_a_directory_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with dev(tmp_path, "--data", str(tmp_path / "file" / "below")) as process:
        _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == ExitCode.PRECONDITION
    assert str(tmp_path / "file" / "below") in err
