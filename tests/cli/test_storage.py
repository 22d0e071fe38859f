"""`quorate storage`: what is written, what is refused, and that nothing is overwritten."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from cli.dev import plan as plans
from cli.dev.directories import prepare
from cli.exits import ExitCode
from raftlog.disk.fs import OsFileSystem
from raftlog.disk.properties import FILE_NAME, read_properties
from tests.cli.conftest import Result, Runner

DIRECTORIES = [bytes([number]) * 16 for number in (1, 2, 3)]
VOTERS = [f"{node}@host{node}:9192:{DIRECTORIES[node - 1].hex()}" for node in (1, 2, 3)]


def format_(quorate: Runner, data: Path, *more: str, node: int = 2) -> Result:
    voters = [argument for voter in VOTERS for argument in ("--voter", voter)]
    return quorate(
        *("storage", "format", "--data", str(data), "--node-id", str(node)),
        *("--cluster-id", "c1", "-o", "json", *voters, *more),
    )


def test_a_formatted_directory_says_whose_it_is(quorate: Runner, tmp_path: Path) -> None:
    data = tmp_path / "deep" / "data"
    result = format_(quorate, data)
    assert result.code == ExitCode.OK
    found = read_properties(OsFileSystem(data))
    assert (found.cluster_id, found.node_id) == ("c1", 2)
    assert found.directory_id == DIRECTORIES[1]
    assert [voter.directory_id for voter in found.voters] == DIRECTORIES
    assert [voter.host for voter in found.voters] == ["host1", "host2", "host3"]
    shown = quorate("storage", "show", str(data), "-o", "json")
    assert shown.out == result.out
    assert json.loads(shown.out)["voter"] is True
    assert json.loads(shown.out)["voters"] == VOTERS


def test_a_settings_file_supplies_what_is_not_given(quorate: Runner, tmp_path: Path) -> None:
    data = tmp_path / "data"
    config = tmp_path / "broker.toml"
    config.write_text(
        f'node.id = 3\nlog.dirs = "{data}"\ncontroller.quorum.voters = "{",".join(VOTERS)}"\n',
        encoding="utf-8",
    )
    result = quorate("storage", "format", "--config", str(config), "--cluster-id", "c1")
    assert result.code == ExitCode.OK
    assert read_properties(OsFileSystem(data)).directory_id == DIRECTORIES[2]


def test_a_node_that_no_voter_names_gets_a_new_directory_id(
    quorate: Runner, tmp_path: Path
) -> None:
    ids = set()
    for name in ("a", "b"):
        result = format_(quorate, tmp_path / name, node=9)
        assert json.loads(result.out)["voter"] is False
        ids.add(json.loads(result.out)["directory_id"])
    assert len(ids) == 2


def test_a_formatted_directory_is_never_formatted_again(quorate: Runner, tmp_path: Path) -> None:
    format_(quorate, tmp_path)
    before = (tmp_path / FILE_NAME).read_bytes()
    again = format_(quorate, tmp_path)
    assert again.code == ExitCode.PRECONDITION
    assert str(tmp_path) in again.err
    assert "just like this" in again.err
    assert "emove" not in again.err, "nobody is told to remove what is as it should be"
    assert format_(quorate, tmp_path, "--ignore-formatted").code == ExitCode.OK
    other = format_(quorate, tmp_path, "--ignore-formatted", node=3)
    assert other.code == ExitCode.PRECONDITION
    assert "node id, directory id" in other.err
    assert (tmp_path / FILE_NAME).read_bytes() == before


def test_an_observer_s_directory_is_formatted_like_this_whatever_its_id_is(
    quorate: Runner, tmp_path: Path
) -> None:
    """Its id was drawn when it was formatted, so the command that did it cannot name it."""
    first = format_(quorate, tmp_path, node=9)
    again = format_(quorate, tmp_path, "--ignore-formatted", node=9)
    assert (again.code, again.out) == (ExitCode.OK, first.out)
    other = format_(quorate, tmp_path, "--ignore-formatted", "--directory-id", "ab" * 16, node=9)
    assert other.code == ExitCode.PRECONDITION
    assert "directory id" in other.err
    voters = format_(quorate, tmp_path, "--ignore-formatted", node=2)
    assert voters.code == ExitCode.PRECONDITION, "a voter's id is what the voters say"


def test_without_voters_nothing_is_formatted(quorate: Runner, tmp_path: Path) -> None:
    """The broker would refuse to start, and the directory to be formatted again."""
    data = tmp_path / "data"
    result = quorate(
        "storage", "format", "--data", str(data), "--node-id", "1", "--cluster-id", "c"
    )
    assert (result.code, "--voter" in result.err) == (ExitCode.USAGE, True)
    assert not data.exists()


@pytest.mark.parametrize(
    "more",
    [
        ("--voter", f"4@host4:9192:{DIRECTORIES[0].hex()}"),
        ("--voter", "4@host:1"),
        ("--voter", "nonsense"),
        ("--voter", VOTERS[0]),
        ("--directory-id", "xyz"),
        ("--directory-id", "ff" * 16),
    ],
)
def test_contradictions_are_usage_errors_and_leave_nothing(
    quorate: Runner, tmp_path: Path, more: tuple[str, str]
) -> None:
    result = format_(quorate, tmp_path / "data", *more)
    assert result.code == ExitCode.USAGE
    assert not (tmp_path / "data").exists()


def test_the_node_or_the_settings_must_be_given(quorate: Runner, tmp_path: Path) -> None:
    result = quorate("storage", "format", "--data", str(tmp_path), "--cluster-id", "c")
    assert (result.code, "--node-id" in result.err) == (ExitCode.USAGE, True)


def test_showing_a_directory_that_is_not_formatted(quorate: Runner, tmp_path: Path) -> None:
    result = quorate("storage", "show", str(tmp_path))
    assert result.code == ExitCode.PRECONDITION
    assert str(tmp_path) in result.err


def test_ids_are_drawn_anew(quorate: Runner) -> None:
    drawn = {quorate("storage", "random-id").out for _ in range(3)}
    assert len(drawn) == 3
    assert all(re.fullmatch(r"[0-9a-f]{32}\n", each) for each in drawn)


def test_dev_formats_all_directories_as_voters_of_one_cluster(tmp_path: Path) -> None:
    plan = plans.create(tmp_path, 3, 9092)
    prepare(plan, tmp_path / plans.PLAN_FILE, fsync=True)
    prepare(plan, tmp_path / plans.PLAN_FILE, fsync=True)
    found = [read_properties(OsFileSystem(broker.data)) for broker in plan.brokers]
    assert {each.cluster_id for each in found} == {plan.cluster_id}
    assert [each.directory_id for each in found] == [each.directory for each in plan.brokers]
    assert all(each.voters == found[0].voters for each in found)
    assert [voter.port for voter in found[0].voters] == [9192, 9193, 9194]


def test_dev_lets_three_of_more_brokers_vote(tmp_path: Path, quorate: Runner) -> None:
    plan = plans.create(tmp_path, 5, 9092)
    prepare(plan, tmp_path / plans.PLAN_FILE, fsync=True)
    for broker in plan.brokers:
        found = read_properties(OsFileSystem(broker.data))
        assert [voter.node_id for voter in found.voters] == [1, 2, 3]
        shown = quorate("storage", "show", str(broker.data), "--output", "json")
        assert json.loads(shown.out)["voter"] is (broker.id <= 3)
