"""`quorate log dump`: everything is shown, damage where it is, and nothing is changed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from random import Random
from typing import Any

import pytest

from cli.dumping.readonly import ReadOnlyFileSystem
from cli.exits import ExitCode
from metadata.codec import encode_entry
from metadata.quorum.application import open_log
from metadata.records import FeatureLevelSet
from partitions.records import Codec, Record, build_batch
from partitions.replicas.creation import Creation
from partitions.storage import FileCache, LogConfig
from raftlog.disk.fs import OsFileSystem
from raftlog.disk.properties import LOCK_NAME, DirectoryLock, Properties, write_properties
from raftlog.disk.wal import Wal
from raftlog.types import METADATA_GROUP, Entry, EntryKind, ReplicaId
from tests.cli.conftest import Runner
from tests.cli.test_recover import files
from tests.partitions.recover import kit

ME = ReplicaId(1, bytes(range(16)))
CREATION = Creation(b"t" * 16, "words", 0, (ME,))
SEGMENTS = 3


def batch(number: int) -> bytes:
    records = [
        Record(key=b"key-%d" % number, value=b"v" * 40, headers=(("h", b"1"),)),
        Record(value=b"\xff"),
    ]
    made = build_batch(
        records,
        base_timestamp=1_700_000_000_000,
        codec=Codec.GZIP,
        producer_id=7,
        producer_epoch=1,
        base_sequence=2 * number,
        base_offset=2 * number,
        leader_epoch=1,
    )
    return bytes(made)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Of a broker with one partition: SEGMENTS segments with a batch each, all but one durable."""
    root = tmp_path / "data"
    fs = OsFileSystem(root, sync=False)
    write_properties(fs, Properties("cluster", 1, ME.directory))
    wal, _ = Wal.open(fs, "wal", part_bytes=1 << 20, random=Random(1))
    log = CREATION.open_log(fs, 1, None, LogConfig(segment_bytes=100), FileCache(fs))
    wal.stage_create(1, CREATION.encode())
    for number in range(SEGMENTS):
        entry = Entry(number + 1, 1, EntryKind.DATA, 2 * number, 2, batch(number))
        wal.stage_entries(1, [entry])
        log.append([entry])
        if number == SEGMENTS - 2:
            checkpoint = log.checkpoint()
            log.sync_job()()
            wal.stage_checkpoint(1, checkpoint)
        written = wal.write_round()
        wal.sync_job()()
        wal.synced(written)
    log.close()
    wal.close(clean=False)
    return root


def dump(quorate: Runner, *arguments: str) -> tuple[int, list[dict[str, Any]]]:
    result = quorate("log", "dump", *arguments, "-o", "json")
    return result.code, [json.loads(line) for line in result.out.splitlines()]


def segment(data: Path, number: int, suffix: str = "log") -> Path:
    return data / f"partitions/1-words-0/{2 * number:020d}.{suffix}"


def damaged(lines: list[dict[str, Any]]) -> list[tuple[str, int | None]]:
    return [(Path(each["file"]).name, each["at"]) for each in lines if each["damage"]]


def flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def test_every_kind_of_file_is_shown_and_none_is_changed(quorate: Runner, data: Path) -> None:
    before = files(data)
    code, lines = dump(quorate, str(data), "--records")
    assert (code, damaged(lines)) == (0, [])
    assert files(data) == before
    batches = [each for each in lines if each["what"] == "batch" and ".log" in each["file"]]
    assert [(each["first"], each["last"], each["epoch"]) for each in batches] == [
        (0, 1, 1),
        (2, 3, 1),
        (4, 5, 1),
    ]
    assert (batches[2]["producer"], batches[2]["producer_epoch"]) == (7, 1)
    assert (batches[2]["sequences"], batches[2]["compression"]) == ([4, 5], "gzip")
    records = [each for each in lines if each["what"] == "record"]
    assert [each["offset"] for each in records] == list(range(2 * SEGMENTS))
    assert (records[2]["key"], records[2]["headers"]) == ("key-1", [["h", "1"]])
    assert records[1]["value"] == {"base64": "/w=="}
    (properties,) = [each for each in lines if each["what"] == "properties"]
    assert (properties["cluster_id"], properties["node_id"]) == ("cluster", 1)
    (group,) = [each for each in lines if each["what"] == "group"]
    assert (group["name"], group["checkpoint"], group["last"]) == ("words:0", 2, 3)
    rounds = [each for each in lines if each["what"] == "round"]
    logged = [each["first"] for each in lines if each["what"] == "batch" and "wal/" in each["file"]]
    assert logged == [0, 2, 4]
    assert [each["kinds"] for each in rounds][:2] == [
        {"create": 1, "entry": 1},
        {"entry": 1, "checkpoint": 1},
    ]
    assert [each["what"] for each in lines if each["file"].endswith(".raft")].count("start") == 3


