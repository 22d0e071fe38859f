"""Bytes of an attacker: nothing but MalformedFrame, and no memory beyond the frame's measure."""

from __future__ import annotations

import tracemalloc
from random import Random
from typing import Any

import pytest
from kio.schema.index import api_key_map, schema_name_map

from partitions import wire
from partitions.wire import ApiKey, MalformedFrame, UnsupportedApi, generate
from partitions.wire.encoding import compile_encoder
from partitions.wire.schema import Schema, load_schema
from partitions.wire.varints import read_uvarint, skip_tags, write_uvarint
from tests.partitions.wire import oracle

_HUGE = b"\xff\xff\xff\xff\x07"
"""A varint of 2**31 - 1."""


def head(key: int, version: int, *, flexible: bool) -> bytes:
    start = key.to_bytes(2, "big") + version.to_bytes(2, "big") + bytes(4) + b"\xff\xff"
    return start + b"\x00" if flexible else start


def sample_frames(key: int, random: Random) -> list[bytes]:
    name = api_key_map[key]
    frames = []
    for version in sorted(schema_name_map[name]):
        value = oracle.random_instance(generate.entity(name, version, "request"), random)
        frames.append(oracle.kio_frame(key, version, "request", value, 5, "me")[4:])
    return frames


@pytest.mark.parametrize("key", sorted(api_key_map))
def test_every_truncation_is_refused(key: int) -> None:
    random = Random(key)
    for frame in sample_frames(key, random):
        cuts = range(len(frame)) if len(frame) < 150 else random.sample(range(len(frame)), 60)
        for cut in cuts:
            with pytest.raises(MalformedFrame):
                wire.decode_request(frame[:cut])


@pytest.mark.parametrize("key", sorted(api_key_map))
def test_mutated_frames_decode_or_are_malformed(key: int) -> None:
    random = Random(key)
    for frame in sample_frames(key, random):
        for _ in range(25):
            mutated = bytearray(frame)
            for _ in range(random.choice((1, 1, 2, 5))):
                position = random.randrange(8, len(mutated))
                mutated[position] = random.choice((0, 1, 0x7F, 0x80, 0xFF, random.randrange(256)))
            try:
                wire.decode_request(mutated)
            except MalformedFrame:
                continue


def test_responses_are_held_to_the_same() -> None:
    random = Random(1)
    value = oracle.random_instance(generate.entity("fetch", 16, "response"), random)
    frame = oracle.kio_frame(1, 16, "response", value, 5, None)[4:]
    for cut in range(len(frame) - 1, 0, -97):
        with pytest.raises(MalformedFrame):
            wire.decode_response(1, 16, frame[:cut])


@pytest.mark.parametrize(
    ("key", "version", "body"),
    [
        (3, 12, _HUGE),
        (3, 1, b"\x7f\xff\xff\xff"),
        (0, 9, b"\x00" + bytes(6) + _HUGE),
        (0, 9, b"\x00" + bytes(6) + b"\x02\x01" + _HUGE),
        (1, 11, bytes(25) + b"\x7f\xff\xff\xff"),
        (44, 1, _HUGE),
    ],
)
def test_a_huge_array_in_a_short_frame_allocates_nothing(
    key: int, version: int, body: bytes
) -> None:
    flexible = version in (9, 12) or key == 44
    frame = head(key, version, flexible=flexible) + body + bytes(6)
    _refuse(frame)
    tracemalloc.start()
    _refuse(frame)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 64 * 1024


def _refuse(frame: bytes) -> None:
    with pytest.raises(MalformedFrame, match="counts more than the frame holds"):
        wire.decode_request(frame)


def test_a_count_is_refused_before_its_elements_are_made() -> None:
    """Two bytes an element at the least: 5,000 in a frame of 5,000 bytes is impossible."""
    count = bytearray()
    write_uvarint(count, 5001)
    frame = head(3, 9, flexible=True) + bytes(count) + b"\x01\x00" * 2500
    _refuse(frame)


def test_memory_is_in_proportion_to_the_frame() -> None:
    """The densest Metadata request: topics of two bytes each."""
    count = bytearray()
    write_uvarint(count, 5_001)
    frame = head(3, 9, flexible=True) + bytes(count) + b"\x01\x00" * 5_000 + bytes(4)
    wire.decode_request(frame)
    tracemalloc.start()
    _, body = wire.decode_request(frame)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(body.topics) == 5_000
    assert peak < 64 * len(frame)


