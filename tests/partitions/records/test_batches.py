"""Header, validation, stamping: the produce path, and every way a batch can lie."""

from __future__ import annotations

import struct

import pytest

from partitions.errors import ErrorCode, KafkaError
from partitions.records import (
    HEADER_BYTES,
    Codec,
    Record,
    build_batch,
    crc_matches,
    find_timestamp,
    iter_records,
    parse_header,
    set_append_time,
    split_batches,
    stamp,
    validate_batch,
    write_crc,
)

NOW = 1_700_000_000_000


def batch_of(count: int = 3, **options: object) -> bytearray:
    records = [Record(timestamp=NOW + i, key=b"k", value=b"v%d" % i) for i in range(count)]
    return build_batch(records, base_timestamp=NOW, **options)  # type: ignore[arg-type]


def edited(position: int, code: str, value: int, *, fix_crc: bool = True) -> bytearray:
    batch = batch_of(producer_id=7, producer_epoch=0, base_sequence=5)
    struct.pack_into(code, batch, position, value)
    if fix_crc:
        write_crc(batch)
    return batch


def validate(batch: bytearray, **options: bool) -> None:
    validate_batch(memoryview(batch), parse_header(batch), **options)


def refusal(batch: bytearray, **options: bool) -> KafkaError:
    with pytest.raises(KafkaError) as caught:
        validate(batch, **options)
    return caught.value


def test_header_fields() -> None:
    header = parse_header(batch_of(producer_id=7, producer_epoch=2, base_sequence=5))
    assert header.size == header.length + 12 == len(batch_of())
    assert header.base_offset == 0
    assert header.leader_epoch == -1
    assert (header.span, header.last_offset, header.next_offset) == (3, 2, 3)
    assert (header.base_timestamp, header.max_timestamp) == (NOW, NOW + 2)
    assert (header.producer_id, header.producer_epoch) == (7, 2)
    assert (header.base_sequence, header.last_sequence) == (5, 7)
    assert not header.transactional
    assert not header.control
    assert not header.append_time


def test_sequences_wrap() -> None:
    header = parse_header(batch_of(producer_id=7, producer_epoch=2, base_sequence=2**31 - 2))
    assert header.last_sequence == 0


def test_valid_batches_pass() -> None:
    for codec in Codec:
        validate(batch_of(codec=codec))
    validate(batch_of(producer_id=1, producer_epoch=0, base_sequence=0, transactional=True))


@pytest.mark.parametrize("position", [*range(21, HEADER_BYTES), HEADER_BYTES, -1])
def test_any_changed_byte_under_the_crc_is_found(position: int) -> None:
    batch = batch_of()
    batch[position] ^= 0x40
    assert refusal(batch).code is ErrorCode.CORRUPT_MESSAGE
    assert not crc_matches(batch, parse_header(batch))


@pytest.mark.parametrize(
    ("position", "code", "value", "error", "text"),
    [
        (16, ">b", 1, ErrorCode.UNSUPPORTED_FOR_MESSAGE_FORMAT, "magic 1"),
        (16, ">b", 0, ErrorCode.UNSUPPORTED_FOR_MESSAGE_FORMAT, "magic 0"),
        (16, ">b", 3, ErrorCode.CORRUPT_MESSAGE, "magic 3"),
        (8, ">i", 5, ErrorCode.CORRUPT_MESSAGE, "batch length 5"),
        (8, ">i", -1, ErrorCode.CORRUPT_MESSAGE, "batch length -1"),
        (21, ">h", 5, ErrorCode.UNSUPPORTED_COMPRESSION_TYPE, "codec 5"),
        (21, ">h", 7, ErrorCode.UNSUPPORTED_COMPRESSION_TYPE, "codec 7"),
        (21, ">h", 0x80, ErrorCode.INVALID_RECORD, "attributes 0x80"),
        (21, ">h", -0x8000, ErrorCode.INVALID_RECORD, "attributes"),
        (21, ">h", 0x20, ErrorCode.INVALID_RECORD, "control batches"),
        (21, ">h", 0x40, ErrorCode.INVALID_RECORD, "delete horizon"),
        (57, ">i", 0, ErrorCode.INVALID_RECORD, "records count 0"),
        (57, ">i", -1, ErrorCode.INVALID_RECORD, "records count -1"),
        (57, ">i", 2, ErrorCode.INVALID_RECORD, "last offset delta 2"),
        (23, ">i", 3, ErrorCode.INVALID_RECORD, "last offset delta 3"),
        (27, ">q", -2, ErrorCode.INVALID_TIMESTAMP, "base timestamp -2"),
        (35, ">q", -2, ErrorCode.INVALID_TIMESTAMP, "max timestamp -2"),
        (51, ">h", -1, ErrorCode.INVALID_RECORD, "epoch -1"),
        (53, ">i", -1, ErrorCode.INVALID_RECORD, "base sequence -1"),
    ],
)
def test_lies_in_the_header_are_refused(
    position: int, code: str, value: int, error: ErrorCode, text: str
) -> None:
    caught = refusal(edited(position, code, value))
    assert caught.code is error
    assert text in caught.message


