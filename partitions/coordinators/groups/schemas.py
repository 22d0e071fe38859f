"""Records of `__consumer_offsets` as bytes: Kafka's own schemas, so that Kafka's tools read them.

Keys begin with an int16 that says what they are (0 and 1: a committed offset, 2: a group),
values with the version of their layout. A value that is null takes the key's state away. What
is written is version 4 of an offset, which has room for the topic's id, and version 3 of a group:
its version 4 differs only in being flexible.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from struct import error as StructError
from typing import NamedTuple, TypeVar

from partitions.coordinators.groups.answers import GroupSnapshot, MemberSnapshot

T = TypeVar("T")

OFFSET_KEYS, GROUP_KEY = (0, 1), 2
"""Versions of keys. Others belong to newer kinds of groups and are passed over."""
FLEXIBLE = 4
_OFFSET_KEY_WRITTEN, _OFFSET_WRITTEN, _GROUP_WRITTEN = 1, 4, 3
_WITH_EXPIRY = 1
"""The one version of an offset's value that has a time of expiry (and no leader epoch)."""
_INT16, _INT32, _INT64 = Struct(">h"), Struct(">i"), Struct(">q")
_OFFSET_HEAD = Struct(">hqi")
_NO_TIME = -1
_STRING_BYTES_MAX = 32_767
_TOPIC_ID_TAG, _TOPIC_ID_BYTES = 0, 16
_TOPIC_ID_HEAD = bytes([1, _TOPIC_ID_TAG, _TOPIC_ID_BYTES])
"""Before the id, where it is the only tagged field."""
_OFFSET_KIND, _GROUP_KIND = _INT16.pack(_OFFSET_KEY_WRITTEN), _INT16.pack(GROUP_KEY)
_KEYS_WRITTEN = {_OFFSET_KIND: 2, _GROUP_KIND: 1}
"""How many strings follow each."""
_NO_TOPIC_ID = bytes(_TOPIC_ID_BYTES)
"""Kafka's way of not saying."""
_OFFSET_VALUE = _INT16.pack(_OFFSET_WRITTEN)


class BadRecord(Exception):
    """A record that this release cannot read: the text says which part."""


class OffsetKey(NamedTuple):
    """Whose position, and in what."""

    group: str
    topic: str
    partition: int


class GroupKey(NamedTuple):
    """The members of a group."""

    group: str


class CommittedOffset(NamedTuple):
    """A group's position in one partition."""

    offset: int
    leader_epoch: int
    """Of the last record consumed; -1: not said."""
    metadata: str
    """Whatever the client attached."""
    commit_ms: int
    """Wall clock at the commit."""
    expire_ms: int = _NO_TIME
    """Wall clock from which on it may go (old clients chose it); -1: by the broker's retention."""
    topic_id: bytes = b""
    """Of the topic that it is a position in; empty: not said, so its name alone tells. The
    layout for `expire_ms` has no room for it."""


class GroupValue(NamedTuple):
    """A group's members and when its state last changed."""

    snapshot: GroupSnapshot
    since_ms: int
    """Wall clock; -1: not known."""


Key = OffsetKey | GroupKey


class Change(NamedTuple):
    """One record: from now on `key` has `value`; None takes it away.

    A group's value stays encoded: it is read only when the group's members are needed.
    """

    key: Key
    value: CommittedOffset | bytes | None


# --- writing


def encode_key(key: Key) -> bytes:
    """The record's key."""
    if type(key) is OffsetKey:
        head = _INT16.pack(_OFFSET_KEY_WRITTEN) + _string(key.group) + _string(key.topic)
        return head + _INT32.pack(key.partition)
    return _INT16.pack(GROUP_KEY) + _string(key.group)


def encode_value(value: CommittedOffset | bytes | None) -> bytes | None:
    """The record's value; None: a tombstone."""
    if not isinstance(value, CommittedOffset):
        return value
    if value.expire_ms >= 0:
        head = _INT16.pack(_WITH_EXPIRY) + _INT64.pack(value.offset) + _string(value.metadata)
        return head + _INT64.pack(value.commit_ms) + _INT64.pack(value.expire_ms)
    head = _OFFSET_HEAD.pack(_OFFSET_WRITTEN, value.offset, value.leader_epoch)
    text = value.metadata.encode()
    tags = _TOPIC_ID_HEAD + value.topic_id if value.topic_id else b"\0"
    return head + _unsigned(len(text) + 1) + text + _INT64.pack(value.commit_ms) + tags


