"""Records of an attacker who knows how to compute a CRC, and compressed bombs."""

from __future__ import annotations

import gzip
import tracemalloc
from random import Random

import cramjam
import lz4.frame
import pytest

from partitions.errors import ErrorCode, KafkaError
from partitions.records import (
    HEADER_BYTES,
    Codec,
    ControlType,
    EndTxnMarker,
    Record,
    build_batch,
    build_end_txn_marker,
    compress,
    decompress,
    iter_records,
    parse_end_txn_marker,
    parse_header,
    validate_batch,
)
from partitions.records.record import read_varint, write_varint

CODECS = [Codec.GZIP, Codec.SNAPPY, Codec.LZ4, Codec.ZSTD]
LIMIT = 1 << 20


def raw_batch(body: bytes, count: int) -> bytearray:
    """A batch whose header is right and whose records are `body`."""
    batch = build_batch([], base_timestamp=0, last_offset_delta=count - 1)
    batch += body
    batch[8:12] = (len(batch) - 12).to_bytes(4, "big")
    batch[57:61] = count.to_bytes(4, "big")
    return batch


def refused(body: bytes, count: int = 1) -> str:
    with pytest.raises(KafkaError) as caught:
        list(iter_records(raw_batch(body, count)))
    assert caught.value.code is ErrorCode.INVALID_RECORD
    return caught.value.message


GOOD = b"\x0c\x00\x00\x00\x01\x01\x00"
"""Length 6: attributes, deltas 0 and 0, null key, null value, no headers."""


def test_the_smallest_record() -> None:
    assert list(iter_records(raw_batch(GOOD, 1))) == [Record(0, 0)]


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "fewer records"),
        (GOOD[:-1], "length 6 is impossible"),
        (GOOD + b"\x00", "1 bytes follow"),
        (b"\x01" + GOOD[1:], "length -1 is impossible"),
        (b"\x0e" + GOOD[1:] + b"\x00", "does not fill"),
        (b"\x0c\x00\x00\x00\x40\x01\x00", "length 32 inside"),
        (b"\x0c\x00\x00\x00\x03\x01\x00", "length -2 inside"),
        (b"\x0c\x00\x00\x00\x01\x01\x7e", "headers count 63"),
        (b"\x0c\x00\x00\x00\x01\x01\x01", "headers count -1"),
        (b"\x0c\x00\x00\x02\x01\x01\x00", "record offset 1 follows -1"),
        (b"\x0c\x00\x00\x01\x01\x01\x00", "record offset -1 follows -1"),
        (b"\x10\x00\x00\x00\x01\x01\x02\x01\x01", "key is null"),
        (b"\x12\x00\x00\x00\x01\x01\x02\x02\xff\x01", "not UTF-8"),
        (b"\x80" * 12, "varint"),
    ],
)
def test_lies_in_records_are_refused(body: bytes, text: str) -> None:
    assert text in refused(body)


def test_offsets_must_ascend() -> None:
    second = b"\x0c\x00\x00\x00\x01\x01\x00"
    assert "record offset 0 follows 0" in refused(GOOD + second, 2)


def test_a_huge_count_ends_with_the_bytes() -> None:
    assert "fewer records" in refused(GOOD, 2**31 - 1)


def outcome(batch: bytearray) -> ErrorCode:
    """The code with which reading the records ends; anything but a KafkaError passes through."""
    try:
        list(iter_records(batch, max_bytes=LIMIT))
    except KafkaError as error:
        return error.code
    return ErrorCode.NONE


@pytest.mark.parametrize("codec", list(Codec))
def test_mutated_records_raise_kafka_errors_only(codec: Codec) -> None:
    random = Random(codec)
    records = [Record(key=b"k%d" % i, value=b"v" * i, headers=(("h", b"x"),)) for i in range(30)]
    original = build_batch(records, base_timestamp=0, codec=codec)
    codes = set()
    for _ in range(400):
        batch = bytearray(original)
        for _ in range(random.choice((1, 3))):
            batch[random.randrange(HEADER_BYTES, len(batch))] = random.randrange(256)
        codes.add(outcome(batch))
    allowed = {ErrorCode.CORRUPT_MESSAGE, ErrorCode.INVALID_RECORD, ErrorCode.MESSAGE_TOO_LARGE}
    assert codes <= allowed | {ErrorCode.NONE}
    assert len(codes) > 1