def test_a_batch_without_records_is_refused() -> None:
    batch = build_batch([], base_timestamp=NOW, last_offset_delta=-1)
    assert "records count 0 is not positive" in refusal(batch).message


def test_a_count_beyond_the_bytes_is_refused() -> None:
    batch = edited(57, ">i", 1_000_000)
    struct.pack_into(">i", batch, 23, 999_999)
    write_crc(batch)
    assert "records count 1000000 in" in refusal(batch).message


def test_transactional_without_producer_is_refused() -> None:
    assert "no producer id" in refusal(batch_of(transactional=True)).message


def test_brokers_may_write_control_batches() -> None:
    batch = batch_of(1, producer_id=1, producer_epoch=0, control=True, transactional=True)
    validate(batch, from_client=False)
    assert refusal(batch).code is ErrorCode.INVALID_RECORD


def test_a_view_of_another_size_is_refused() -> None:
    batch = batch_of()
    with pytest.raises(KafkaError, match="batch length"):
        validate_batch(memoryview(batch)[:-1], parse_header(batch))


def test_split_cuts_at_the_lengths_without_copying() -> None:
    first, second = batch_of(2), batch_of(5)
    data = first + second
    parts = split_batches(data)
    assert [header.records_count for header, _ in parts] == [2, 5]
    assert [bytes(view) for _, view in parts] == [first, second]
    assert all(view.obj is data for _, view in parts)
    assert split_batches(b"") == []


@pytest.mark.parametrize("cut", range(1, 80))
def test_split_refuses_whatever_is_cut_off(cut: int) -> None:
    data = batch_of() + batch_of()
    with pytest.raises(KafkaError) as caught:
        split_batches(data[:-cut])
    assert caught.value.code is ErrorCode.CORRUPT_MESSAGE


@pytest.mark.parametrize("length", [-(2**31), -13, -12, 0, 48, 2**31 - 1])
def test_split_refuses_impossible_lengths(length: int) -> None:
    with pytest.raises(KafkaError, match=f"batch length {length} at byte 0"):
        split_batches(edited(8, ">i", length, fix_crc=False))


def test_split_names_old_message_sets() -> None:
    old = bytes(8) + (22).to_bytes(4, "big") + bytes(4) + b"\x01" + bytes(17)
    with pytest.raises(KafkaError) as caught:
        split_batches(old)
    assert caught.value.code is ErrorCode.UNSUPPORTED_FOR_MESSAGE_FORMAT


def test_stamping_leaves_the_crc_valid() -> None:
    frame = bytearray(b"head") + batch_of()
    ((header, view),) = split_batches(memoryview(frame)[4:])
    stamp(view, 1234567890123, 42)
    stamped = parse_header(frame, 4)
    assert (stamped.base_offset, stamped.leader_epoch) == (1234567890123, 42)
    assert stamped._replace(base_offset=0, leader_epoch=-1) == header
    validate_batch(view, stamped)
    assert [record.offset for record in iter_records(view)] == [
        1234567890123,
        1234567890124,
        1234567890125,
    ]


def test_append_time_holds_for_all_records() -> None:
    batch = batch_of(codec=Codec.ZSTD)
    set_append_time(batch, NOW + 999)
    validate(batch)
    header = parse_header(batch)
    assert header.append_time
    assert header.codec == Codec.ZSTD
    assert header.max_timestamp == NOW + 999
    assert {record.timestamp for record in iter_records(batch)} == {NOW + 999}
    assert find_timestamp(batch, NOW + 5) == (NOW + 999, 0)


@pytest.mark.parametrize("codec", list(Codec))
def test_find_timestamp(codec: Codec) -> None:
    times = [NOW + 10, NOW, NOW + 30, NOW + 20]
    records = [Record(timestamp=time, value=b"v") for time in times]
    batch = build_batch(records, base_timestamp=times[0], codec=codec)
    stamp(batch, 100, 0)
    assert find_timestamp(batch, NOW - 5) == (NOW + 10, 100)
    assert find_timestamp(batch, NOW + 11) == (NOW + 30, 102)
    assert find_timestamp(batch, NOW + 30) == (NOW + 30, 102)
    assert find_timestamp(batch, NOW + 31) is None


def test_compacted_batches_keep_offsets_and_span() -> None:
    kept = [Record(offset=103, timestamp=NOW, key=b"a"), Record(offset=107, timestamp=NOW)]
    batch = build_batch(
        kept, base_timestamp=NOW, base_offset=100, leader_epoch=4, last_offset_delta=9
    )
    header = parse_header(batch)
    assert (header.base_offset, header.next_offset, header.leader_epoch) == (100, 110, 4)
    assert [record.offset for record in iter_records(batch)] == [103, 107]
    empty = build_batch([], base_timestamp=NOW, base_offset=100, last_offset_delta=9)
    assert list(iter_records(empty)) == []
    assert parse_header(empty).span == 10


def test_a_batch_without_records_needs_a_span() -> None:
    with pytest.raises(ValueError, match="at least one record"):
        build_batch([], base_timestamp=NOW)