def encode_group(value: GroupValue) -> bytes:
    """The value of a group's record."""
    snapshot = value.snapshot
    parts = [
        _INT16.pack(_GROUP_WRITTEN),
        _string(snapshot.protocol_type),
        _INT32.pack(snapshot.generation),
        _string(snapshot.protocol),
        _string(snapshot.leader),
        _INT64.pack(value.since_ms),
        _INT32.pack(len(snapshot.members)),
    ]
    for member in snapshot.members:
        parts += [
            _string(member.member_id),
            _string(member.group_instance_id),
            _string(member.client_id),
            _string(member.client_host),
            _INT32.pack(member.rebalance_timeout_ms),
            _INT32.pack(member.session_timeout_ms),
            _bytes(member.subscription),
            _bytes(member.assignment),
        ]
    return b"".join(parts)


def _string(text: str | None) -> bytes:
    if text is None:
        return _INT16.pack(-1)
    data = text.encode()
    return _INT16.pack(len(data)) + data


def _unsigned(value: int) -> bytes:
    """A varint."""
    if value < 0x80:
        return bytes((value,))
    data = bytearray()
    while value >= 0x80:
        data.append(value & 0x7F | 0x80)
        value >>= 7
    data.append(value)
    return bytes(data)


def _bytes(data: bytes) -> bytes:
    return _INT32.pack(len(data)) + data


# --- reading


def decode(key: bytes | None, value: bytes | None) -> Change | None:
    """What a record says; None for a key of a kind that is not known. Raises BadRecord."""
    if key is None:
        raise BadRecord("a record has no key")
    found = _read(decode_key, key)
    if found is None:
        return None
    if value is None or type(found) is GroupKey:
        return Change(found, value)
    return Change(found, _read(_decode_offset, value))


def decode_key(data: bytes) -> Key | None:
    """The key, None when it is of another kind."""
    (kind,) = _INT16.unpack_from(data)
    if kind in OFFSET_KEYS:
        group, at = _text(data, 2)
        topic, at = _text(data, at)
        (partition,) = _INT32.unpack_from(data, at)
        return OffsetKey(group, topic, partition)
    return GroupKey(_text(data, 2)[0]) if kind == GROUP_KEY else None


def as_written(key: bytes | None) -> bytes | None:
    """The key as `encode_key` writes it; None for one of another kind. Raises BadRecord."""
    change = decode(key, None)
    return None if change is None else encode_key(change.key)


def is_as_written(key: bytes) -> bool:
    """Is it what `encode_key` makes of what it says? Else other bytes may stand for the same."""
    kind, at = key[:2], 2
    if kind not in _KEYS_WRITTEN:
        return False
    for _ in range(_KEYS_WRITTEN[kind]):
        size = int.from_bytes(key[at : at + 2])
        if size > _STRING_BYTES_MAX:
            return False  # a null
        at += 2 + size
    return len(key) == at + (0 if kind == _GROUP_KIND else _INT32.size)


def _text(data: bytes, at: int) -> tuple[str, int]:
    """A string that is not flexible, "" for null, and the position after it."""
    (size,) = _INT16.unpack_from(data, at)
    at += _INT16.size
    if size < 0:
        return "", at
    end = at + size
    if end > len(data):
        raise IndexError(f"a length of {size} does not fit")
    return data[at:end].decode(), end


def decode_group(data: bytes) -> GroupValue:
    """The value of a group's record; raises BadRecord."""
    return _read(_decode_group, data)


def _read(decoder: Callable[[bytes], T], data: bytes) -> T:
    try:
        return decoder(data)
    except (StructError, IndexError, UnicodeDecodeError) as error:
        raise BadRecord(f"a record of {len(data)} bytes cannot be read: {error}") from error


def _decode_offset(data: bytes) -> CommittedOffset:
    if data[:2] == _OFFSET_VALUE and (found := _decode_as_written(data)) is not None:
        return found
    reader, version = _value_reader(data)
    offset = reader.int64()
    epoch = reader.int32() if version >= 3 else -1
    metadata = reader.text()
    commit_ms = reader.int64()
    expire_ms = reader.int64() if version == 1 else _NO_TIME
    topic_id = reader.tags().get(_TOPIC_ID_TAG, b"")
    if len(topic_id) not in (0, _TOPIC_ID_BYTES):
        raise IndexError(f"a topic id of {len(topic_id)} bytes")
    if topic_id == _NO_TOPIC_ID:
        topic_id = b""
    return CommittedOffset(offset, epoch, metadata, commit_ms, expire_ms, topic_id)


