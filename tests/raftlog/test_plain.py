"""Plain CBOR: what is refused is refused before anything is built, and the rest is unchanged."""

from __future__ import annotations

import tracemalloc
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftlog.plain import NotPlain, decode_plain

leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.text(max_size=40)
    | st.binary(max_size=300)
)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def decode(data: bytes, items_max: int = 1000, depth_max: int = 20) -> Any:
    return decode_plain(data, items_max=items_max, depth_max=depth_max)


@given(values)
def test_plain_values_come_back(value: Any) -> None:
    assert decode(cbor2.dumps(value)) == value


@given(st.binary(max_size=60))
def test_any_bytes_are_a_plain_value_or_refused(data: bytes) -> None:
    try:
        value = decode(data)
    except NotPlain:
        return
    assert decode(cbor2.dumps(value)) == value


@given(values, st.integers(0, 400))
def test_cut_and_extended_bytes_are_refused(value: Any, cut: int) -> None:
    data = cbor2.dumps(value)
    with pytest.raises(NotPlain, match="follow"):
        decode(data + b"\x00")
    with pytest.raises(NotPlain):
        decode(data[: min(cut, len(data) - 1)])


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(cbor2.dumps(1.5), id="float"),
        pytest.param(cbor2.dumps([{"a": 1.0}]), id="float inside"),
        pytest.param(cbor2.dumps(2**64), id="bignum"),
        pytest.param(cbor2.dumps(-(2**64)), id="negative bignum"),
        pytest.param(cbor2.dumps(2**63), id="unsigned beyond int64"),
        pytest.param(cbor2.dumps(cbor2.CBORTag(0, "2024-01-01T00:00:00Z")), id="date"),
        pytest.param(cbor2.dumps(cbor2.undefined), id="undefined"),
        pytest.param(cbor2.dumps(cbor2.CBORSimpleValue(99)), id="simple value"),
        pytest.param(cbor2.dumps({1: 2}), id="number as key"),
        pytest.param(cbor2.dumps({b"a": 2}), id="bytes as key"),
        pytest.param(bytes.fromhex("a2616101616102"), id="key twice"),
        pytest.param(bytes.fromhex("9f01ff"), id="indefinite list"),
        pytest.param(bytes.fromhex("5f4101ff"), id="indefinite bytes"),
        pytest.param(bytes.fromhex("62ff28"), id="text that is not UTF-8"),
        pytest.param(bytes.fromhex("1c"), id="reserved length"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_what_is_not_plain_is_refused(data: bytes) -> None:
    with pytest.raises(NotPlain):
        decode(data)


def test_nesting_and_numbers_of_values_are_bounded() -> None:
    assert decode(b"\x81" * 4 + b"\x80", depth_max=5) == [[[[[]]]]]
    with pytest.raises(NotPlain, match="too deep"):
        decode(b"\x81" * 5 + b"\x80", depth_max=5)
    assert decode(cbor2.dumps([0] * 9), items_max=10) == [0] * 9
    with pytest.raises(NotPlain, match="too many"):
        decode(cbor2.dumps([0] * 10), items_max=10)


@pytest.mark.parametrize("head", [b"\x9b", b"\xbb", b"\x5b", b"\x7b"])
def test_lengths_beyond_the_end_and_bombs_allocate_nothing(head: bytes) -> None:
    bomb = b"\x9a" + (500_000).to_bytes(4, "big") + b"\x80" * 500_000
    tracemalloc.start()
    try:
        for data in (head + b"\x00\x00\x00\xff" * 2, bomb):
            with pytest.raises(NotPlain):
                decode(data)
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()
