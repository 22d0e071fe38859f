"""The last value of each key is what all records, one by one, would have left."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from partitions.errors import ErrorCode, KafkaError
from partitions.records import (
    Codec,
    Record,
    build_batch,
    iter_records,
    last_values,
    parse_header,
)
from raftlog.types import Buffer
from tests.partitions.kit import batch_of

Values = dict[bytes | None, bytes | None]


def some_records(random: Random) -> list[Record]:
    sizes = [0, 1, 30, 63, 64, 200, 9_000]
    found = []
    for _ in range(random.randint(1, 200)):
        key = random.choice([None, b"", b"a", b"b" * random.choice(sizes)])
        value = random.choice([None, random.randbytes(random.choice(sizes))])
        headers = (("name", None), ("x", b"y" * 100)) if random.random() < 0.1 else ()
        found.append(Record(-1, random.randrange(1 << 40), key, value, headers))
    return found


def slowly(batch: Buffer) -> Values:
    return {record.key: record.value for record in iter_records(batch)}


def quickly(batch: Buffer) -> Values:
    found: Values = {}
    last_values(batch, parse_header(batch), found)
    return found


def result(read: Callable[[Buffer], Values], batch: Buffer) -> Values | ErrorCode:
    try:
        return read(batch)
    except KafkaError as error:
        return error.code


@pytest.mark.parametrize("codec", list(Codec))
def test_the_last_record_of_a_key_counts(codec: Codec) -> None:
    for seed in range(20):
        records = some_records(Random(seed))
        batch = bytes(build_batch(records, base_timestamp=1 << 30, codec=codec))
        found: Values = {b"a": b"former", b"other": b"stays"}
        last_values(batch, parse_header(batch), found)
        assert found == {b"a": b"former", b"other": b"stays"} | slowly(batch)


def test_what_is_not_a_batch_is_refused_or_read_alike() -> None:
    """Any byte of the records may be another one."""
    random, refused = Random(1), 0
    records = [Record(key=b"k%d" % n, value=b"v" * n) for n in range(70)]
    batch = build_batch(records, base_timestamp=0)
    for _ in range(3_000):
        broken = bytearray(batch)
        broken[random.randrange(61, len(batch))] = random.randrange(256)
        expected, found = result(slowly, broken), result(quickly, broken)
        if isinstance(found, ErrorCode):
            assert found is expected is ErrorCode.INVALID_RECORD
            refused += 1
        else:  # offsets and headers are not looked at
            assert found == expected or expected is ErrorCode.INVALID_RECORD
    assert refused > 200


def test_more_than_the_bound_is_not_decompressed() -> None:
    batch = batch_of(bytes(100_000), codec=Codec.GZIP)
    with pytest.raises(KafkaError) as caught:
        last_values(batch, parse_header(batch), {}, max_bytes=10_000)
    assert caught.value.code is ErrorCode.MESSAGE_TOO_LARGE
