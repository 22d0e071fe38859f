"""Damaged bytes: proven durable ones are refused, the unproven end is cut, never guessed."""

from __future__ import annotations

import pytest

from raftlog.disk.wal_format import PART_HEADER_BYTES
from raftlog.disk.wal_recovery import list_files
from raftlog.errors import CorruptLog
from raftlog.testing.disk import VirtualDisk
from tests.raftlog.disk.helpers import disk, entry, filled, open_wal, replayed

FIRST = "wal/0000000000000001.wal"


def _size_of_rounds(fs: VirtualDisk) -> list[int]:
    """Where each round of the first part begins; all of `filled`'s have the same size."""
    file = fs.open(FIRST)
    content = file.pread(file.size(), 0)
    starts = []
    at = content.find(b"QRND")
    while at >= 0:
        starts.append(at)
        at = content.find(b"QRND", at + 1)
    return starts


def test_every_durable_byte_is_guarded() -> None:
    """Any byte of a round that a later one vouches for: CorruptLog, wherever the flip is."""
    probe = disk()
    filled(probe, 5, size=40).close(clean=False)
    starts = _size_of_rounds(probe)
    assert len(starts) == 5
    for place in range(PART_HEADER_BYTES, starts[-1]):
        fs = disk()
        filled(fs, 5, size=40)
        fs.flip_bit(FIRST, place, bit=place % 8)
        fs.kill()
        with pytest.raises(CorruptLog, match=r"wal/0000000000000001\.wal: round \d at byte"):
            open_wal(fs)


def test_the_witness_guards_the_last_round() -> None:
    fs = disk()
    filled(fs, 5, size=40)
    fs.flip_bit(FIRST, _size_of_rounds(fs)[-1] + 70)
    fs.kill()
    with pytest.raises(CorruptLog, match=r"before round 5\).* up to 5 had been durable"):
        open_wal(fs)


def test_what_no_proof_that_reached_the_disk_covers_cannot_be_told_from_a_tear() -> None:
    """A power loss may take the claims that were not synced: that of the last round is one."""
    told = 0
    for seed in range(20):
        fs = disk(seed)
        filled(fs, 5, size=40)
        fs.crash()
        fs.flip_bit(FIRST, _size_of_rounds(fs)[-1] + 70)
        try:
            _, recovered = open_wal(fs)
        except CorruptLog:
            told += 1
        else:
            assert recovered.groups[7].last_index == 4
            assert "before round 5" in recovered.cut
    assert 0 < told < 20


def test_a_clean_shutdown_vouches_for_the_last_round_too() -> None:
    fs = disk()
    filled(fs, 5, size=40).close()
    fs.flip_bit(FIRST, _size_of_rounds(fs)[4] + 70)
    with pytest.raises(CorruptLog, match="round 5"):
        open_wal(fs)


def test_a_damaged_part_header() -> None:
    for place in range(64):
        fs = disk()
        filled(fs, 5, size=40)
        fs.flip_bit(FIRST, place)
        fs.kill()
        with pytest.raises(CorruptLog, match=r"0000000000000001\.wal"):
            open_wal(fs)


@pytest.mark.parametrize("victim", range(3))
def test_a_missing_part(victim: int) -> None:
    fs = disk()
    filled(fs, 60)
    names = [found.part.name for found in list_files(fs, "wal").found]
    assert len(names) > 3
    fs.unlink(f"wal/{names[victim]}")
    fs.kill()
    with pytest.raises(CorruptLog, match=r"rounds? "):
        open_wal(fs)


@pytest.mark.parametrize("victim", range(3))
def test_a_part_whose_header_is_zeroed(victim: int) -> None:
    fs = disk()
    filled(fs, 60)
    names = [found.part.name for found in list_files(fs, "wal").found]
    fs.open(f"wal/{names[victim]}").pwrite([bytes(512)], 0)
    fs.kill()
    with pytest.raises(CorruptLog):
        open_wal(fs)


def test_a_torn_round_is_cut_even_when_later_ones_survived() -> None:
    """Rounds in flight reach the disk in any order: the log ends at the first hole."""
    fs = disk()
    wal = filled(fs, 2, size=40)
    for index in range(3, 7):
        wal.stage_entries(7, [entry(index, bytes([index]) * 40)])
        wal.write_round()
    starts = _size_of_rounds(fs)
    fs.open(FIRST).pwrite([bytes(100)], starts[3])
    fs.kill()
    wal, recovered = open_wal(fs)
    assert recovered.last_round == 3
    assert [e.index for e in replayed(recovered)] == [1, 2, 3]
    wal.stage_entries(7, [entry(4, b"another fourth")])
    wal.write_round()
    fs.kill()
    _, recovered = open_wal(fs)
    assert replayed(recovered)[3:] == [entry(4, b"another fourth")]


def test_an_unknown_version_is_refused() -> None:
    fs = disk()
    filled(fs, 1)
    fs.open(FIRST).pwrite([b"\x63"], 8)
    fs.kill()
    with pytest.raises(CorruptLog, match="format version is 99"):
        open_wal(fs)


def test_lengths_beyond_the_file_are_bounded() -> None:
    """A header that claims more than there is must not make recovery read or reserve it."""
    fs = disk()
    filled(fs, 3, size=40)
    starts = _size_of_rounds(fs)
    fs.open(FIRST).pwrite([b"\xff" * 8], starts[2] + 48)
    fs.unlink("wal/witness")
    fs.kill()
    _, recovered = open_wal(fs)
    assert recovered.last_round == 2
