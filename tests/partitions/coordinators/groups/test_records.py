"""Records of `__consumer_offsets`, byte for byte as Kafka lays them out."""

from __future__ import annotations

import struct

import pytest

from partitions.coordinators.groups import GroupSnapshot, MemberSnapshot
from partitions.coordinators.groups.offsets import size_of
from partitions.coordinators.groups.schemas import (
    BadRecord,
    Change,
    CommittedOffset,
    GroupKey,
    GroupValue,
    OffsetKey,
    decode,
    decode_group,
    encode_group,
    encode_key,
    encode_value,
)
from partitions.records import HEADER_BYTES, Record, build_batch
from tests.partitions.coordinators.groups.kit import string

TOPIC_ID = bytes(range(16))
KEY = OffsetKey("grüppe", "topic", 7)
KEY_BYTES = struct.pack(">h", 1) + string("grüppe") + string("topic") + struct.pack(">i", 7)
MEMBER = MemberSnapshot("m-1", "static", "client", "/10.0.0.1", 60_000, 10_000, b"sub", b"ass")
SNAPSHOT = GroupSnapshot("consumer", 4, "range", "m-1", (MEMBER,))


def group_bytes(version: int) -> bytes:
    """A GroupMetadataValue of SNAPSHOT."""
    head = struct.pack(">h", version) + string("consumer") + struct.pack(">i", 4)
    head += string("range") + string("m-1")
    if version >= 2:
        head += struct.pack(">q", 1234)
    head += struct.pack(">i", 1) + string("m-1")
    if version >= 3:
        head += string("static")
    head += string("client") + string("/10.0.0.1")
    if version >= 1:
        head += struct.pack(">i", 60_000)
    head += struct.pack(">i", 10_000)
    return head + struct.pack(">i", 3) + b"sub" + struct.pack(">i", 3) + b"ass"


def test_keys() -> None:
    assert encode_key(KEY) == KEY_BYTES
    assert encode_key(GroupKey("g")) == struct.pack(">h", 2) + string("g")
    assert decode(KEY_BYTES, None) == Change(KEY, None)
    assert decode(b"\x00\x00" + KEY_BYTES[2:], None) == Change(KEY, None)
    assert decode(encode_key(GroupKey("g")), None) == Change(GroupKey("g"), None)


@pytest.mark.parametrize("kind", [3, 10, 30_000])
def test_keys_of_newer_kinds_are_passed_over(kind: int) -> None:
    assert decode(struct.pack(">h", kind) + b"whatever", b"\x00\x63") is None


@pytest.mark.parametrize(
    "value, written",
    [
        (
            CommittedOffset(100, 3, "note", 1_700_000_000_000, topic_id=TOPIC_ID),
            struct.pack(">hqi", 4, 100, 3)
            + b"\x05note"
            + struct.pack(">q", 1_700_000_000_000)
            + b"\x01\x00\x10"
            + TOPIC_ID,
        ),
        (
            CommittedOffset(100, 3, "n" * 300, 5, topic_id=TOPIC_ID),
            struct.pack(">hqi", 4, 100, 3)
            + b"\xad\x02"
            + b"n" * 300
            + struct.pack(">q", 5)
            + b"\x01\x00\x10"
            + TOPIC_ID,
        ),
        (
            CommittedOffset(100, 3, "", 5),
            struct.pack(">hqi", 4, 100, 3) + b"\x01" + struct.pack(">q", 5) + b"\x00",
        ),
        (
            CommittedOffset(100, -1, "", 5, 99),
            struct.pack(">hq", 1, 100) + string("") + struct.pack(">qq", 5, 99),
        ),
    ],
)
def test_offsets(value: CommittedOffset, written: bytes) -> None:
    assert encode_value(value) == written
    assert decode(KEY_BYTES, written) == Change(KEY, value)


@pytest.mark.parametrize("version", [0, 2, 3])
def test_older_offsets(version: int) -> None:
    epoch = struct.pack(">i", 7) if version == 3 else b""
    data = struct.pack(">hq", version, 100) + epoch + string("note") + struct.pack(">q", 5)
    expected = CommittedOffset(100, 7 if epoch else -1, "note", 5)
    assert decode(KEY_BYTES, data) == Change(KEY, expected)


