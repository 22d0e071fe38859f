"""Batches of aiokafka and kafka-python are read here, and ours by them, in every codec."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from aiokafka.record.default_records import DefaultRecordBatch as AioBatch
from aiokafka.record.default_records import DefaultRecordBatchBuilder as AioBuilder
from kafka import codec as kafka_python_codec
from kafka.record.default_records import DefaultRecordBatch as KafkaPythonBatch
from kafka.record.default_records import DefaultRecordBatchBuilder as KafkaPythonBuilder

from partitions.records import (
    Codec,
    Record,
    build_batch,
    iter_records,
    split_batches,
    validate_batch,
)

BUILDERS = [AioBuilder, KafkaPythonBuilder]
READERS = [AioBatch, KafkaPythonBatch]
_PYTHON_LACKS = {
    codec
    for codec, has in (
        (Codec.SNAPPY, kafka_python_codec.has_snappy()),
        (Codec.LZ4, kafka_python_codec.has_lz4()),
        (Codec.ZSTD, kafka_python_codec.has_zstd()),
    )
    if not has
}


def random_records(random: Random, count: int) -> list[Record]:
    records = []
    timestamp = 1_700_000_000_000
    for offset in range(count):
        timestamp += random.randrange(-50, 1000)
        key = random.choice((None, b"", b"key-%d" % offset))
        value = random.choice((None, b"", b"v" * 300, random.randbytes(random.randrange(5000))))
        headers = tuple(
            (f"ü{i}", random.choice((None, b"", b"x" * i))) for i in range(random.randrange(3))
        )
        records.append(Record(offset, timestamp, key, value, headers))
    return records


def skip_unless_available(cls: type, codec: Codec) -> None:
    if cls.__module__.startswith("kafka.") and codec in _PYTHON_LACKS:
        pytest.skip(f"kafka-python has no {codec.name} library here")


@pytest.mark.parametrize("codec", list(Codec))
@pytest.mark.parametrize("builder_class", BUILDERS)
def test_client_batches_are_read(builder_class: Any, codec: Codec) -> None:
    skip_unless_available(builder_class, codec)
    records = random_records(Random(codec), 40)
    builder = builder_class(2, codec.value, 0, 77, 3, 9, 1 << 20)
    for record in records:
        builder.append(
            record.offset, record.timestamp, record.key, record.value, list(record.headers)
        )
    ((header, batch),) = split_batches(bytes(builder.build()))
    validate_batch(batch, header)
    assert header.codec == codec
    assert (header.producer_id, header.producer_epoch, header.base_sequence) == (77, 3, 9)
    assert header.records_count == header.span == 40
    assert header.base_timestamp == records[0].timestamp
    assert header.max_timestamp == max(record.timestamp for record in records)
    assert list(iter_records(batch)) == records


@pytest.mark.parametrize("codec", list(Codec))
@pytest.mark.parametrize("reader_class", READERS)
def test_our_batches_are_read_by_clients(reader_class: Any, codec: Codec) -> None:
    skip_unless_available(reader_class, codec)
    records = random_records(Random(codec + 100), 40)
    batch = build_batch(
        records,
        base_timestamp=records[0].timestamp,
        codec=codec,
        producer_id=5,
        producer_epoch=1,
        base_sequence=0,
        transactional=True,
    )
    theirs = reader_class(bytes(batch))
    assert theirs.validate_crc()
    assert theirs.is_transactional
    assert not theirs.is_control_batch
    assert theirs.compression_type == codec
    read = [
        Record(r.offset, r.timestamp, _bytes(r.key), _bytes(r.value), _headers(r)) for r in theirs
    ]
    assert read == records


def _bytes(value: Any) -> bytes | None:
    return None if value is None else bytes(value)


def _headers(record: Any) -> tuple[tuple[str, bytes | None], ...]:
    return tuple((key, _bytes(value)) for key, value in record.headers)


def test_uncompressed_batches_are_byte_identical_to_aiokafka_s() -> None:
    records = random_records(Random(4), 30)
    builder = AioBuilder(2, 0, 0, -1, -1, -1, 1 << 20)
    for r in records:
        builder.append(r.offset, r.timestamp, r.key, r.value, list(r.headers))
    theirs = bytearray(builder.build())
    ours = build_batch(records, base_timestamp=records[0].timestamp)
    theirs[12:16] = ours[12:16]
    assert ours == theirs, "all but the leader epoch, which the broker stamps"
