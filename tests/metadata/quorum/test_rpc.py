"""Calls between brokers: hostile frames close the connection and reach no handler."""

from __future__ import annotations

from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metadata.quorum.rpc import FRAME_BYTES_MAX, NOTICE, REPLY, REQUEST, Answer, OnAnswer, Rpc
from raftlog.errors import PeerFault
from raftlog.testing.reactor import VirtualReactor
from raftlog.types import Buffer, ReplicaId

ONE, TWO = ReplicaId(1, b"1" * 16), ReplicaId(2, b"2" * 16)


class Pair:
    """Two Rpcs whose frames are delivered at once."""

    def __init__(self) -> None:
        process = VirtualReactor(1).process("pair")
        self.sent: list[bytes] = []
        self.served: list[Any] = []
        self.heard: list[Any] = []
        self.one = Rpc(process, ONE, lambda node, body: self._carry(self.two, ONE, body))
        self.two = Rpc(process, TWO, lambda node, body: self._carry(self.one, TWO, body))
        self.two.serve("double", self._double)
        self.two.listen("news", lambda sender, body: self.heard.append(body))

    def _carry(self, receiver: Rpc, sender: ReplicaId, body: list[Buffer]) -> None:
        frame = b"".join(bytes(part) for part in body)
        self.sent.append(frame)
        receiver.receive(sender, memoryview(frame))

    def _double(self, sender: ReplicaId, arguments: Any, on_answer: OnAnswer) -> None:
        self.served.append(arguments)
        on_answer(Answer(arguments["n"] * 2))


def call(pair: Pair, operation: str, arguments: Any) -> list[Answer]:
    answers: list[Answer] = []
    pair.one.call(2, operation, arguments, answers.append, 1_000_000)
    return answers


def test_calls_and_notices_arrive() -> None:
    pair = Pair()
    assert call(pair, "double", {"n": 4}) == [Answer(8)]
    assert call(pair, "nothing", {})[0].error == "UNSUPPORTED_VERSION"
    pair.one.notify(2, "news", [[1, 2, 3]])
    assert pair.heard == [[[1, 2, 3]]]


def test_a_notice_of_a_later_release_is_passed_over() -> None:
    pair = Pair()
    pair.two.receive(ONE, frame(NOTICE, ["other", 1]))
    assert not pair.heard
    assert not pair.sent


def frame(channel: int, fields: Any) -> memoryview:
    return memoryview(bytes([channel]) + cbor2.dumps(fields))


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(memoryview(b""), id="empty"),
        pytest.param(memoryview(bytes([REQUEST])), id="no body"),
        pytest.param(frame(REQUEST, [1, "double", {"n": 1.5}]), id="float"),
        pytest.param(frame(REQUEST, [1, "double", {"n": 2**80}]), id="bignum"),
        pytest.param(frame(REQUEST, [1, "double", {"n": {1: 2}}]), id="key that is not text"),
        pytest.param(frame(REQUEST, [1, "double", cbor2.CBORTag(30, [1, 2])]), id="tag"),
        pytest.param(frame(REQUEST, [1, ["double"], {}]), id="operation is a list"),
        pytest.param(frame(REQUEST, ["1", "double", {}]), id="number is text"),
        pytest.param(frame(REQUEST, [True, "double", {}]), id="number is a boolean"),
        pytest.param(frame(REQUEST, [1, "double"]), id="no arguments"),
        pytest.param(frame(REQUEST, {"a": 1}), id="a map"),
        pytest.param(frame(REQUEST, 7), id="a number"),
        pytest.param(frame(NOTICE, [["news"], 1]), id="topic cannot be hashed"),
        pytest.param(frame(REPLY, [1, None, 7, ""]), id="error is a number"),
        pytest.param(frame(REPLY, [1, None, None, None]), id="message is null"),
        pytest.param(frame(99, [1, "double", {}]), id="unknown channel"),
        pytest.param(memoryview(bytes([REQUEST]) + b"\x81" * 2000 + b"\x80"), id="deep"),
        pytest.param(memoryview(b"\x01" + b"\x80" * FRAME_BYTES_MAX), id="too long"),
    ],
)
def test_what_no_rpc_sends_is_a_peer_fault(data: memoryview) -> None:
    pair = Pair()
    with pytest.raises(PeerFault):
        pair.two.receive(ONE, data)
    assert not pair.served
    assert not pair.sent


@given(st.binary(max_size=80))
def test_any_bytes_are_handled_or_a_peer_fault(data: bytes) -> None:
    pair = Pair()
    try:
        pair.two.receive(ONE, memoryview(data))
    except PeerFault:
        assert not pair.served


def test_a_reply_from_another_node_than_the_one_asked_is_not_an_answer() -> None:
    pair = Pair()
    answers: list[Answer] = []
    pair.two = Rpc(VirtualReactor(2).process("silent"), TWO, lambda node, body: None)
    pair.two.serve("double", lambda sender, arguments, on_answer: None)
    pair.one.call(2, "double", {"n": 1}, answers.append, 1_000_000)
    three = ReplicaId(3, b"3" * 16)
    pair.one.receive(three, frame(REPLY, [1, 99, None, ""]))
    assert not answers
    pair.one.receive(TWO, frame(REPLY, [1, 2, None, ""]))
    assert answers == [Answer(2)]
