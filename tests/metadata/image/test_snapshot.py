from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metadata import records as r
from metadata.codec import ENTRY_BYTES_MAX, encode_entry
from metadata.errors import ImageError, RecordError, UnknownRecord
from metadata.image import EMPTY_IMAGE, decode_snapshot, difference, encode_snapshot, state_hash
from metadata.image.snapshot import MAGIC
from metadata.machine import MetadataMachine
from raftlog.types import Entry, EntryKind
from tests.metadata.histories import History, view_of
from tests.metadata.samples import after, cluster, uuid


@given(st.integers(0, 2**32))
@settings(max_examples=100, deadline=None)
def test_a_snapshot_is_the_image(seed: int) -> None:
    history = History(seed)
    image = after(EMPTY_IMAGE, history.records(60))
    data = encode_snapshot(image)
    copy = decode_snapshot(data)
    assert copy.position == image.position
    assert view_of(copy) == view_of(image)
    assert state_hash(copy) == state_hash(image)
    assert not difference(image, copy)
    assert encode_snapshot(copy) == data
    more = history.records(20)
    assert view_of(after(copy, more)) == view_of(after(image, more))


@given(st.integers(0, 2**32))
@settings(max_examples=50, deadline=None)
def test_different_states_have_different_hashes(seed: int) -> None:
    history = History(seed)
    image = after(EMPTY_IMAGE, history.records(30))
    new = after(image, history.records(1))
    assert (view_of(new) == view_of(image)) == (state_hash(new) == state_hash(image))


def test_the_order_of_history_does_not_show() -> None:
    one: list[r.Record] = [r.TopicCreated(uuid(1), "a"), r.TopicCreated(uuid(2), "b")]
    two: list[r.Record] = [
        r.ConfigSet(r.ResourceType.BROKER, "", key, "1") for key in ("log.roll.ms", "a.b")
    ]
    forth = after(cluster([None]), [*one, *two])
    back = after(cluster([None]), [*reversed(two), *reversed(one)])
    assert list(forth.topics) != list(back.topics)
    assert encode_snapshot(forth) == encode_snapshot(back)


def test_the_empty_image_has_a_snapshot() -> None:
    assert view_of(decode_snapshot(encode_snapshot(EMPTY_IMAGE))) == view_of(EMPTY_IMAGE)


def test_a_large_image_is_cut_into_frames() -> None:
    image = cluster([None])
    for first in range(0, 240, 60):
        configs: list[r.Record] = [
            r.ConfigSet(r.ResourceType.BROKER, "", f"k{n}", "9" * 32_000)
            for n in range(first, first + 60)
        ]
        topics: list[r.Record] = [
            r.TopicCreated(uuid(n + 1), f"t{n}") for n in range(first * 10, first * 10 + 600)
        ]
        image = after(image, configs + topics)
    data = encode_snapshot(image)
    assert len(data) > 3 * ENTRY_BYTES_MAX
    assert state_hash(decode_snapshot(data)) == state_hash(image)


@given(st.integers(0, 2**32), st.integers(0, 10**6), st.integers(1, 255))
@settings(max_examples=100, deadline=None)
def test_damaged_snapshots_are_refused(seed: int, at: int, flip: int) -> None:
    data = bytearray(encode_snapshot(after(EMPTY_IMAGE, History(seed).records(10))))
    at %= len(data)
    data[at] ^= flip
    try:
        copy = decode_snapshot(bytes(data))
    except (RecordError, ImageError):
        return
    pytest.fail(f"byte {at} changed, and it became {copy}")


@given(st.integers(0, 10**6))
@settings(max_examples=100, deadline=None)
def test_truncated_snapshots_are_refused(length: int) -> None:
    data = encode_snapshot(after(EMPTY_IMAGE, History(1).records(10)))
    with pytest.raises(RecordError):
        decode_snapshot(data[: length % len(data)])


def test_trailing_bytes_and_strange_versions_are_refused() -> None:
    data = encode_snapshot(EMPTY_IMAGE)
    for bad in (data + b"\x00", data + b"\x00\x00\x00\x00", b"", b"QRMJ" + data[4:], MAGIC):
        with pytest.raises(RecordError):
            decode_snapshot(bad)
    newer = bytearray(data)
    assert newer[9] == 1
    newer[9] = 2
    with pytest.raises(UnknownRecord, match="version 2"):
        decode_snapshot(bytes(newer))


def entry(index: int, payload: bytes, kind: EntryKind = EntryKind.DATA) -> Entry:
    span = 1 if kind is EntryKind.DATA else 0
    return Entry(index, 3, kind, 10, span, payload)


def test_the_machine_applies_entries_in_order_and_installs_snapshots() -> None:
    machine = MetadataMachine()
    assert not machine.apply(entry(1, b"", EntryKind.NOOP))
    delta = machine.apply(entry(2, encode_entry([r.ClusterCreated("c", 1)])))
    assert delta.cluster
    assert machine.image.position == (2, 3, 11)
    for index in (2, 4):
        with pytest.raises(ImageError, match="does not follow"):
            machine.apply(entry(index, encode_entry([r.FeatureLevelSet(2)])))
    with pytest.raises(RecordError):
        machine.apply(entry(3, b"nonsense"))
    assert machine.image.position.index == 2

    other = MetadataMachine()
    assert other.install(machine.snapshot()).cluster
    assert other.image == machine.image
    machine.apply(entry(3, encode_entry([r.FeatureLevelSet(2)])))
    with pytest.raises(ImageError, match="older"):
        machine.install(other.snapshot())
    assert other.install(machine.snapshot()).cluster
    assert not other.install(machine.snapshot())
