"""Names, limits and the file itself; what a manifest says."""

from __future__ import annotations

import json
import os
import stat
import tarfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cli.bundling import contents as archive
from cli.bundling import manifest
from cli.bundling.contents import Contents, Member, safe_name


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("a/b.json", "a/b.json"),
        ("../../etc/passwd", "etc/passwd"),
        ("/abs//x", "abs/x"),
        ("..", "_"),
        ("a/.hidden", "a/hidden"),
        ("admin/[::1]:9/x", "admin/___1__9/x"),
        ("Ü\n\x00 x", "____x"),
        ("n" * 300, "n" * archive.PART_CHARACTERS_MAX),
    ],
)
def test_names_stay_below_the_archives_directory(name: str, safe: str) -> None:
    assert safe_name(name) == safe


def test_two_of_the_same_name_are_both_kept() -> None:
    contents = Contents(100)
    contents.add("a:b", b"1")
    contents.add("a/b", b"2")
    contents.add("a;b", b"3")
    assert [member.name for member in contents.members] == ["a_b", "a/b", "a_b-2"]


def test_no_member_and_no_archive_is_larger_than_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "ITEM_BYTES_MAX", 40)
    contents = Contents(100)
    for name in ("one", "two", "three", "four"):
        contents.add(name, b"x" * 50)
    contents.add("small", b"y" * 20)
    assert [(m.name, len(m.data), m.of_bytes) for m in contents.members] == [
        ("one", 40, 50),
        ("two", 40, 50),
        ("small", 20, 20),
    ]
    assert [each["what"] for each in contents.missing] == ["three", "four"]
    assert "limit of 100 bytes" in contents.missing[0]["why"]
    for number in range(2 * archive.MISSING_MAX):
        contents.miss(str(number), "gone")
    assert len(contents.missing) == archive.MISSING_MAX


def test_documents_have_a_row_on_each_line() -> None:
    rows = [{"a": 1}, {"a": [2]}]
    for document in (rows, {"rows": rows, "n": {"x": 1}, "none": []}, [], {}, "x"):
        assert json.loads(archive.text_of(document)) == document
    assert archive.text_of(rows).splitlines() == ["[", '{"a": 1},', '{"a": [2]}', "]"]


def test_an_archive_is_private_and_never_written_over(tmp_path: Path) -> None:
    path = tmp_path / "b.tar.gz"
    size = archive.write(path, "../root", [Member("m.txt", b"hello", 5)], 1_000_000)
    assert size == path.stat().st_size
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with tarfile.open(path) as tar:
        (about,) = tar.getmembers()
    assert (about.name, about.size, about.mtime) == ("root/m.txt", 5, 1_000_000)
    before = path.read_bytes()
    with pytest.raises(FileExistsError):
        archive.write(path, "root", [], 0)
    assert path.read_bytes() == before


def test_an_archive_that_cannot_be_finished_is_removed(tmp_path: Path) -> None:
    def members() -> Iterator[Member]:
        yield Member("a", b"1", 1)
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        archive.write(tmp_path / "b.tar.gz", "root", members(), 0)
    assert list(tmp_path.iterdir()) == []


def test_the_manifest_says_what_is_there_and_what_is_not() -> None:
    contents = Contents(1000)
    contents.add("a", b"123", 10)
    contents.miss("b", "no answer")
    made = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
    document = manifest.build(contents, "some-id", {"timeout_s": 1.0}, made)
    assert (document["cluster_id"], document["asked"]) == ("some-id", {"timeout_s": 1.0})
    assert document["made_at"] == "2030-01-02T03:04:05+00:00"
    assert document["files"] == [{"name": "a", "bytes": 3, "of_bytes": 10}]
    assert document["missing"] == [{"what": "b", "why": "no answer"}]
    assert document["libraries"]["trio"]
    assert document["machine"]["kernel"] == os.uname().release
    assert os.uname().nodename not in json.dumps(document)
    member = manifest.member(document)
    assert (member.name, json.loads(member.data)) == ("manifest.json", document)
