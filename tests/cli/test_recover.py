"""`quorate cluster recover`: what it says, what it refuses, and that a look changes nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cli.exits import ExitCode
from raftlog.disk.fs import OsFileSystem
from raftlog.disk.properties import LOCK_NAME, DirectoryLock, read_properties
from tests.cli.conftest import Result, Runner
from tests.partitions.recover import kit

FORCE = "--force-unclean-recovery"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Of the broker that is behind, one of three."""
    return kit.write_to(kit.disks()[kit.BEHIND], tmp_path / "data")


def recover(quorate: Runner, data: Path, *more: str) -> Result:
    return quorate("cluster", "recover", "--data-dir", str(data), *more)


def document(result: Result) -> Any:
    assert result.code == ExitCode.OK, result.err
    return json.loads(result.out)


def files(data: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(data)): path.read_bytes()
        for path in data.rglob("*")
        if path.is_file() and path.name != LOCK_NAME
    }


def test_nothing_named_lists_what_is_here(quorate: Runner, data: Path) -> None:
    before = files(data)
    listed = recover(quorate, data)
    assert listed.code == ExitCode.OK
    for text in ("metadata", "words:0", "words:1", "1,2,3", "start them: it goes on by itself"):
        assert text in listed.out
    rows = document(recover(quorate, data, "-o", "json"))["groups"]
    assert [row["name"] for row in rows] == ["metadata", "words:0", "words:1"]
    assert {row["voter"] for row in rows} == {True}
    assert [row["end_offset"] for row in rows[1:]] == [5, 5]
    assert files(data) == before


def test_a_dry_run_says_what_may_be_lost_and_changes_nothing(quorate: Runner, data: Path) -> None:
    before = files(data)
    result = recover(quorate, data, "--metadata", "--partition", "words:1")
    assert result.code == ExitCode.OK
    for text in (
        "metadata: this copy would become the only voter",
        "words:1: this copy would become",
        "offsets below 5",
        "MAY BE LOST",
        "MAY COME TRUE",
        "without a majority when these are lost: words:0.",
        "NEVER START A BROKER ON ONE OF THOSE DIRECTORIES AGAIN",
        "Nothing was changed",
    ):
        assert text in result.out
    assert files(data) == before
    planned = document(recover(quorate, data, "--partition", "words:1", "-o", "json"))
    assert planned["forced"] is False
    assert [row["forced_term"] is not None for row in planned["groups"]] == [False, False, True]


def test_force_then_nothing_is_left_to_do(quorate: Runner, data: Path) -> None:
    result = recover(quorate, data, "--metadata", "--all-partitions-of", "words", FORCE)
    assert result.code == ExitCode.OK, result.err
    properties = read_properties(OsFileSystem(data))
    for text in (
        "words:0: this copy became the only voter",
        "Done, durably.",
        f"--recovery {properties.recovery}",
        f"--voter {properties.voters[0]}",
        "--follow recovery-",
    ):
        assert text in result.out
    (report,) = data.glob("recovery-*.json")
    assert json.loads(report.read_text(encoding="utf-8"))["forced"] is True
    assert len((data / "recovery.log").read_text(encoding="utf-8").splitlines()) == 2
    before = files(data)
    again = recover(quorate, data, "--metadata", "--all-partitions-of", "words", FORCE)
    assert again.code == ExitCode.OK
    assert "nothing to do" in again.out
    assert files(data) == before
    shown = json.loads(quorate("storage", "show", str(data), "-o", "json").out)
    assert (shown["format_version"], shown["recovery"]) == (3, properties.recovery)
    assert len(shown["abandoned"]) == 2


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((FORCE,), "nothing is"),
        (("--partition", "words:7"), "the partitions here are: words:0, words:1"),
        (("--partition", "words"), "the partitions here are"),
        (("--all-partitions-of", "none"), "topics here: words"),
        (("--follow", __file__, "--metadata"), "name no group"),
        (("--compare", __file__, "--metadata"), "is no report"),
        (("--follow", __file__), "is no report"),
    ],
)
def test_arguments_that_make_no_sense(
    quorate: Runner, data: Path, arguments: tuple[str, ...], text: str
) -> None:
    before = files(data)
    result = recover(quorate, data, *arguments)
    assert result.code == ExitCode.USAGE
    assert text in result.err
    assert files(data) == before


