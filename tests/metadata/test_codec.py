from __future__ import annotations

import resource

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metadata import records as r
from metadata.codec import (
    ENTRY_BYTES_MAX,
    ENVELOPE,
    ROWS,
    decode_entry,
    encode_entry,
)
from metadata.errors import RecordError, UnknownRecord
from tests.metadata.histories import History
from tests.metadata.samples import registered, replica, uuid

SAMPLES: list[r.Record] = [
    r.ClusterCreated("c", 1),
    r.FeatureLevelSet(2),
    registered(1, 7, "rack-ä"),
    registered(2, 8, None),
    r.BrokerFenced(1, 7),
    r.BrokerUnfenced(1, 7),
    r.BrokerRemoved(1, 7),
    r.TopicCreated(uuid(5), "t"),
    r.TopicDeleted(uuid(5)),
    r.PartitionAssigned(uuid(5), 0, 2**63 - 1, (replica(1), replica(2)), 3),
    r.ConfigSet(r.ResourceType.TOPIC, "t", "retention.ms", None),
    r.ConfigSet(r.ResourceType.BROKER, "", "log.retention.ms", "5"),
    r.ProducerIdsAllotted(1, 0, 1000),
    r.CountersSet(5, 1000, 9),
]


def test_every_record_type_round_trips() -> None:
    assert {type(record) for record in SAMPLES} == {row.type for row in ROWS}
    assert decode_entry(encode_entry(SAMPLES)) == tuple(SAMPLES)


def test_type_numbers_and_versions_are_unique() -> None:
    assert len({(row.code, row.version) for row in ROWS}) == len(ROWS)


@given(st.integers(0, 2**32))
@settings(max_examples=30, deadline=None)
def test_random_histories_round_trip(seed: int) -> None:
    records = History(seed).records(40)
    assert decode_entry(encode_entry(records)) == tuple(records)


def test_facts_of_different_types_differ() -> None:
    facts: list[r.Record] = [r.BrokerFenced(1, 7), r.BrokerUnfenced(1, 7), r.BrokerRemoved(1, 7)]
    assert len(set(facts)) == 3


@given(st.integers(0, 10_000), st.integers(0, 255))
@settings(max_examples=300, deadline=None)
def test_a_changed_byte_is_refused_or_is_another_record(at: int, byte: int) -> None:
    data = bytearray(encode_entry(SAMPLES))
    at %= len(data)
    changed = data[at] != byte
    data[at] = byte
    try:
        records = decode_entry(bytes(data))
    except RecordError:
        assert changed
        return
    assert encode_entry(records) == bytes(data)
    assert (records == tuple(SAMPLES)) is not changed


@given(st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_arbitrary_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(RecordError):
        decode_entry(data)


@given(st.integers(0, 2_000))
@settings(max_examples=100, deadline=None)
def test_every_truncation_is_refused(length: int) -> None:
    data = encode_entry(SAMPLES)
    with pytest.raises(RecordError):
        decode_entry(data[: length % len(data)])


def entry(*bodies: object) -> bytes:
    return cbor2.dumps([ENVELOPE, list(bodies)])


FENCED = [4, 1, [1, 7]]


def test_what_the_hostile_entries_start_from_is_accepted() -> None:
    assert decode_entry(entry(FENCED)) == (r.BrokerFenced(1, 7),)


@pytest.mark.parametrize("tag", [0, 2, 4, 28, 29, 30, 258, 43000, 55799, 2**40])
def test_tags_are_refused(tag: int) -> None:
    tagged = cbor2.dumps(cbor2.CBORTag(tag, 0))[:-1]
    whole = tagged + entry(FENCED)
    inside = entry(FENCED)[:-1] + tagged + cbor2.dumps(7)
    for data in (whole, inside):
        with pytest.raises(RecordError, match=f"semantic tag {tag}$"):
            decode_entry(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        entry(),
        entry(FENCED) + b"\x00",
        cbor2.dumps([ENVELOPE, {"a": 1}]),
        cbor2.dumps([True, [FENCED]]),
        entry([4, 1, [1, 7, 0]]),
        entry([4, 1, [1]]),
        entry([4, True, [1, 7]]),
        entry([4, 1, [1, 7.0]]),
        entry([4, 1, [True, 7]]),
        entry([4, 1, [-1, 7]]),
        entry([4, 1, [1, 2**63]]),
        entry([4, 1, [1, 2**70]]),
        entry([8, 1, [b"short"]]),
        entry([8, 1, ["x" * 16]]),
        entry([7, 1, [uuid(1), ""]]),
        entry([10, 1, [3, "t", "k", None]]),
        entry([10, 1, [True, "t", "k", None]]),
        b"\x82\x01\x9f" + cbor2.dumps(FENCED) + b"\xff",  # indefinite length
        entry(FENCED)[:-1] + b"\x18\x07",  # 7 in two bytes
        b"\x82\x01\x81\x83\x04\x01\x82\x01\x62\xff\xff",  # text that is not UTF-8
    ],
)
def test_malformed_entries_are_refused(data: bytes) -> None:
    with pytest.raises(RecordError):
        decode_entry(data)