@pytest.mark.parametrize("codec", list(Codec))
@pytest.mark.parametrize("size", [0, 1, 1000, 32 * 1024, 32 * 1024 + 1, 200_000])
def test_compression_round_trip(codec: Codec, size: int) -> None:
    data = (b"abcdefg%d" % size) * (size // 8 + 1)
    data = data[:size]
    assert bytes(decompress(codec, compress(codec, data), size)) == data


@pytest.mark.parametrize("codec", CODECS)
def test_incompressible_data_survives(codec: Codec) -> None:
    data = Random(1).randbytes(300_000)
    assert bytes(decompress(codec, compress(codec, data))) == data


@pytest.mark.parametrize("codec", list(Codec))
def test_the_limit_is_exact(codec: Codec) -> None:
    packed = compress(codec, bytes(100_000))
    assert len(decompress(codec, packed, 100_000)) == 100_000
    with pytest.raises(KafkaError) as caught:
        decompress(codec, packed, 99_999)
    assert caught.value.code is ErrorCode.MESSAGE_TOO_LARGE


@pytest.mark.parametrize("codec", CODECS)
def test_bombs_stay_within_the_limit(codec: Codec) -> None:
    bomb = bytes(compress(codec, bytes(50_000_000)))
    tracemalloc.start()
    with pytest.raises(KafkaError) as caught:
        decompress(codec, bomb, LIMIT)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert caught.value.code is ErrorCode.MESSAGE_TOO_LARGE
    assert peak < 4 * LIMIT


@pytest.mark.parametrize("codec", CODECS)
def test_truncated_compressed_data_is_corrupt(codec: Codec) -> None:
    packed = bytes(compress(codec, Random(2).randbytes(500) * 3))
    for cut in range(len(packed)):
        if codec is Codec.SNAPPY and cut == 16:
            continue  # a header without blocks is whole: it stands for no data
        with pytest.raises(KafkaError) as caught:
            decompress(codec, packed[:cut], LIMIT)
        assert caught.value.code is ErrorCode.CORRUPT_MESSAGE


@pytest.mark.parametrize("codec", CODECS)
def test_nothing_is_not_compressed_data(codec: Codec) -> None:
    with pytest.raises(KafkaError) as caught:
        decompress(codec, b"", LIMIT)
    assert caught.value.code is ErrorCode.CORRUPT_MESSAGE


@pytest.mark.parametrize("codec", [Codec.GZIP, Codec.LZ4, Codec.ZSTD])
def test_garbage_after_compressed_data_is_corrupt(codec: Codec) -> None:
    packed = bytes(compress(codec, b"hello" * 100)) + b"garbage"
    with pytest.raises(KafkaError) as caught:
        decompress(codec, packed, LIMIT)
    assert caught.value.code is ErrorCode.CORRUPT_MESSAGE


def test_zstd_frames_need_not_state_their_size() -> None:
    """As librdkafka and Java write them: through a stream, so that the size is not known."""
    stream = cramjam.zstd.Compressor()
    stream.compress(b"abc" * 100_000)
    packed = bytes(stream.finish())
    assert bytes(decompress(Codec.ZSTD, packed)) == b"abc" * 100_000
    with pytest.raises(KafkaError) as caught:
        decompress(Codec.ZSTD, packed, 299_999)
    assert caught.value.code is ErrorCode.MESSAGE_TOO_LARGE


@pytest.mark.parametrize("window", [0x90, 0xA8, 0xFF])
def test_zstd_windows_of_gigabytes_are_refused(window: int) -> None:
    """A frame of one run-length block that demands a window of 256 MiB and more."""
    frame = b"\x28\xb5\x2f\xfd\x00" + bytes([window]) + b"\x43\x1f\x00a"
    with pytest.raises(KafkaError) as caught:
        decompress(Codec.ZSTD, frame, LIMIT)
    assert caught.value.code is ErrorCode.CORRUPT_MESSAGE


def test_snappy_raw_and_xerial_are_both_read() -> None:
    data = b"hello" * 20_000
    assert bytes(decompress(Codec.SNAPPY, bytes(cramjam.snappy.compress_raw(data)))) == data
    framed = bytes(compress(Codec.SNAPPY, data))
    assert framed.startswith(b"\x82SNAPPY\x00\x00\x00\x00\x01\x00\x00\x00\x01")
    assert bytes(decompress(Codec.SNAPPY, framed)) == data


@pytest.mark.parametrize("tail", [b"\x00", b"\xff\xff\xff\xff", b"\x00\x00\x00\x09ab"])
def test_xerial_blocks_must_fit(tail: bytes) -> None:
    framed = bytes(compress(Codec.SNAPPY, b"hello")) + tail
    with pytest.raises(KafkaError, match="snappy"):
        decompress(Codec.SNAPPY, framed, LIMIT)


def test_a_snappy_length_is_not_believed() -> None:
    """Five bytes claim to be 32 MiB."""
    with pytest.raises(KafkaError, match="cannot expand"):
        decompress(Codec.SNAPPY, b"\x80\x80\x80\x10\x00", 1 << 30)


def test_gzip_members_are_joined_but_counted() -> None:
    assert bytes(decompress(Codec.GZIP, gzip.compress(b"ab") + gzip.compress(b"cd"))) == b"abcd"
    with pytest.raises(KafkaError, match="members"):
        decompress(Codec.GZIP, gzip.compress(b"") * 1000)


def test_lz4_frames_of_other_writers() -> None:
    data = b"xyz" * 50_000
    for options in ({"content_checksum": True}, {"block_linked": False}, {"store_size": True}):
        assert bytes(decompress(Codec.LZ4, lz4.frame.compress(data, **options))) == data


def test_unknown_codecs_are_named() -> None:
    with pytest.raises(KafkaError) as caught:
        decompress(5, b"", LIMIT)
    assert caught.value.code is ErrorCode.UNSUPPORTED_COMPRESSION_TYPE


@pytest.mark.parametrize("value", [0, -1, 1, 63, 64, -64, -65, 2**31 - 1, -(2**31), 2**63 - 1])
def test_varints(value: int) -> None:
    out = bytearray()
    write_varint(out, value)
    assert read_varint(out, 0) == (value, len(out))
    assert out[0] == ((value << 1) ^ (value >> 63)) & 0x7F | (0x80 if len(out) > 1 else 0)


@pytest.mark.parametrize("kind", list(ControlType))
def test_end_markers(kind: ControlType) -> None:
    marker = EndTxnMarker(kind, coordinator_epoch=9)
    batch = build_end_txn_marker(marker, producer_id=4, producer_epoch=2, timestamp=77)
    header = parse_header(batch)
    validate_batch(memoryview(batch), header, from_client=False)
    assert header.control
    assert header.transactional
    assert (header.producer_id, header.producer_epoch, header.base_sequence) == (4, 2, -1)
    assert (header.span, header.base_timestamp) == (1, 77)
    assert parse_end_txn_marker(batch) == marker


def test_end_marker_bytes_are_kafka_s() -> None:
    batch = build_end_txn_marker(
        EndTxnMarker(ControlType.COMMIT, 9), producer_id=4, producer_epoch=2, timestamp=77
    )
    (record,) = iter_records(batch)
    assert record.key == b"\x00\x00\x00\x01"
    assert record.value == b"\x00\x00\x00\x00\x00\x09"


@pytest.mark.parametrize(
    "record", [Record(key=None), Record(key=b"\x00"), Record(key=bytes(4), value=b"\x00")]
)
def test_broken_markers_are_refused(record: Record) -> None:
    with pytest.raises(KafkaError):
        parse_end_txn_marker(build_batch([record], base_timestamp=0, control=True))


def test_other_control_types_are_left_alone() -> None:
    record = Record(key=b"\x00\x00\x00\x02", value=b"leader change")
    assert parse_end_txn_marker(build_batch([record], base_timestamp=0, control=True)) is None
