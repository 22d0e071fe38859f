"""Files cut, zeroed or removed by hand: refused where a proof is left, and never after a crash."""

from __future__ import annotations

from struct import Struct

import pytest
from crc32c import crc32c

from raftlog.disk import wal_recovery
from raftlog.disk.wal import Wal
from raftlog.disk.wal_format import PART_HEADER_BYTES, decode_part_header
from raftlog.disk.wal_recovery import list_files
from raftlog.errors import CorruptLog
from raftlog.testing.disk import VirtualDisk
from raftlog.types import HardState
from tests.raftlog.disk.helpers import PART_BYTES, disk, durable, entry, open_wal, replayed

WITNESS = "wal/witness"


def _on_a_spare(fs: VirtualDisk, count: int = 8) -> Wal:
    """A log in one part that was a spare, with a durable round per entry."""
    wal, _ = open_wal(fs)
    _spare(wal)
    wal.stage_create(7, b"seven")
    for index in range(1, count + 1):
        wal.stage_entries(7, [entry(index, bytes([index]) * 1000)])
        durable(wal)
    assert wal.statistics().rolls_without_spare == 0
    return wal


def _spare(wal: Wal) -> None:
    job = wal.prepare_spare_job()
    assert job is not None
    job()


def _newest(fs: VirtualDisk) -> str:
    return f"wal/{list_files(fs, 'wal').found[-1].part.name}"


def _zero(fs: VirtualDisk, path: str, start: int) -> None:
    """As `truncate` to `start` bytes and back to the old size does."""
    file = fs.open(path)
    file.pwrite([bytes(file.size() - start)], start)
    file.sync()


def _cut(fs: VirtualDisk, path: str, size: int) -> None:
    file = fs.open(path)
    file.truncate(size)
    file.sync()


def _last_index_or_refused(fs: VirtualDisk) -> int | str:
    """The last entry found, or the sentence with which the log is refused."""
    try:
        _, recovered = open_wal(fs)
    except CorruptLog as error:
        return str(error)
    return recovered.groups[7].last_index if 7 in recovered.groups else 0


# What the header promises ---------------------------------------------------------------


