"""The frames between engines that are not one group's messages.

All frames share the head of `raftlog.codec`: u32 length, version byte, type byte. Types below
64 are Raft messages and belong to the codec; the ones here concern the connection as a whole.
"""

from __future__ import annotations

from struct import Struct

from raftlog.codec import VERSION
from raftlog.errors import PeerFault
from raftlog.messages import AppendRequest, Message, SnapshotChunk
from raftlog.types import Buffer

RAFT = 0
"""What `kind` says for every Raft message."""
HEARTBEAT = 64
HEARTBEAT_REPLY = 65
APP = 66
"""Opaque to raftlog: the embedding application's own traffic."""
OFFLINE = 67
"""The sender's groups that are out of service, see `heartbeats.encode_offline`."""

_HEAD = Struct(">IBB")
_FIRST_OWN_TYPE = 64


def header(kind: int, body: list[Buffer]) -> bytes:
    """The head of a frame whose body is `body`."""
    return _HEAD.pack(2 + sum(map(len, body)), VERSION, kind)


def is_bulk(message: Message) -> bool:
    """True for a message that carries entries or a snapshot: control must not queue behind it."""
    return type(message) is SnapshotChunk or (
        type(message) is AppendRequest and bool(message.entries)
    )


def kind(frame: memoryview) -> int:
    """What a received frame (without its length) is; PeerFault for an unknown type."""
    if len(frame) < 2:
        raise PeerFault(f"frame of {len(frame)} bytes is shorter than its header")
    type_ = frame[1]
    if type_ < _FIRST_OWN_TYPE:
        return RAFT
    if frame[0] != VERSION or type_ > OFFLINE:
        raise PeerFault(f"frame of version {frame[0]} and type {type_}; this node knows neither")
    return type_


def body(frame: memoryview) -> memoryview:
    """What follows the version and type bytes."""
    return frame[2:]