def _decode_as_written(data: bytes) -> CommittedOffset | None:
    """The same for what is written here, unless its text is long: most of what is ever loaded."""
    start = _OFFSET_HEAD.size + 1
    end = start + data[start - 1] - 1
    tags = end + _INT64.size
    if not start <= end < start + 0x7F or len(data) != tags + 3 + _TOPIC_ID_BYTES:
        return None
    topic_id = data[tags + 3 :]
    if data[tags : tags + 3] != _TOPIC_ID_HEAD or topic_id == _NO_TOPIC_ID:
        return None
    _, offset, epoch = _OFFSET_HEAD.unpack_from(data)
    (commit_ms,) = _INT64.unpack_from(data, end)
    text = data[start:end].decode()
    return CommittedOffset(offset, epoch, text, commit_ms, _NO_TIME, topic_id)


def _decode_group(data: bytes) -> GroupValue:
    reader, version = _value_reader(data)
    protocol_type, generation = reader.text(), reader.int32()
    protocol, leader = reader.optional_text(), reader.optional_text()
    since_ms = reader.int64() if version >= 2 else _NO_TIME
    members = tuple([_decode_member(reader, version) for _ in range(reader.count())])
    snapshot = GroupSnapshot(
        protocol_type=protocol_type,
        generation=generation,
        protocol=protocol,
        leader=leader,
        members=members,
    )
    return GroupValue(snapshot, since_ms)


def _decode_member(reader: _Reader, version: int) -> MemberSnapshot:
    member_id = reader.text()
    instance = reader.optional_text() if version >= 3 else None
    client_id, client_host = reader.text(), reader.text()
    rebalance_ms = reader.int32() if version >= 1 else -1
    session_ms = reader.int32()
    subscription, assignment = reader.data(), reader.data()
    reader.tags()
    return MemberSnapshot(
        member_id=member_id,
        group_instance_id=instance,
        client_id=client_id,
        client_host=client_host,
        rebalance_timeout_ms=session_ms if rebalance_ms < 0 else rebalance_ms,
        session_timeout_ms=session_ms,
        subscription=subscription,
        assignment=assignment,
    )


def _value_reader(data: bytes) -> tuple[_Reader, int]:
    (version,) = _INT16.unpack_from(data)
    if not 0 <= version <= FLEXIBLE:
        raise BadRecord(f"a value has version {version}: it was written by a newer release")
    reader = _Reader(data, flexible=version >= FLEXIBLE)
    reader.int16()
    return reader, version


class _Reader:
    """Fields in their order. Raises struct.error, IndexError or UnicodeDecodeError."""

    __slots__ = ("_at", "_data", "_flexible")

    def __init__(self, data: bytes, *, flexible: bool) -> None:
        self._data = data
        self._at = 0
        self._flexible = flexible

    def _number(self, layout: Struct) -> int:
        (value,) = layout.unpack_from(self._data, self._at)
        self._at += layout.size
        return int(value)

    def int16(self) -> int:
        return self._number(_INT16)

    def int32(self) -> int:
        return self._number(_INT32)

    def int64(self) -> int:
        return self._number(_INT64)

    def _unsigned(self) -> int:
        value = shift = 0
        while True:
            byte = self._data[self._at]
            self._at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7
            if shift > 28:
                raise IndexError("a length has too many bytes")

    def _take(self, size: int) -> bytes:
        end = self._at + size
        if size < 0 or end > len(self._data):
            raise IndexError(f"a length of {size} does not fit")
        part = self._data[self._at : end]
        self._at = end
        return part

    def optional_text(self) -> str | None:
        size = self._unsigned() - 1 if self._flexible else self.int16()
        return None if size < 0 else self._take(size).decode()

    def text(self) -> str:
        return self.optional_text() or ""

    def data(self) -> bytes:
        return self._take(self._unsigned() - 1 if self._flexible else self.int32())

    def count(self) -> int:
        count = self._unsigned() - 1 if self._flexible else self.int32()
        if not 0 <= count <= len(self._data):
            raise IndexError(f"an array of {count} does not fit")
        return count

    def tags(self) -> dict[int, bytes]:
        found = {}
        for _ in range(self._unsigned() if self._flexible else 0):
            tag = self._unsigned()
            found[tag] = self._take(self._unsigned())
        return found
