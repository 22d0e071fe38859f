"""The peer wire: what is encoded comes back, and nothing but PeerFault answers damaged bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftlog.codec import decode, encode
from raftlog.errors import PeerFault
from raftlog.framing import PREFIX_BYTES, FrameSplitter
from raftlog.messages import (
    AppendReply,
    AppendRequest,
    Heartbeat,
    HeartbeatReply,
    Message,
    SnapshotChunk,
    SnapshotReply,
    TimeoutNow,
    VoteReply,
    VoteRequest,
)
from raftlog.types import (
    MAX_TERM,
    Buffer,
    Configuration,
    Entry,
    EntryKind,
    LogPosition,
    ReplicaId,
    SnapshotMeta,
)

TERM = st.integers(0, MAX_TERM)
U64 = st.integers(0, 2**63)
INDEX = st.integers(0, 2**62)
REPLICA = st.builds(ReplicaId, st.integers(0, 2**31), st.binary(min_size=16, max_size=16))
REPLICAS = st.lists(REPLICA, max_size=5).map(tuple)
CONFIGURATION = st.builds(Configuration, REPLICAS, REPLICAS, REPLICAS)


@st.composite
def appends(draw: st.DrawFn) -> AppendRequest:
    term, previous = draw(TERM), draw(INDEX)
    older = st.integers(0, term)
    count = draw(st.integers(0, 4))
    entries = tuple(
        Entry(
            previous + 1 + n,
            draw(older),
            draw(st.sampled_from(EntryKind)),
            draw(U64),
            draw(st.integers(0, 2**31)),
            draw(st.binary(max_size=64)),
        )
        for n in range(count)
    )
    return AppendRequest(term, previous, draw(older), draw(U64), entries)


@st.composite
def vote_requests(draw: st.DrawFn) -> VoteRequest:
    term = draw(TERM)
    last_term = draw(st.integers(0, term))
    return VoteRequest(term, draw(U64), last_term, draw(st.booleans()), draw(st.booleans()))


@st.composite
def chunks(draw: st.DrawFn) -> SnapshotChunk:
    term = draw(TERM)
    position = LogPosition(draw(U64), draw(st.integers(0, term)), draw(U64))
    meta = SnapshotMeta(position, draw(CONFIGURATION))
    return SnapshotChunk(term, meta, draw(U64), draw(st.binary(max_size=100)), draw(st.booleans()))


MESSAGE: st.SearchStrategy[Message] = st.one_of(
    appends(),
    vote_requests(),
    chunks(),
    st.builds(VoteReply, TERM, st.booleans(), st.booleans()),
    st.builds(AppendReply, TERM, st.booleans(), U64, U64, TERM),
    st.builds(Heartbeat, TERM, U64, U64),
    st.builds(HeartbeatReply, TERM, U64, U64),
    st.builds(SnapshotReply, TERM, U64, U64, st.booleans()),
    st.builds(TimeoutNow, TERM),
)


def joined(buffers: list[Buffer]) -> bytes:
    return b"".join(bytes(b) for b in buffers)


@given(U64, MESSAGE)
def test_round_trip(group: int, message: Message) -> None:
    frame = joined(encode(group, message))
    assert int.from_bytes(frame[:PREFIX_BYTES], "big") == len(frame) - PREFIX_BYTES
    back = decode(frame[PREFIX_BYTES:])
    assert back == (group, message)
    assert type(back[1]) is type(message)


@given(MESSAGE, st.data())
def test_damaged_frames_raise_only_peer_fault(message: Message, data: st.DataObject) -> None:
    frame = bytearray(joined(encode(7, message))[PREFIX_BYTES:])
    for _ in range(data.draw(st.integers(1, 3))):
        action = data.draw(st.sampled_from(["flip", "cut", "grow"]))
        position = data.draw(st.integers(0, max(0, len(frame) - 1)))
        if action == "flip" and frame:
            frame[position] ^= data.draw(st.integers(1, 255))
        elif action == "cut":
            del frame[position:]
        else:
            frame += data.draw(st.binary(min_size=1, max_size=9))
    try:
        _, back = decode(bytes(frame))
    except PeerFault:
        return
    # What was let through is a message that could have been sent: it survives a round trip.
    assert decode(joined(encode(7, back))[PREFIX_BYTES:])[1] == back


@given(st.binary(max_size=200))
def test_noise_raises_only_peer_fault(noise: bytes) -> None:
    try:
        decode(noise)
    except PeerFault:
        pass


def test_every_truncation_is_refused() -> None:
    entries = tuple(Entry(5 + n, 2, EntryKind.DATA, n, 1, b"abc") for n in range(3))
    frame = joined(encode(1, AppendRequest(2, 4, 2, 3, entries)))[PREFIX_BYTES:]
    for end in range(len(frame)):
        with pytest.raises(PeerFault):
            decode(frame[:end])
    with pytest.raises(PeerFault):
        decode(frame + b"\0")


def test_terms_beyond_the_limit_are_refused() -> None:
    frame = joined(encode(1, TimeoutNow(MAX_TERM + 1)))[PREFIX_BYTES:]
    with pytest.raises(PeerFault, match="term"):
        decode(frame)


def test_an_entry_from_a_later_term_than_its_leader_is_refused() -> None:
    entry = Entry(1, 9, EntryKind.DATA, 0, 1, b"x")
    with pytest.raises(PeerFault):
        decode(joined(encode(1, AppendRequest(2, 0, 0, 0, (entry,))))[PREFIX_BYTES:])


def test_values_that_do_not_fit_are_the_callers_fault() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        encode(1, Heartbeat(-1, 0, 0))


def test_payloads_are_not_copied_by_the_encoder_and_are_copied_by_the_decoder() -> None:
    payload = b"p" * 5000
    entry = Entry(1, 1, EntryKind.DATA, 0, 1, payload)
    buffers = encode(1, AppendRequest(1, 0, 0, 0, (entry, entry._replace(index=2, base=1))))
    assert buffers[1] is payload
    assert buffers[2] is payload
    frame = bytearray(joined(buffers)[PREFIX_BYTES:])
    _, message = decode(frame)
    frame[-1] = 0
    assert isinstance(message, AppendRequest)
    assert message.entries[1].payload == payload


@given(st.lists(MESSAGE, min_size=1, max_size=5), st.integers(1, 50))
def test_splitter_finds_frames_in_any_chunking(messages: list[Message], size: int) -> None:
    stream = b"".join(joined(encode(n, m)) for n, m in enumerate(messages))
    splitter = FrameSplitter()
    found: list[tuple[int, Message]] = []
    for start in range(0, len(stream), size):
        found.extend(decode(frame) for frame in splitter.feed(stream[start : start + size]))
    assert found == list(enumerate(messages))
    assert splitter.buffered == 0


def test_splitter_refuses_a_huge_frame_before_keeping_it() -> None:
    splitter = FrameSplitter(max_frame_bytes=1000)
    with pytest.raises(PeerFault, match="1001"):
        list(splitter.feed((1001).to_bytes(4, "big")))
    with pytest.raises(PeerFault):
        list(FrameSplitter().feed(b"\0\0\0\0"))