@pytest.mark.parametrize(
    "data", [entry([99, 1, [1, 7]]), entry([4, 2, [1, 7]]), cbor2.dumps([2, [FENCED]])]
)
def test_unknown_types_and_versions_are_named(data: bytes) -> None:
    with pytest.raises(UnknownRecord, match=r"known|version"):
        decode_entry(data)


@pytest.mark.parametrize("head", [b"\x9b", b"\x5b", b"\x7b", b"\xbb"])
@pytest.mark.parametrize("length", [2**20, 2**36, 2**62])
def test_a_huge_length_does_not_allocate(head: bytes, length: int) -> None:
    data = b"\x82\x01" + head + length.to_bytes(8, "big")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(20):
        with pytest.raises(RecordError):
            decode_entry(data)
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kib < 8 * 1024


def test_deep_nesting_is_refused_where_it_begins() -> None:
    with pytest.raises(RecordError, match=r"nesting depth \(8\)"):
        decode_entry(b"\x81" * 100_000)


def test_an_entry_over_the_limit_is_not_written() -> None:
    value = "v" * 32_768
    configs = [r.ConfigSet(r.ResourceType.TOPIC, "t", f"k{n}", value) for n in range(64)]
    assert len(encode_entry(configs[:63])) <= ENTRY_BYTES_MAX
    with pytest.raises(RecordError, match="an entry of"):
        encode_entry(configs)


def test_an_entry_over_the_limit_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(RecordError, match="bytes of CBOR, at most"):
        decode_entry(b"\xff" * (ENTRY_BYTES_MAX + 1))


@pytest.mark.parametrize(
    "record",
    [
        r.TopicCreated(b"short", "t"),
        r.TopicCreated(uuid(1), "t" * 250),
        r.BrokerFenced(-1, 0),
        r.BrokerFenced(1, 2**63),
        r.PartitionAssigned(uuid(1), 0, 0, (replica(1),), 0),
        r.PartitionAssigned(uuid(1), 0, 1, tuple(replica(n) for n in range(16)), 0),
        r.ConfigSet(r.ResourceType.TOPIC, "t", "k", "v" * 32_769),
    ],
)
def test_what_could_not_be_read_is_not_written(record: r.Record) -> None:
    with pytest.raises(RecordError, match=type(record).__name__):
        encode_entry([record])


def test_empty_and_overlong_entries_are_not_written() -> None:
    with pytest.raises(RecordError):
        encode_entry([])
    with pytest.raises(RecordError):
        encode_entry([r.BrokerFenced(1, 1)] * 20_001)


def test_errors_name_the_field() -> None:
    assigned = [9, 1, [uuid(1), 0, 1, [[1, uuid(1)], [2, b"x"]], 0]]
    with pytest.raises(RecordError, match=r"PartitionAssigned\.replicas\[1\]\.directory"):
        decode_entry(entry(assigned))
