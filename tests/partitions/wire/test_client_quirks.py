"""Frames that real clients send although the schemas do not allow them."""

from __future__ import annotations

import pytest

from partitions import wire

BROKERS_ONLY = bytes.fromhex("0003000c00000003000b71756f726174652d636c690000000000000000")
"""librdkafka 2.16 asking for brokers: a null topic list of four bytes (its issue 5049)."""


def test_librdkafkas_long_null_topic_list_is_taken_as_it_means_it() -> None:
    header, body = wire.decode_request(BROKERS_ONLY)
    assert (header.api_key, header.api_version, header.client_id) == (3, 12, "quorate-cli")
    assert body.topics is None


@pytest.mark.parametrize("tail", [b"\0", b"\0\0", b"\0\0\0\0"])
def test_anything_else_that_follows_a_metadata_request_is_refused(tail: bytes) -> None:
    with pytest.raises(wire.MalformedFrame):
        wire.decode_request(BROKERS_ONLY[:-3] + tail)


def test_other_requests_get_no_such_allowance() -> None:
    frame = b"".join(wire.encode_request(18, 3, 1, "c", wire.messages(18).ApiVersionsRequest()))
    wire.decode_request(frame[4:])
    with pytest.raises(wire.MalformedFrame):
        wire.decode_request(frame[4:] + bytes(3))
