"""meta.properties and the directory lock."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from raftlog.disk.fs import OsFileSystem
from raftlog.disk.properties import (
    FILE_NAME,
    DirectoryLock,
    Properties,
    Voter,
    decode_properties,
    encode_properties,
    next_recovery,
    read_properties,
    replace_properties,
    verify_properties,
    write_properties,
)
from raftlog.errors import Misconfigured
from raftlog.testing.disk import PowerCut, VirtualDisk
from raftlog.types import ReplicaId

PROPERTIES = Properties(
    "Kx8-cluster",
    3,
    bytes(range(16)),
    (Voter(3, bytes(range(16)), "10.0.0.3", 9192), Voter(4, b"\xff" * 16, "fe80::1", 65535)),
)


def test_round_trip(tmp_path: Path) -> None:
    for fs in (VirtualDisk(Random(1)), OsFileSystem(tmp_path)):
        write_properties(fs, PROPERTIES)
        assert read_properties(fs) == PROPERTIES
    assert (tmp_path / FILE_NAME).stat().st_mode & 0o777 == 0o600


def test_no_voters() -> None:
    lone = PROPERTIES._replace(voters=())
    assert decode_properties(encode_properties(lone)) == lone


def test_a_crash_leaves_all_or_nothing() -> None:
    seen = set()
    for seed in range(30):
        disk = VirtualDisk(Random(seed))
        disk.cut_at_call = 1 + seed % 6
        try:
            write_properties(disk, PROPERTIES)
        except PowerCut:
            pass
        disk.crash()
        formatted = disk.exists(FILE_NAME)
        seen.add(formatted)
        if formatted:
            assert read_properties(disk) == PROPERTIES
        else:
            write_properties(disk, PROPERTIES)
            disk.crash()
            assert read_properties(disk) == PROPERTIES
    assert seen == {True, False}


def test_a_directory_keeps_its_id() -> None:
    disk = VirtualDisk(Random(1))
    write_properties(disk, PROPERTIES)
    with pytest.raises(Misconfigured, match="formatted already"):
        write_properties(disk, PROPERTIES)


def test_an_unformatted_directory() -> None:
    with pytest.raises(Misconfigured, match="quorate storage format"):
        read_properties(VirtualDisk(Random(1)))


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("format.version=1", "format.version=4", "format.version is '4'"),
        ("format.version=1", "format.version=2", "recovery is missing"),
        ("node.id=3", "node.id=three", "three"),
        ("node.id=3", "node.id=-1", "node id -1"),
        ("node.id=3", "node.id=3\nnode.id=4", "given twice"),
        ("node.id=3", "nodeid=3", "unknown"),
        ("directory.id=0001", "directory.id=01", "16 bytes"),
        ("cluster.id=Kx8-cluster\n", "", "cluster.id is missing"),
        ("3@10.0.0.3:9192", "3@10.0.0.3", "voter"),
        ("4@", "3@", "listed twice"),
    ],
)
def test_what_is_wrong_is_named(old: str, new: str, reason: str) -> None:
    text = encode_properties(PROPERTIES).decode()
    assert old in text
    with pytest.raises(Misconfigured, match=reason):
        decode_properties(text.replace(old, new).encode())


def test_hostile_bytes_are_misconfigured() -> None:
    random = Random(4)
    good = encode_properties(PROPERTIES)
    for _ in range(500):
        data = bytearray(good)
        for _ in range(random.randint(1, 8)):
            data[random.randrange(len(data))] = random.randrange(256)
        try:
            decode_properties(bytes(data))
        except Misconfigured:
            continue


@pytest.mark.parametrize(
    "bad",
    [
        PROPERTIES._replace(cluster_id="a b"),
        PROPERTIES._replace(cluster_id=""),
        PROPERTIES._replace(directory_id=b"short"),
        PROPERTIES._replace(node_id=2**31),
        PROPERTIES._replace(voters=(Voter(1, b"x" * 16, "host,evil", 1),)),
        PROPERTIES._replace(voters=(Voter(1, b"x" * 16, "host", 70000),)),
    ],
)
def test_what_cannot_be_read_back_is_not_written(bad: Properties) -> None:
    with pytest.raises(ValueError, match=r"id|address"):
        encode_properties(bad)


def test_verify() -> None:
    verify_properties(PROPERTIES, cluster_id="Kx8-cluster", node_id=3)
    with pytest.raises(Misconfigured, match="'Kx8-cluster', the settings say 'other'"):
        verify_properties(PROPERTIES, cluster_id="other")
    with pytest.raises(Misconfigured, match="node 3, the settings say 5"):
        verify_properties(PROPERTIES, node_id=5)


def test_the_lock_names_the_other_process(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from raftlog.disk.properties import DirectoryLock\n"
        "with DirectoryLock(sys.argv[1]):\n"
        "    print('held', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[3],
    )
    assert other.stdin is not None
    assert other.stdout is not None
    with other:
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(Misconfigured, match=f"in use by process {other.pid}"):
            DirectoryLock(tmp_path).acquire()
        other.stdin.close()
    with DirectoryLock(tmp_path):
        assert (tmp_path / ".lock").read_text() == f"{os.getpid()}\n"
        with pytest.raises(Misconfigured, match=str(os.getpid())):
            DirectoryLock(tmp_path).acquire()
    with DirectoryLock(tmp_path):
        pass


RECOVERED = PROPERTIES._replace(
    recovery=next_recovery("", bytes(range(8))),
    abandoned=(ReplicaId(1, b"\x01" * 16), ReplicaId(2, b"\x02" * 16)),
)


def test_a_recovered_directory_has_a_version_that_former_releases_refuse() -> None:
    assert encode_properties(PROPERTIES).count(b"\n") == 6, "as former releases read it"
    assert PROPERTIES.format_version == 1
    for properties in (RECOVERED, RECOVERED._replace(recovery="")):
        assert b"format.version=2\n" in encode_properties(properties)
        assert decode_properties(encode_properties(properties)) == properties


def test_recoveries_are_counted_and_told_apart() -> None:
    assert RECOVERED.recovery == "1.0001020304050607"
    assert next_recovery(RECOVERED.recovery, b"\xff" * 8) == "2." + "ff" * 8


def test_properties_are_replaced_for_the_same_directory_only() -> None:
    disk = VirtualDisk(Random(1))
    write_properties(disk, PROPERTIES)
    replace_properties(disk, RECOVERED)
    disk.crash()
    assert read_properties(disk) == RECOVERED
    for other in (RECOVERED._replace(node_id=4), RECOVERED._replace(directory_id=b"x" * 16)):
        with pytest.raises(ValueError, match="keeps its"):
            replace_properties(disk, other)


@pytest.mark.parametrize(
    "bad",
    [
        RECOVERED._replace(recovery="1"),
        RECOVERED._replace(recovery="0." + "00" * 8),
        RECOVERED._replace(abandoned=(ReplicaId(1, b"short"),)),
        RECOVERED._replace(abandoned=(PROPERTIES.replica,)),
        RECOVERED._replace(abandoned=tuple([ReplicaId(n, b"x" * 16) for n in range(129)])),
    ],
)
def test_recoveries_that_cannot_be_read_back_are_not_written(bad: Properties) -> None:
    with pytest.raises(ValueError, match=r"recovery|directory|abandoned"):
        encode_properties(bad)


def test_a_directory_tells_which_formatting_made_it() -> None:
    formatted = PROPERTIES._replace(formatting=bytes(range(16)))
    assert b"format.version=3\n" in encode_properties(formatted)
    assert decode_properties(encode_properties(formatted)) == formatted
    with pytest.raises(ValueError, match="16 bytes"):
        encode_properties(PROPERTIES._replace(formatting=b"short"))