def test_which_directory_has_to_be_said_once(quorate: Runner, data: Path, tmp_path: Path) -> None:
    assert quorate("cluster", "recover").code == ExitCode.USAGE
    config = tmp_path / "broker.toml"
    config.write_text(f'node.id = 3\nlog.dirs = "{data}"\n', encoding="utf-8")
    assert recover(quorate, data, "--config", str(config)).code == ExitCode.USAGE
    assert quorate("cluster", "recover", "--config", str(config)).code == ExitCode.OK


def test_a_running_broker_is_left_alone(quorate: Runner, data: Path) -> None:
    code = (
        "import sys\n"
        "from raftlog.disk.properties import DirectoryLock\n"
        "with DirectoryLock(sys.argv[1]):\n"
        "    print('held', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(data)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    ) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        for more in ((), ("--metadata", FORCE)):
            result = recover(quorate, data, *more)
            assert result.code == ExitCode.PRECONDITION
            assert f"in use by process {other.pid}" in result.err
        other.stdin.close()
    with DirectoryLock(data):
        pass


def test_a_directory_that_is_not_formatted_gets_no_file(quorate: Runner, tmp_path: Path) -> None:
    result = recover(quorate, tmp_path)
    assert result.code == ExitCode.PRECONDITION
    assert "not formatted" in result.err
    assert not list(tmp_path.iterdir())


def test_the_worse_copy_needs_a_second_flag(quorate: Runner, tmp_path: Path) -> None:
    found = kit.disks(5)
    behind = kit.write_to(found[kit.BEHIND], tmp_path / "behind")
    ahead = kit.write_to(found[kit.AHEAD], tmp_path / "ahead")
    report = tmp_path / "ahead.json"
    report.write_text(recover(quorate, ahead, "-o", "json").out, encoding="utf-8")
    arguments = ("--partition", "words:0", "--compare", str(report), FORCE)
    before = files(behind)
    refused = recover(quorate, behind, *arguments)
    assert refused.code == ExitCode.PRECONDITION
    assert f"broker {kit.AHEAD} has a better copy" in refused.err
    assert files(behind) == before
    forced = document(recover(quorate, behind, *arguments, "--accept-worse-copy", "-o", "json"))
    assert forced["compared"][0]["worse"] is True
    assert {text.partition(":")[0] for text in forced["abandoned"]} == {"1", "4", "5"}


def test_a_majority_that_exists_is_not_overruled(quorate: Runner, tmp_path: Path) -> None:
    found = kit.disks()
    here = kit.write_to(found[kit.BEHIND], tmp_path / "behind")
    ahead = kit.write_to(found[kit.AHEAD], tmp_path / "ahead")
    report = tmp_path / "ahead.json"
    report.write_text(recover(quorate, ahead, "-o", "json").out, encoding="utf-8")
    result = recover(
        quorate, here, "--metadata", "--compare", str(report), FORCE, "--accept-worse-copy"
    )
    assert result.code == ExitCode.PRECONDITION
    assert "nothing is lost" in result.err


def test_a_survivor_follows(quorate: Runner, tmp_path: Path) -> None:
    found = kit.disks(5)
    along = kit.write_to(found[kit.BEHIND], tmp_path / "along")
    ahead = kit.write_to(found[kit.AHEAD], tmp_path / "ahead")
    report = tmp_path / "along.json"
    report.write_text(recover(quorate, along, "-o", "json").out, encoding="utf-8")
    everything = ("--metadata", "--all-partitions-of", "words", "--compare", str(report))
    assert recover(quorate, ahead, *everything, FORCE).code == ExitCode.OK
    (forced,) = ahead.glob("recovery-*.json")
    before = files(along)
    planned = recover(quorate, along, "--follow", str(forced))
    assert planned.code == ExitCode.OK, planned.err
    assert "have its copy of metadata" in planned.out
    assert files(along) == before
    done = document(recover(quorate, along, "--follow", str(forced), FORCE, "-o", "json"))
    assert done["followed"] is True
    assert done["retired"] == ["metadata", "words:0", "words:1"]
    listed = recover(quorate, along)
    assert "OFFLINE: node 2 went on without it" in listed.out


def test_a_write_ahead_log_that_cannot_be_trusted_is_not_built_on(
    quorate: Runner, data: Path
) -> None:
    for part in (data / "wal").glob("*"):
        part.unlink()
    result = recover(quorate, data, "--metadata", FORCE)
    assert result.code == ExitCode.PRECONDITION
    assert "cannot be trusted" in result.err
