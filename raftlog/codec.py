"""The peer wire: messages to frames and back. Sans-I/O.

A frame is a u32 length (of what follows it), one byte of version, one of message type, the
u64 group, and the message's own fields; all integers are big-endian. An append carries a table
of its entries' headers first and their payloads after it, back to back, so that a sender passes
payload buffers to `sendmsg` as they are and a receiver finds them by adding up lengths.

Rules:
- What `decode` gets comes from the network: every count and length is checked against the
  bytes that are there, trailing bytes are refused, and anything wrong raises PeerFault.
- Payloads are copied out of the frame (`bytes`): they outlive it.
- A value that does not fit its field is the caller's fault: ValueError from `encode`.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from struct import error as StructError
from typing import Final, NoReturn

from raftlog.core.membership import configuration_from_peer, encode_configuration
from raftlog.errors import PeerFault
from raftlog.framing import HEADER_BYTES, PREFIX, PREFIX_BYTES
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
    Entry,
    EntryKind,
    LogPosition,
    SnapshotMeta,
)

VERSION: Final = 1
MAX_ENTRIES: Final = 65_536
"""Entries in one append."""

(
    _VOTE_REQUEST,
    _VOTE_REPLY,
    _APPEND_REQUEST,
    _APPEND_REPLY,
    _HEARTBEAT,
    _HEARTBEAT_REPLY,
    _SNAPSHOT_CHUNK,
    _SNAPSHOT_REPLY,
    _TIMEOUT_NOW,
) = range(1, 10)

_HEAD = ">BBQ"  # version, type, group
_VOTE_REQUEST_BODY = Struct(_HEAD + "IQIB")
_VOTE_REPLY_BODY = Struct(_HEAD + "IB")
_APPEND_REQUEST_BODY = Struct(_HEAD + "IQIQI")
_APPEND_REPLY_BODY = Struct(_HEAD + "IBQQI")
_HEARTBEAT_BODY = Struct(_HEAD + "IQQ")
_HEARTBEAT_REPLY_BODY = Struct(_HEAD + "IQQ")
_SNAPSHOT_CHUNK_BODY = Struct(_HEAD + "IQIQQBI")
_SNAPSHOT_REPLY_BODY = Struct(_HEAD + "IQQB")
_TIMEOUT_NOW_BODY = Struct(_HEAD + "I")
_ENTRY = Struct(">IBQII")  # term, kind, base, span, payload length

_FRAMED_APPEND = Struct(">I" + _APPEND_REQUEST_BODY.format[1:])
_FRAMED_APPEND_ONE = Struct(_FRAMED_APPEND.format + _ENTRY.format[1:])
_KINDS = tuple(EntryKind)
_new_tuple = tuple.__new__


def encode(group: int, message: Message) -> list[Buffer]:
    """One frame, length prefix included, as buffers to be sent one after another.

    The entries' payloads and a snapshot's data are passed on as they are, without a copy.
    """
    try:
        return _ENCODERS[type(message)](group, message)
    except (StructError, OverflowError) as error:
        raise ValueError(f"{type(message).__name__} does not fit the wire: {error}") from error


def decode(frame: Buffer) -> tuple[int, Message]:
    """(group, message) of one frame, given without its length prefix.

    Raises PeerFault for anything that `encode` could not have written.
    """
    view = frame if type(frame) is memoryview else memoryview(frame)
    if len(view) < HEADER_BYTES:
        raise PeerFault(f"frame of {len(view)} bytes is shorter than its header")
    if view[0] != VERSION:
        raise PeerFault(f"frame of version {view[0]}; this node speaks {VERSION}")
    decoder = _DECODERS.get(view[1])
    if decoder is None:
        raise PeerFault(f"unknown message type {view[1]}")
    try:
        return decoder(view)
    except StructError as error:
        raise PeerFault(f"message type {view[1]} is cut short: {error}") from error


# ----------------------------------------------------------------------------------- encoding


def _append_request(group: int, message: AppendRequest) -> list[Buffer]:
    term, previous, previous_term, commit, entries = message
    count = len(entries)
    if count == 1:
        _, entry_term, kind, base, span, payload = entries[0]
        size = len(payload)
        head = _FRAMED_APPEND_ONE.pack(
            _FRAMED_APPEND_ONE.size - PREFIX_BYTES + size,
            VERSION,
            _APPEND_REQUEST,
            group,
            term,
            previous,
            previous_term,
            commit,
            1,
            entry_term,
            kind,
            base,
            span,
            size,
        )
        return [head, payload]
    if count > MAX_ENTRIES:
        raise ValueError(f"{count} entries in one append; {MAX_ENTRIES} are allowed")
    pack = _ENTRY.pack
    table = [pack(e.term, e.kind, e.base, e.span, len(e.payload)) for e in entries]
    payloads: list[Buffer] = [e.payload for e in entries if e.payload]
    size = _APPEND_REQUEST_BODY.size + count * _ENTRY.size + sum(map(len, payloads))
    head = _FRAMED_APPEND.pack(
        size,
        VERSION,
        _APPEND_REQUEST,
        group,
        term,
        previous,
        previous_term,
        commit,
        count,
    )
    return [head + b"".join(table), *payloads]


def _snapshot_chunk(group: int, message: SnapshotChunk) -> list[Buffer]:
    term, meta, cursor, data, done = message
    configuration = encode_configuration(meta.configuration)
    index, position_term, offset = meta.position
    head = _SNAPSHOT_CHUNK_BODY.pack(
        VERSION,
        _SNAPSHOT_CHUNK,
        group,
        term,
        index,
        position_term,
        offset,
        cursor,
        done,
        len(configuration),
    )
    size = len(head) + len(configuration) + len(data)
    return [PREFIX.pack(size) + head + configuration, data]


def _fixed(type_byte: int, body: Struct) -> Callable[[int, tuple[int, ...]], list[Buffer]]:
    """An encoder for a message whose fields are all integers, in the order of its body."""
    pack = Struct(">I" + body.format[1:]).pack
    size = body.size

    def write(group: int, message: tuple[int, ...]) -> list[Buffer]:
        return [pack(size, VERSION, type_byte, group, *message)]

    return write


def _vote_request(group: int, message: VoteRequest) -> list[Buffer]:
    flags = message.pre_vote | message.forced << 1
    return _write_vote_request(group, (*message[:3], flags))


def _vote_reply(group: int, message: VoteReply) -> list[Buffer]:
    return _write_vote_reply(group, (message.term, message.granted | message.pre_vote << 1))


_write_vote_request = _fixed(_VOTE_REQUEST, _VOTE_REQUEST_BODY)
_write_vote_reply = _fixed(_VOTE_REPLY, _VOTE_REPLY_BODY)

_ENCODERS: Final[dict[type, Callable[..., list[Buffer]]]] = {
    AppendRequest: _append_request,
    AppendReply: _fixed(_APPEND_REPLY, _APPEND_REPLY_BODY),
    Heartbeat: _fixed(_HEARTBEAT, _HEARTBEAT_BODY),
    HeartbeatReply: _fixed(_HEARTBEAT_REPLY, _HEARTBEAT_REPLY_BODY),
    VoteRequest: _vote_request,
    VoteReply: _vote_reply,
    SnapshotChunk: _snapshot_chunk,
    SnapshotReply: _fixed(_SNAPSHOT_REPLY, _SNAPSHOT_REPLY_BODY),
    TimeoutNow: _fixed(_TIMEOUT_NOW, _TIMEOUT_NOW_BODY),
}


# ----------------------------------------------------------------------------------- decoding


def _read_append_request(view: memoryview) -> tuple[int, Message]:
    _, _, group, term, previous, previous_term, commit, count = _APPEND_REQUEST_BODY.unpack_from(
        view
    )
    if term > MAX_TERM or previous_term > term:
        _bad_term(max(term, previous_term))
    start = _APPEND_REQUEST_BODY.size
    payload_at = start + count * _ENTRY.size
    end = len(view)
    if count > MAX_ENTRIES or payload_at > end:
        raise PeerFault(f"append announces {count} entries in {end} bytes")
    entries = []
    index = previous
    for position in range(start, payload_at, _ENTRY.size):
        entry_term, kind, base, span, size = _ENTRY.unpack_from(view, position)
        next_at = payload_at + size
        if next_at > end or kind > 3 or entry_term > term:
            raise PeerFault(f"entry {index + 1}: kind {kind}, term {entry_term}, {size} bytes")
        index += 1
        payload = bytes(view[payload_at:next_at])
        fields = (index, entry_term, _KINDS[kind], base, span, payload)
        entries.append(_new_tuple(Entry, fields))
        payload_at = next_at
    if payload_at != end:
        raise PeerFault(f"{end - payload_at} bytes after an append's last payload")
    return group, AppendRequest(term, previous, previous_term, commit, tuple(entries))


def _read_append_reply(view: memoryview) -> tuple[int, Message]:
    group, (term, accepted, index, hint_index, hint_term) = _exact(view, _APPEND_REPLY_BODY)
    if hint_term > MAX_TERM:
        _bad_term(hint_term)
    return group, AppendReply(term, _flag(accepted), index, hint_index, hint_term)


def _read_heartbeat(view: memoryview) -> tuple[int, Message]:
    group, fields = _exact(view, _HEARTBEAT_BODY)
    return group, Heartbeat(*fields)


def _read_heartbeat_reply(view: memoryview) -> tuple[int, Message]:
    group, fields = _exact(view, _HEARTBEAT_REPLY_BODY)
    return group, HeartbeatReply(*fields)


def _read_vote_request(view: memoryview) -> tuple[int, Message]:
    group, (term, last_index, last_term, flags) = _exact(view, _VOTE_REQUEST_BODY)
    if flags > 3 or last_term > term:
        raise PeerFault(f"vote request with flags {flags}, last term {last_term} of term {term}")
    return group, VoteRequest(term, last_index, last_term, bool(flags & 1), bool(flags & 2))


def _read_vote_reply(view: memoryview) -> tuple[int, Message]:
    group, (term, flags) = _exact(view, _VOTE_REPLY_BODY)
    if flags > 3:
        raise PeerFault(f"vote reply with flags {flags}")
    return group, VoteReply(term, bool(flags & 1), bool(flags & 2))


def _read_snapshot_chunk(view: memoryview) -> tuple[int, Message]:
    fields = _SNAPSHOT_CHUNK_BODY.unpack_from(view)
    group, term, index, position_term, offset, cursor, done, size = fields[2:]
    if term > MAX_TERM or position_term > term:
        _bad_term(max(term, position_term))
    start = _SNAPSHOT_CHUNK_BODY.size
    end = start + size
    if end > len(view):
        raise PeerFault(f"snapshot announces a configuration of {size} bytes beyond the frame")
    configuration = configuration_from_peer(index, bytes(view[start:end]))
    meta = SnapshotMeta(LogPosition(index, position_term, offset), configuration)
    return group, SnapshotChunk(term, meta, cursor, bytes(view[end:]), _flag(done))


def _read_snapshot_reply(view: memoryview) -> tuple[int, Message]:
    group, (term, index, cursor, installed) = _exact(view, _SNAPSHOT_REPLY_BODY)
    return group, SnapshotReply(term, index, cursor, _flag(installed))


def _read_timeout_now(view: memoryview) -> tuple[int, Message]:
    group, (term,) = _exact(view, _TIMEOUT_NOW_BODY)
    return group, TimeoutNow(term)


_DECODERS: Final[dict[int, Callable[[memoryview], tuple[int, Message]]]] = {
    _VOTE_REQUEST: _read_vote_request,
    _VOTE_REPLY: _read_vote_reply,
    _APPEND_REQUEST: _read_append_request,
    _APPEND_REPLY: _read_append_reply,
    _HEARTBEAT: _read_heartbeat,
    _HEARTBEAT_REPLY: _read_heartbeat_reply,
    _SNAPSHOT_CHUNK: _read_snapshot_chunk,
    _SNAPSHOT_REPLY: _read_snapshot_reply,
    _TIMEOUT_NOW: _read_timeout_now,
}


def _exact(view: memoryview, body: Struct) -> tuple[int, tuple[int, ...]]:
    """(group, own fields) of a message of fixed size whose first own field is the term."""
    if len(view) != body.size:
        raise PeerFault(f"message type {view[1]} of {len(view)} bytes, not {body.size}")
    _, _, group, *fields = body.unpack(view)
    if fields[0] > MAX_TERM:
        _bad_term(fields[0])
    return group, tuple(fields)


def _flag(value: int) -> bool:
    if value > 1:
        raise PeerFault(f"boolean field holds {value}")
    return value == 1


def _bad_term(term: int) -> NoReturn:
    raise PeerFault(f"term {term} is above its message's or the largest allowed, {MAX_TERM}")
