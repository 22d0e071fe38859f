"""Which files are the log when recovery itself was interrupted, more than once."""

from __future__ import annotations

from raftlog.disk.wal_format import PartHeader
from raftlog.disk.wal_recovery import _in_force


def names_in_force(*parts: tuple[int, int]) -> tuple[list[int], list[str]]:
    """(sequence, supersedes) of each file -> (sequences in force, names void)."""
    headers = [
        (
            PartHeader(
                seq,
                epoch=seq,
                previous=seq - 1,
                first_round=1,
                durable=0,
                low=1,
                supersedes=supersedes,
            ),
            f"f{seq}",
        )
        for seq, supersedes in parts
    ]
    void: list[str] = []
    return [header.sequence for header, _ in _in_force(headers, void)], sorted(void)


def test_a_copy_replaces_the_parts_from_its_supersedes_on() -> None:
    assert names_in_force((1, 1), (2, 2), (3, 2)) == ([1, 3], ["f2"])


def test_what_a_void_copy_had_replaced_does_not_come_back() -> None:
    assert names_in_force((1, 1), (2, 2), (3, 3), (4, 4), (5, 3), (6, 5)) == (
        [1, 2, 6],
        ["f3", "f4", "f5"],
    )


def test_parts_after_a_copy_are_in_force() -> None:
    assert names_in_force((1, 1), (2, 1), (3, 3), (4, 4)) == ([2, 3, 4], ["f1"])
