"""Who was met is known for ever, and a power loss leaves the file as it was or as it is."""

from __future__ import annotations

from random import Random

import pytest

from raftlog.disk.acquaintances import Acquaintances
from raftlog.errors import CorruptLog
from raftlog.testing.disk import PowerCut, VirtualDisk
from raftlog.types import ReplicaId

ONE, TWO = ReplicaId(1, b"1" * 16), ReplicaId(2, b"2" * 16)
FORMATTING = bytes(range(16))


def test_what_was_remembered_is_known_after_a_power_loss() -> None:
    disk = VirtualDisk(Random(1))
    known = Acquaintances(disk)
    known.remember(ONE, FORMATTING)
    known.remember(TWO, FORMATTING)
    known.remember(TWO, bytes(16))
    disk.crash()
    again = Acquaintances(disk)
    assert again.met(TWO) == (TWO.directory, FORMATTING)
    assert again.latest(1) == ONE
    assert again.met(ReplicaId(1, b"3" * 16)) == (b"", b"")
    assert again.met(None) == (b"", b"")


def test_a_new_directory_of_a_node_is_another_acquaintance() -> None:
    known = Acquaintances(VirtualDisk(Random(1)))
    known.remember(ONE, FORMATTING)
    moved = ReplicaId(1, b"9" * 16)
    known.remember(moved, bytes(16))
    assert known.latest(1) == moved
    assert known.met(ONE) == (ONE.directory, FORMATTING)


def test_who_does_not_tell_its_formatting_is_not_remembered() -> None:
    disk = VirtualDisk(Random(1))
    Acquaintances(disk).remember(ONE, b"")
    assert disk.listdir("") == []


@pytest.mark.parametrize("call", range(1, 6))
@pytest.mark.parametrize("seed", range(4))
def test_power_lost_in_between(seed: int, call: int) -> None:
    disk = VirtualDisk(Random(seed))
    known = Acquaintances(disk)
    known.remember(ONE, FORMATTING)
    disk.cut_at_call = disk.calls + call
    try:
        known.remember(TWO, FORMATTING)
    except PowerCut:
        pass
    disk.crash()
    again = Acquaintances(disk)
    assert again.met(ONE) == (ONE.directory, FORMATTING)
    assert again.met(TWO) in ((b"", b""), (TWO.directory, FORMATTING))


def test_a_damaged_file_is_refused() -> None:
    disk = VirtualDisk(Random(1))
    Acquaintances(disk).remember(ONE, FORMATTING)
    file = disk.open("peers")
    file.pwrite([b"x"], file.size() - 3)
    with pytest.raises(CorruptLog, match="restore the file"):
        Acquaintances(disk)