def test_metadata_records_are_decoded(quorate: Runner, tmp_path: Path) -> None:
    data = kit.write_to(kit.disks()[kit.BEHIND], tmp_path / "data")
    before = files(data)
    # A crash left them in the write-ahead log only.
    code, lines = dump(quorate, str(data), "--only", "wal", "--records")
    assert code == 0
    types = [each["type"] for each in lines if each["what"] == "record"]
    assert types[0] == "ClusterCreated"
    assert {"BrokerRegistered", "TopicCreated", "PartitionAssigned"} <= set(types)
    (topic,) = [each for each in lines if each.get("type") == "TopicCreated"]
    assert topic["name"] == kit.TOPIC
    assert files(data) == before


def test_damage_in_what_was_durable_is_shown_where_it_is(quorate: Runner, data: Path) -> None:
    flip(segment(data, 0), 80)
    before = files(data)
    code, lines = dump(quorate, str(data))
    assert code == ExitCode.PRECONDITION
    assert damaged(lines) == [(segment(data, 0).name, 0)]
    assert files(data) == before
    result = quorate("log", "dump", str(data), "--damage")
    assert "at byte 0: the checksum is wrong" in result.err
    assert len(result.out.splitlines()) == 2


def test_a_length_that_cannot_be_is_damage_too(quorate: Runner, data: Path) -> None:
    flip(segment(data, 0), 8)
    code, lines = dump(quorate, str(data))
    assert (code, damaged(lines)) == (ExitCode.PRECONDITION, [(segment(data, 0).name, 0)])


def test_a_segment_that_was_cut_short_is_damage(quorate: Runner, data: Path) -> None:
    durable = segment(data, SEGMENTS - 2)
    durable.write_bytes(b"")
    code, lines = dump(quorate, str(data), "--topic", "words")
    assert (code, damaged(lines)) == (ExitCode.PRECONDITION, [(durable.name, 0)])


@pytest.mark.parametrize("suffix", ["log", "raft"])
def test_behind_the_last_checkpoint_wrong_bytes_are_not_damage(
    quorate: Runner, data: Path, suffix: str
) -> None:
    newest = segment(data, SEGMENTS - 1, suffix)
    flip(newest, newest.stat().st_size - 1)
    code, lines = dump(quorate, str(data), "--topic", "words:0")
    assert (code, damaged(lines)) == (0, [])
    assert [each["file"] for each in lines if each["what"] == "unsettled"] == [
        str(newest.relative_to(data))
    ]


def test_without_a_broker_s_directory_all_that_is_wrong_is_damage(
    quorate: Runner, data: Path, tmp_path: Path
) -> None:
    copy = tmp_path / segment(data, SEGMENTS - 1).name
    shutil.copy(segment(data, SEGMENTS - 1), copy)
    assert quorate("log", "dump", str(copy)).code == 0
    flip(copy, 70)
    result = quorate("log", "dump", str(copy))
    assert result.code == ExitCode.PRECONDITION
    assert "no broker's directory" in result.err


def test_a_damaged_round_and_the_refusal_of_the_whole_log(quorate: Runner, data: Path) -> None:
    (part,) = (data / "wal").glob("*1.wal")
    _, lines = dump(quorate, str(data), "--only", "wal")
    second = [each["at"] for each in lines if each["what"] == "round"][1]
    flip(part, second + 70)
    code, lines = dump(quorate, str(data), "--only", "wal")
    assert code == ExitCode.PRECONDITION
    assert damaged(lines) == [("wal", None), (part.name, second)]
    assert "refuses to start" in lines[0]["damage"]


