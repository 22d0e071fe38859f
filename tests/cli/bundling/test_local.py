"""What is read on this machine's disks, and what never is."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from cli.bundling import local, places
from cli.bundling.contents import Contents
from cli.context import Address
from cli.dev import plan as plans
from cli.dev import temporary
from raftlog.disk.properties import DirectoryLock


def test_only_whole_lines_of_a_logs_end_are_taken(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    log.write_text("".join(f"line {number}\n" for number in range(100)))
    assert local.tail(log, 20) == (b"line 98\nline 99\n", 790)
    assert local.tail(log)[0] == log.read_bytes()


def test_a_segment_is_no_log_whatever_it_is_called(tmp_path: Path, data: Path) -> None:
    segment = next(data.rglob("*.log"))
    link = tmp_path / "broker.log"
    link.symlink_to(segment)
    for path in (segment, link):
        with pytest.raises(ValueError, match="data directory"):
            local.tail(path)
    elsewhere = tmp_path / "copied.log"
    elsewhere.write_bytes(b"\0\0\0\1MESSAGE")
    with pytest.raises(ValueError, match="zero bytes"):
        local.tail(elsewhere)


def test_a_pipe_for_a_log_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.log")
    with pytest.raises(OSError, match="regular"):
        local.tail(tmp_path / "pipe.log")


def test_files_are_listed_and_links_not_followed(tmp_path: Path, data: Path) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "file").write_text("x")
    (data / "away").symlink_to(tmp_path / "secret")
    names = [row["name"] for row in local.listing(data)["files"]]
    assert "partitions/1-orders-0/00000000000000000000.log" in names
    assert not any("file" in name for name in names)
    short = local.listing(data, 1)
    assert (short["cut"], len(short["files"])) == (True, 1)


def test_damage_is_told_unless_a_broker_writes_there(data: Path) -> None:
    assert local.damage(data)["damaged"] == []
    (data / "wal.used").write_bytes(b"not what was written")
    found = local.damage(data)
    assert found["looked_through"] == "everything"
    assert any("orders-0" in row["file"] for row in found["damaged"]), found
    assert "MESSAGE" not in json.dumps(found)
    assert local.damage(data, limit_s=-1)["looked_through"] == "a part"
    lock = DirectoryLock(data)
    lock.acquire()
    try:
        found = local.damage(data)
    finally:
        lock.release()
    assert (found["looked_through"], found["damaged"]) == ("nothing", [])
    assert f"process {os.getpid()}" in found["why"]
    assert local.damage(data.parent)["looked_through"] == "nothing"


def test_what_belongs_together_is_found_together(tmp_path: Path, data: Path) -> None:
    config = data.parent / "broker.toml"
    (place,) = places.find([data], [config], [])
    assert (place.data, place.config, place.log) == (data, config, data.parent / "broker.log")
    assert place.admin == Address("127.0.0.1", 1)
    (alone,) = places.find([], [config], [])
    assert (alone.data, alone.name) == (data, "broker")
    root = tmp_path / "dev"
    plan = plans.create(root, 3, 19092)
    plans.save(plan, root / plans.PLAN_FILE)
    found = places.find([root], [], [])
    assert [place.name for place in found] == ["broker-1", "broker-2", "broker-3"]
    assert found[1].kafka == Address("127.0.0.1", 19093)
    assert found[1].admin == Address("127.0.0.1", 19293)
    (root / plans.PLAN_FILE).write_text("torn")
    assert places.of_directory(root)[0].data == root


def test_a_cluster_of_quorate_dev_is_found_while_it_runs_on_the_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    kafka = Address("127.0.0.1", 19093)
    with temporary.locked_directory() as root:
        plans.save(plans.create(root, 3, 19092), root / plans.PLAN_FILE)
        assert [place.name for place in places.find([], [], [kafka])] == [
            "broker-1",
            "broker-2",
            "broker-3",
        ]
        assert places.find([], [], [Address("127.0.0.1", 9092)]) == []
        assert len(places.find([root], [], [kafka])) == 3, "each broker once"
    assert places.find([], [], [kafka]) == [], "its run has ended"


def test_a_plan_that_is_none_is_not_waited_for_nor_a_failure(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    pipe.mkdir()
    os.mkfifo(pipe / plans.PLAN_FILE)
    assert [place.data for place in places.of_directory(pipe)] == [pipe]
    infinite = '{"format":2,"cluster_id":"x","brokers":[{"id":1e999}]}'
    for number, text in enumerate((infinite, "[" * 200_000)):
        below = tmp_path / str(number)
        below.mkdir()
        (below / plans.PLAN_FILE).write_text(text)
        assert [place.data for place in places.of_directory(below)] == [below]


def test_settings_that_are_nested_too_deep_are_a_problem(tmp_path: Path) -> None:
    config = tmp_path / "broker.toml"
    config.write_text("a=" + "[" * 100_000)
    contents = Contents(1 << 20)
    local.describe(contents, places.of_config(config))
    assert b"not TOML" in contents.members[0].data


def test_links_to_other_files_and_to_themselves_are_missing(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("hunter2")
    (tmp_path / "meta.properties").symlink_to(tmp_path / "other")
    loop = tmp_path / "x.log"
    loop.symlink_to(loop)
    contents = Contents(1 << 20)
    (place,) = places.find([tmp_path], [], [])
    local.describe(contents, place)
    local.add_log(contents, "local/logs", loop)
    assert len(places.find([loop, tmp_path], [], [])) == 2
    assert not [member.name for member in contents.members if b"hunter2" in member.data]
    assert [row["what"].rpartition("/")[2] for row in contents.missing] == [
        "meta.properties",
        "x.log",
    ]