@pytest.mark.parametrize("size", [PART_BYTES // 2, PART_BYTES - 1, PART_HEADER_BYTES])
@pytest.mark.parametrize("seed", range(8))
def test_a_part_cut_short_is_refused(seed: int, size: int) -> None:
    fs = disk(seed)
    _on_a_spare(fs)
    fs.crash()
    path = _newest(fs)
    _cut(fs, path, size)
    with pytest.raises(CorruptLog, match=rf"{path} is {size} bytes long, and {PART_BYTES} .*or"):
        open_wal(fs)


def test_without_the_size_check_a_cut_after_a_power_loss_would_go_unnoticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The mutant: what is asserted above has no other guard."""
    monkeypatch.setattr(wal_recovery, "_check_size", lambda path, size, promised: None)
    unnoticed = 0
    for seed in range(8):
        fs = disk(seed)
        _on_a_spare(fs)
        fs.crash()
        _cut(fs, _newest(fs), PART_BYTES // 4)
        unnoticed += _last_index_or_refused(fs) == 3
    assert unnoticed


def test_a_copy_of_a_torn_tail_promises_its_size() -> None:
    fs = disk()
    _on_a_spare(fs)
    fs.crash()
    open_wal(fs)
    fs.kill()
    path = _newest(fs)
    size = fs.open(path).size()
    assert size < PART_BYTES
    _cut(fs, path, size - 1)
    with pytest.raises(CorruptLog, match=f"{size - 1} bytes long, and {size} bytes"):
        open_wal(fs)


def test_a_recycled_part_promises_the_size_that_it_was_filled_up_to() -> None:
    """A part that had grown (no spare was there) is smaller than a spare: it is filled first."""
    fs = disk()
    wal, _ = open_wal(fs)
    wal.stage_create(7, b"seven")
    wal.stage_entries(7, [entry(1, bytes(9000))])
    durable(wal)
    wal.stage_drop(7)
    wal.stage_create(8, b"eight")
    wal.stage_entries(8, [entry(1, bytes(9000))])
    durable(wal)
    assert wal.recycle(wal.retirable()[0].sequence)
    durable(wal)
    _spare(wal)
    wal.stage_entries(8, [entry(2, bytes(9000))])
    durable(wal)
    fs.crash()
    found = list_files(fs, "wal").found[-1]
    assert found.part.name == "0000000000000001.wal"
    assert found.header.size == found.size == PART_BYTES


@pytest.mark.parametrize("failing_sync", [1, 2])
@pytest.mark.parametrize("seed", range(20))
def test_no_part_promises_a_size_that_was_never_durable(seed: int, failing_sync: int) -> None:
    """A spare whose making was interrupted looks finished in the page cache, mark or no mark."""
    fs = disk(seed)
    _on_a_spare(fs, 3).close()
    wal, _ = open_wal(fs)
    job = wal.prepare_spare_job()
    assert job is not None
    fs.fail_sync(failing_sync)
    with pytest.raises(Exception, match="must end"):
        job()
    fs.kill()
    wal, recovered = open_wal(fs)
    assert recovered.clean
    assert wal.spares == failing_sync - 1
    wal.stage_entries(7, [entry(4)])
    durable(wal)
    fs.crash()
    _, recovered = open_wal(fs)
    assert recovered.groups[7].last_index == 4


def test_spares_survive_an_unclean_stop() -> None:
    fs = disk()
    wal = _on_a_spare(fs)
    _spare(wal)
    fs.crash()
    wal, recovered = open_wal(fs)
    assert not recovered.clean
    assert wal.spares == 1


# The version before ---------------------------------------------------------------------

_VERSION_1 = Struct("<8sI4xQQQQQQQ")


def _as_version_1(fs: VirtualDisk) -> None:
    """Write the header of the newest part, and no witness, as releases before did."""
    path = _newest(fs)
    file = fs.open(path)
    header = decode_part_header(file.pread(PART_HEADER_BYTES, 0))
    assert header is not None
    fixed = _VERSION_1.pack(b"QRWALPRT", 1, *header[:7])
    sector = (fixed + crc32c(fixed).to_bytes(4, "little")).ljust(PART_HEADER_BYTES, b"\0")
    file.pwrite([sector], 0)
    file.sync()
    fs.unlink(WITNESS)


@pytest.mark.parametrize("clean", [True, False])
def test_a_log_of_version_1_is_read(clean: bool) -> None:
    fs = disk()
    _on_a_spare(fs).close(clean=clean)
    fs.kill()
    _as_version_1(fs)
    wal, recovered = open_wal(fs)
    assert recovered.clean == clean
    assert [e.index for e in replayed(recovered)] == list(range(1, 9))
    wal.stage_entries(7, [entry(9)])
    durable(wal)
    fs.crash()
    _, recovered = open_wal(fs)
    assert replayed(recovered)[8:] == [entry(9)]


def test_a_header_of_version_1_promises_nothing() -> None:
    fs = disk()
    _on_a_spare(fs)
    fs.kill()
    _as_version_1(fs)
    _cut(fs, _newest(fs), PART_BYTES // 4)
    assert _last_index_or_refused(fs) == 3


def test_a_damaged_header_of_version_1_is_refused() -> None:
    fs = disk()
    _on_a_spare(fs)
    fs.kill()
    _as_version_1(fs)
    fs.flip_bit(_newest(fs), 30)
    with pytest.raises(CorruptLog, match="checksum of its header"):
        open_wal(fs)


# What the witness says ------------------------------------------------------------------


def _removed(fs: VirtualDisk, path: str) -> None:
    fs.unlink(path)


def _emptied(fs: VirtualDisk, path: str) -> None:
    _cut(fs, path, 0)


def _zeroed(fs: VirtualDisk, path: str) -> None:
    _zero(fs, path, 0)


def _zeroed_from_the_middle(fs: VirtualDisk, path: str) -> None:
    _zero(fs, path, PART_BYTES // 4)


TAMPERING = [_removed, _emptied, _zeroed, _zeroed_from_the_middle]


@pytest.mark.parametrize("tamper", TAMPERING)
@pytest.mark.parametrize("clean", [True, False])
def test_the_only_part_tampered_with_while_the_process_is_down(tamper, clean: bool) -> None:  # type: ignore[no-untyped-def]
    fs = disk()
    _on_a_spare(fs).close(clean=clean)
    fs.kill()
    tamper(fs, _newest(fs))
    with pytest.raises(CorruptLog, match=r"rounds up to 8 had been durable .wal/witness says so"):
        open_wal(fs)


@pytest.mark.parametrize("tamper", TAMPERING)
@pytest.mark.parametrize("seed", range(6))
def test_a_log_closed_in_order_is_guarded_through_a_power_loss(tamper, seed: int) -> None:  # type: ignore[no-untyped-def]
    fs = disk(seed)
    _on_a_spare(fs).close()
    fs.crash()
    tamper(fs, _newest(fs))
    with pytest.raises(CorruptLog, match="rounds up to 8 had been durable"):
        open_wal(fs)


@pytest.mark.parametrize("seed", range(12))
def test_the_newest_part_removed_after_a_power_loss(seed: int) -> None:
    """That it was there is durable before its first round is reported to be."""
    fs = disk(seed)
    wal = _on_a_spare(fs, 14)
    wal.stage_entries(7, [entry(15, bytes(3000))])
    durable(wal)
    assert wal.statistics().rolls == 2
    fs.crash()
    fs.unlink(_newest(fs))
    with pytest.raises(CorruptLog, match="rounds up to 15 had been durable"):
        open_wal(fs)


def test_a_part_that_grows_is_guarded_by_the_witness_alone() -> None:
    fs = disk()
    wal, _ = open_wal(fs)
    wal.stage_create(7, b"seven")
    for index in (1, 2):
        wal.stage_entries(7, [entry(index, bytes(1000))])
        durable(wal)
    fs.kill()
    assert list_files(fs, "wal").found[-1].header.size == 0
    _cut(fs, _newest(fs), 2000)
    with pytest.raises(CorruptLog, match=r"before round 2.* up to 2 had been durable"):
        open_wal(fs)


def test_the_mark_of_an_orderly_shutdown_is_not_claimed() -> None:
    """Its number is given again: a crash in the first round after it must not be refused."""
    for seed in range(30):
        fs = disk(seed)
        _on_a_spare(fs, 3).close()
        wal, _ = open_wal(fs)
        wal.stage_hard_state(7, HardState(1, None))
        wal.write_round()
        fs.crash()
        _, recovered = open_wal(fs)
        assert recovered.last_round in (3, 4)


def test_a_damaged_witness_is_refused_and_a_torn_claim_is_not() -> None:
    fs = disk()
    _on_a_spare(fs)
    fs.kill()
    fs.flip_bit(WITNESS, 16)
    assert _last_index_or_refused(fs) == 8
    fs.kill()
    fs.flip_bit(WITNESS, 16)
    fs.flip_bit(WITNESS, 4096 + 16)
    assert "neither of its claims" in str(_last_index_or_refused(fs))


def test_a_missing_witness_claims_nothing() -> None:
    fs = disk()
    _on_a_spare(fs)
    fs.kill()
    fs.unlink(WITNESS)
    assert _last_index_or_refused(fs) == 8
    fs.kill()
    _cut(fs, WITNESS, 5000)
    assert _last_index_or_refused(fs) == 8
    assert fs.open(WITNESS).size() == 8192