def test_a_sidecar_and_the_properties_that_are_damaged(quorate: Runner, data: Path) -> None:
    flip(segment(data, 0, "raft"), 12)
    properties = data / "meta.properties"
    properties.write_text(properties.read_text().replace("node.id", "no.id"))
    code, lines = dump(quorate, str(data))
    assert code == ExitCode.PRECONDITION
    assert set(damaged(lines)) == {(segment(data, 0, "raft").name, 8), ("meta.properties", None)}


def test_a_topic_is_all_that_is_shown(quorate: Runner, data: Path) -> None:
    _, lines = dump(quorate, str(data), "--topic", "words")
    assert {each["file"].split("/")[0] for each in lines} == {"partitions"}
    assert dump(quorate, str(data), "--topic", "words:1") == (0, [])
    assert dump(quorate, str(data), "--topic", "other") == (0, [])
    assert "nothing here is of" in quorate("log", "dump", str(data), "--topic", "other").err
    assert "nothing here" not in quorate("log", "dump", str(data), "--topic", "words").err


def test_a_broker_that_runs_is_said_and_not_disturbed(quorate: Runner, data: Path) -> None:
    with DirectoryLock(data):
        result = quorate("log", "dump", str(data))
        assert result.code == 0
        assert "a broker runs on" in result.err
    assert (data / LOCK_NAME).exists()
    assert "runs" not in quorate("log", "dump", str(data)).err


def test_the_file_system_cannot_write(data: Path) -> None:
    fs = ReadOnlyFileSystem(data)
    file = fs.open("meta.properties")
    for change in (
        lambda: file.pwrite([b"x"], 0),
        lambda: file.truncate(0),
        file.sync,
        lambda: fs.open("new", create=True),
        lambda: fs.mkdir("new"),
        lambda: fs.unlink("meta.properties"),
        lambda: fs.rename("meta.properties", "x"),
        lambda: fs.rmtree("wal"),
        lambda: fs.sync_directory(""),
    ):
        with pytest.raises(OSError):
            change()
    file.close()


def test_entries_of_the_metadata_log_and_its_torn_end(quorate: Runner, tmp_path: Path) -> None:
    root = tmp_path / "data"
    fs = OsFileSystem(root, sync=False)
    write_properties(fs, Properties("cluster", 1, ME.directory))
    wal, _ = Wal.open(fs, "wal", part_bytes=1 << 20, random=Random(1))
    log = open_log(fs, None, (ME,))
    wal.stage_create(METADATA_GROUP, b"")
    for index, level in enumerate((1, 2, 3), 1):
        payload = encode_entry([FeatureLevelSet(level)])
        entry = Entry(index, 1, EntryKind.DATA, index - 1, 1, payload)
        wal.stage_entries(METADATA_GROUP, [entry])
        log.append([entry])
        if index == 2:
            checkpoint = log.checkpoint()
            log.sync_job()()
            wal.stage_checkpoint(METADATA_GROUP, checkpoint)
        wal.write_round()
        wal.sync_job()()
    log.close()
    wal.close(clean=False)
    only = (str(root), "--only", "metadata", "--records")
    code, lines = dump(quorate, *only)
    assert code == 0
    assert [each["feature_level"] for each in lines if each["what"] == "record"] == [1, 2, 3]
    (path,) = (root / "metadata").glob("*.seg")
    starts = [each["at"] for each in lines if each["what"] == "entry"]
    flip(path, path.stat().st_size - 1)
    code, lines = dump(quorate, *only)
    assert (code, [each["at"] for each in lines if each["what"] == "unsettled"]) == (0, starts[2:])
    flip(path, starts[1] + 45)
    code, lines = dump(quorate, *only)
    assert (code, damaged(lines)) == (ExitCode.PRECONDITION, [(path.name, starts[1])])