def _topics_of_partitions(topics: int, partitions: int) -> bytes:
    """A Produce v9 request whose partitions hold null records: seven bytes each."""
    classes = wire.messages(ApiKey.PRODUCE)
    partition = classes.PartitionProduceData(index=1, records=None)
    topic = classes.TopicProduceData(name="", partition_data=[partition] * partitions)
    body = classes.ProduceRequest(acks=1, timeout=1, topic_data=[topic] * topics)
    return b"".join(wire.encode_request(ApiKey.PRODUCE, 9, 1, None, body))[4:]


def test_a_request_has_a_budget_of_elements_over_all_arrays() -> None:
    wire.decode_request(_topics_of_partitions(100, 999))
    with pytest.raises(MalformedFrame, match="more than 100000 elements"):
        wire.decode_request(_topics_of_partitions(100, 1000))


def test_responses_have_no_budget_of_elements() -> None:
    """They come from a broker the client chose, and metadata of a large cluster is large."""
    classes = wire.messages(ApiKey.METADATA)
    partition = classes.MetadataResponsePartition(replica_nodes=[1] * 120_000)
    topic = classes.MetadataResponseTopic(name="t", partitions=[partition])
    body = classes.MetadataResponse(topics=[topic])
    frame = b"".join(wire.encode_response(ApiKey.METADATA, 12, 1, body))[4:]
    assert wire.decode_response(ApiKey.METADATA, 12, frame)[1] == body


def test_trailing_bytes_are_refused() -> None:
    for frame in sample_frames(3, Random(3)):
        wire.decode_request(frame)
        with pytest.raises(MalformedFrame):
            wire.decode_request(frame + b"\x00")


def test_unknown_tags_are_skipped() -> None:
    section = b"\x02\x05\x03abc\x99\x01\x00"
    frame = head(3, 12, flexible=False) + section + b"\x00" + b"\x01\x00" + section
    _, body = wire.decode_request(frame)
    assert body.topics is None
    assert body.allow_auto_topic_creation is True


@pytest.mark.parametrize("section", [b"\x01\x05\x7f", b"\x01\x05\xff\xff\xff\xff\x07", b"\x05"])
def test_tags_beyond_the_frame_are_refused(section: bytes) -> None:
    with pytest.raises(MalformedFrame):
        wire.decode_request(head(3, 12, flexible=False) + section)
    with pytest.raises((MalformedFrame, IndexError)):
        skip_tags(section, 0)


def test_lengths_beyond_the_frame_are_named() -> None:
    with pytest.raises(MalformedFrame, match="name is longer than what is left"):
        wire.decode_request(head(3, 1, flexible=False) + b"\x00\x00\x00\x01\x00\x09ab")
    fixed = head(1, 12, flexible=True) + bytes(4 * 4 + 1 + 4 + 4) + b"\x01\x01\x01"
    with pytest.raises(MalformedFrame, match="a tagged field is longer than the frame"):
        wire.decode_request(fixed + b"\x01\x00\x09\x03ab")


def minimal(schema: Schema, version: int, struct: str) -> Any:
    """The message of a struct that takes the fewest bytes."""
    cls = getattr(wire.messages(schema.key), struct)
    values = {}
    for field in schema.fields(struct, version):
        if field.tag is None and field.type in schema.structs:
            null = field.nullable_in(version)
            values[field.name] = None if null else minimal(schema, version, field.type)
        elif field.is_array or field.type in ("string", "bytes", "records"):
            values[field.name] = "" if field.type == "string" else b""
    for field in schema.fields(struct, version):
        if field.tag is not None:
            values[field.name] = field.default
    return cls(**values)


@pytest.mark.parametrize("key", sorted(api_key_map))
def test_the_least_size_of_an_element_is_that_of_its_smallest_encoding(key: int) -> None:
    """Too low would let counts lie, too high would refuse honest frames."""
    schema = load_schema(api_key_map[key])
    for version in range(schema.first, schema.last + 1):
        for struct, fields in schema.structs.items():
            if not any(f.first <= version <= f.last for f in fields):
                continue
            encode = compile_encoder(schema, version, struct, "data")
            smallest = b"".join(encode(minimal(schema, version, struct)))
            assert schema.least_bytes(struct, version) == max(len(smallest), 1)