@pytest.mark.parametrize("text", [b"\x05note", b"\x00", b"\xad\x02" + b"n" * 300])
@pytest.mark.parametrize(
    "tags, topic_id",
    [
        (b"\x00", b""),
        (b"\x01\x00\x10" + bytes(16), b""),
        (b"\x02\x00\x10" + b"i" * 16 + b"\x07\x01x", b"i" * 16),
        (b"\x01\x07\x10" + b"i" * 16, b""),
    ],
)
def test_offsets_as_others_write_them(text: bytes, tags: bytes, topic_id: bytes) -> None:
    """Kafka writes zeroes for a topic whose id it does not know; tags may follow that are new."""
    data = struct.pack(">hqi", 4, 100, 3) + text + struct.pack(">q", 5) + tags
    note = "note" if b"note" in text else "n" * max(len(text) - 2, 0)
    expected = CommittedOffset(100, 3, note, 5, topic_id=topic_id)
    assert decode(KEY_BYTES, data) == Change(KEY, expected)


@pytest.mark.parametrize("size", [1, 15, 17])
def test_a_topic_id_has_sixteen_bytes(size: int) -> None:
    data = struct.pack(">hqi", 4, 100, 3) + b"\x01" + struct.pack(">q", 5)
    with pytest.raises(BadRecord):
        decode(KEY_BYTES, data + bytes([1, 0, size]) + b"i" * size)


def test_no_record_takes_more_than_is_counted_for_it() -> None:
    for metadata in ("", "é" * 100, "n" * 20_000):
        value = CommittedOffset(2**63 - 1, 2**31 - 1, metadata, 2**63 - 1, topic_id=TOPIC_ID)
        for some in ([value], [value] * 100, [value._replace(expire_ms=2**63 - 1)] * 100):
            changes = [Change(KEY, each) for each in some]
            records = [Record(key=encode_key(k), value=encode_value(v)) for k, v in changes]
            batch = build_batch(records, base_timestamp=2**60)
            assert len(batch) <= HEADER_BYTES + sum(map(size_of, changes))


def test_groups() -> None:
    assert encode_group(GroupValue(SNAPSHOT, 1234)) == group_bytes(3)
    for version in range(4):
        value = decode_group(group_bytes(version))
        assert value.since_ms == (1234 if version >= 2 else -1)
        (member,) = value.snapshot.members
        assert member.group_instance_id == ("static" if version >= 3 else None)
        assert member.rebalance_timeout_ms == (60_000 if version >= 1 else 10_000)
        assert (member.subscription, member.assignment) == (b"sub", b"ass")
        assert value.snapshot.generation == 4
    empty = GroupSnapshot("consumer", 5, None, None)
    assert decode_group(encode_group(GroupValue(empty, 7))) == GroupValue(empty, 7)


def test_newer_groups() -> None:
    data = struct.pack(">h", 4) + b"\x09consumer" + struct.pack(">i", 4) + b"\x06range\x04m-1"
    data += struct.pack(">q", 1234) + b"\x02\x04m-1\x07static\x07client\x0a/10.0.0.1"
    data += struct.pack(">ii", 60_000, 10_000) + b"\x04sub\x04ass\x00\x00"
    assert decode_group(data) == GroupValue(SNAPSHOT, 1234)


@pytest.mark.parametrize("cut", range(0, 60, 7))
def test_what_is_cut_off_is_refused(cut: int) -> None:
    with pytest.raises(BadRecord):
        decode_group(group_bytes(3)[:cut])
    with pytest.raises(BadRecord):
        decode(KEY_BYTES[: min(cut, len(KEY_BYTES) - 1)], None)


def test_unknown_versions_of_values_are_refused() -> None:
    with pytest.raises(BadRecord, match="newer release"):
        decode(KEY_BYTES, struct.pack(">hqi", 5, 100, 3))
    with pytest.raises(BadRecord, match="newer release"):
        decode_group(struct.pack(">h", 5))
    with pytest.raises(BadRecord, match="no key"):
        decode(None, b"")
