"""The hello: what a stranger may send, and what is said about it."""

from __future__ import annotations

from struct import pack
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftlog.engine.handshake import (
    CONTROL,
    HELLO_BYTES_MAX,
    MAGIC,
    Hello,
    OtherSide,
    check_hello,
    decode_hello,
    encode_hello,
    hello_bytes,
    other_voters,
)
from raftlog.errors import PeerFault
from raftlog.types import ReplicaId

HELLO = Hello("cluster", ReplicaId(3, b"d" * 16), 7, CONTROL)


def body(**changes: Any) -> bytes:
    fields = cbor2.loads(encode_hello(HELLO)[4 + len(MAGIC) :])
    fields.update(changes)
    return MAGIC + cbor2.dumps(fields)


def test_round_trip_and_unknown_fields_of_later_releases() -> None:
    frame = encode_hello(HELLO)
    assert hello_bytes(frame[:4]) == len(frame) - 4
    assert decode_hello(frame[4:]) == HELLO
    assert decode_hello(body(later=[1, 2])) == HELLO
    many = HELLO._replace(voters=tuple([ReplicaId(n, b"v" * 16) for n in range(100)]))
    assert decode_hello(encode_hello(many)[4:]) == many


def test_a_hello_of_a_release_that_does_not_tell_its_voters() -> None:
    fields = cbor2.loads(body()[len(MAGIC) :])
    del fields["voters"]
    assert decode_hello(MAGIC + cbor2.dumps(fields)) == HELLO


def test_a_quorum_that_does_not_exist_is_named() -> None:
    one, two, new = (ReplicaId(node, bytes([fill]) * 16) for node, fill in ((1, 1), (2, 2), (2, 9)))
    theirs = HELLO._replace(voters=(one, two))
    assert other_voters(HELLO._replace(voters=(two, one)), theirs) is None
    assert other_voters(HELLO._replace(voters=(one, new)), HELLO) is None, "it does not tell"
    sentence = other_voters(HELLO._replace(voters=(one, new)), theirs)
    assert sentence is not None
    assert f"2:{'09' * 16}" in sentence
    assert f"node 3 (1:{'01' * 16}, 2:{'02' * 16})" in sentence


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(body(incarnation=1.5), id="float"),
        pytest.param(body(incarnation=2**70), id="bignum"),
        pytest.param(body(incarnation=True), id="boolean for a number"),
        pytest.param(body(node=-1), id="negative node"),
        pytest.param(body(node=2**31), id="node beyond int32"),
        pytest.param(body(directory=b"short"), id="short directory"),
        pytest.param(body(versions=7), id="versions not a pair"),
        pytest.param(body(versions=[1, 2, 3]), id="three versions"),
        pytest.param(body(cluster=None), id="no cluster"),
        pytest.param(body(voters=[1]), id="voters not bytes"),
        pytest.param(body(voters=b"x" * 30), id="half a voter"),
        pytest.param(body(abandoned=b"x" * 30), id="half an abandoned replica"),
        pytest.param(body(recovery=b"1"), id="recovery not a text"),
        pytest.param(body(recovery="1" * 65), id="long recovery"),
        pytest.param(body(extra=[[[[[[1]]]]]]), id="deep"),
        pytest.param(body(extra=[0] * 100), id="many values"),
        pytest.param(MAGIC + cbor2.dumps([1]), id="a list"),
        pytest.param(MAGIC + cbor2.dumps({}), id="empty map"),
        pytest.param(MAGIC, id="nothing"),
        pytest.param(MAGIC + b"\xbf\x61a\x01\xff", id="indefinite map"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", id="not ours"),
    ],
)
def test_other_hellos_are_peer_faults(data: bytes) -> None:
    with pytest.raises(PeerFault):
        decode_hello(data)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_hello_or_a_peer_fault(data: bytes) -> None:
    with pytest.raises(PeerFault):
        decode_hello(MAGIC + data)


@pytest.mark.parametrize("length", [0, len(MAGIC), HELLO_BYTES_MAX + 1, 2**32 - 1])
def test_lengths_no_hello_has(length: int) -> None:
    with pytest.raises(PeerFault, match="peer port"):
        hello_bytes(pack(">I", length))


def test_strangers_are_told_apart() -> None:
    mine = Hello("cluster", ReplicaId(1, b"m" * 16), 1, CONTROL)
    check_hello(mine, HELLO, 3)
    for theirs, dialled, text in (
        (HELLO._replace(cluster_id="other"), 3, "formatted for another cluster"),
        (HELLO._replace(replica=ReplicaId(1, b"x" * 16)), None, "uses node.id 1 too"),
        (HELLO, 2, "dialled node 2 but node 3 answered"),
        (HELLO._replace(lane=9), None, "unknown lane"),
        (HELLO._replace(versions=(2, 3)), None, "upgrade one release at a time"),
    ):
        with pytest.raises(PeerFault, match=text):
            check_hello(mine, theirs, dialled)


def test_the_two_sides_of_a_forced_recovery_never_talk() -> None:
    mine = Hello("cluster", ReplicaId(1, b"m" * 16), 1, CONTROL)
    recovered = mine._replace(recovery="1.0011223344556677", abandoned=(HELLO.replica,))
    assert decode_hello(encode_hello(recovered)[4:]) == recovered
    for left, right, text in (
        (recovered, HELLO, "left for lost: it can never rejoin"),
        (HELLO, recovered, "STOP THIS BROKER"),
        (recovered._replace(abandoned=()), HELLO, "before any forced recovery"),
        (HELLO, recovered._replace(abandoned=()), "after recovery 1.0011223344556677"),
        (HELLO._replace(recovery="1.8899aabbccddeeff"), recovered, "must not be mixed|never"),
    ):
        with pytest.raises(OtherSide, match=text):
            check_hello(left, right, None)
    joined = HELLO._replace(replica=ReplicaId(3, b"n" * 16), recovery=recovered.recovery)
    check_hello(recovered, joined, None)
    check_hello(joined, recovered, None)


def test_a_directory_that_was_formatted_again_is_refused_and_told() -> None:
    before, after = b"a" * 16, b"b" * 16
    wiped = HELLO._replace(replica=ReplicaId(2, b"2" * 16), formatting=after)
    knows = HELLO._replace(
        replica=ReplicaId(3, b"3" * 16), formatting=before, met=(b"2" * 16, before)
    )
    with pytest.raises(OtherSide, match="formatted again since it was met"):
        check_hello(knows, wiped, None)
    with pytest.raises(OtherSide, match="before it was formatted again"):
        check_hello(wiped, decode_hello(encode_hello(knows)[4:]), None)
    check_hello(knows, wiped._replace(formatting=before), None)
    check_hello(knows, wiped._replace(formatting=b""), None)  # of a former release
    other = wiped._replace(replica=ReplicaId(2, b"9" * 16))
    check_hello(knows, other, None)
    check_hello(other, knows, None)