def test_a_known_tag_must_fill_its_size() -> None:
    """FetchRequest v12: tag 0 is the cluster id. A longer or a shorter size is a lie."""
    fixed = head(1, 12, flexible=True) + bytes(4 * 4 + 1 + 4 + 4) + b"\x01\x01\x01"
    wire.decode_request(fixed + b"\x01\x00\x03\x03ab")
    for size in (0, 2, 4):
        with pytest.raises(MalformedFrame):
            wire.decode_request(fixed + b"\x01\x00" + bytes([size]) + b"\x03ab" + b"\x00")


def test_many_tags_cannot_read_the_same_bytes_again() -> None:
    """Each of 20,000 empty tags claims a long string: the first one ends it."""
    fixed = head(1, 12, flexible=True) + bytes(4 * 4 + 1 + 4 + 4) + b"\x01\x01\x01"
    count = bytearray()
    write_uvarint(count, 20_000)
    frame = fixed + bytes(count) + b"\x00\x00" * 20_000
    with pytest.raises(MalformedFrame, match="does not fill its tag"):
        wire.decode_request(frame)


def test_overlong_varints_are_refused() -> None:
    with pytest.raises(MalformedFrame, match="varint"):
        wire.decode_request(head(3, 12, flexible=True) + b"\x80" * 12)
    with pytest.raises(MalformedFrame, match="varint"):
        read_uvarint(b"\x80\x80\x80\x80\x80\x00", 0)
    assert read_uvarint(b"\xff\xff\xff\xff\x0f", 0) == (2**32 - 1, 5)


def test_strings_must_be_utf8() -> None:
    with pytest.raises(MalformedFrame, match="UTF-8"):
        wire.decode_request(head(3, 1, flexible=False) + b"\x00\x00\x00\x01\x00\x02\xc3\x28")


def test_null_where_none_may_be_is_refused() -> None:
    with pytest.raises(MalformedFrame, match="topics is null"):
        wire.decode_request(head(3, 0, flexible=False) + b"\xff\xff\xff\xff")
    with pytest.raises(MalformedFrame, match="name is null"):
        wire.decode_request(head(3, 1, flexible=False) + b"\x00\x00\x00\x01\xff\xff")
    with pytest.raises(MalformedFrame, match="negative length"):
        wire.decode_request(head(3, 1, flexible=False) + b"\xff\xff\xff\xfe")


def test_negative_client_id_length_is_refused() -> None:
    frame = b"\x00\x03\x00\x01" + bytes(4) + b"\xff\xfe" + b"\xff\xff\xff\xff"
    with pytest.raises(MalformedFrame, match="client_id"):
        wire.decode_request(frame)


@pytest.mark.parametrize(("key", "version"), [(0, 2), (0, 14), (4, 0), (-1, 0), (3, -1), (18, 99)])
def test_unknown_apis_name_their_header(key: int, version: int) -> None:
    frame = key.to_bytes(2, "big", signed=True) + version.to_bytes(2, "big", signed=True)
    frame += (77).to_bytes(4, "big") + b"whatever"
    with pytest.raises(UnsupportedApi) as caught:
        wire.decode_request(frame)
    error = caught.value
    assert (error.api_key, error.api_version, error.correlation_id) == (key, version, 77)
    assert wire.peek_header(frame) == (key, version, 77)


@pytest.mark.parametrize("size", range(8))
def test_frames_without_a_header_are_malformed(size: int) -> None:
    with pytest.raises(MalformedFrame):
        wire.decode_request(bytes(size))
    with pytest.raises(MalformedFrame):
        wire.peek_header(bytes(size))


def test_random_bytes_after_a_header() -> None:
    random = Random(7)
    for key in (ApiKey.PRODUCE, ApiKey.FETCH, ApiKey.JOIN_GROUP, ApiKey.CREATE_TOPICS):
        first, last = wire.api_versions(key)
        for _ in range(300):
            version = random.randint(first, last)
            body = random.randbytes(random.randrange(200))
            try:
                wire.decode_request(head(key, version, flexible=True) + body)
            except MalformedFrame:
                continue
