"""Metadata records as CBOR, strictly.

An entry is `[ENVELOPE, [record, ...]]` and a record `[type, version, [field, ...]]`. Nothing but
arrays, integers, text, byte strings, booleans and null appears: no maps, no tags, no
floats, no indefinite lengths. Only the one canonical encoding of an entry is accepted, which
also refuses trailing bytes and makes equal states equal bytes.

Type numbers and versions are never reused. A type that gains a field gets a new version with
a new row in `ROWS`; the old row stays, with a `make` that supplies the new field's default.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn

import cbor2

from metadata import records as r
from metadata.errors import RecordError, UnknownRecord
from metadata.fields import Id, Int, Items, Kind, Maybe, Struct, Text, shown
from raftlog.types import ReplicaId

ENVELOPE = 1
"""Version of the outer list; an entry with another one is refused."""
ENTRY_BYTES_MAX = 2 * 1024 * 1024
"""An encoded entry is never larger: a topic of 10,000 partitions with 7 replicas fits."""
RECORDS_PER_ENTRY_MAX = 20_000
DEPTH_MAX = 8
"""Nesting of arrays; the deepest record (a broker's listeners) needs six."""
CONFIG_VALUE_CHARACTERS_MAX = 32_768
LISTENERS_MAX = 16
REPLICAS_MAX = 15
_INT32 = 2**31 - 1
_INT64 = 2**63 - 1

NODE = Int(0, _INT32)
EPOCH = Int(0, _INT64)
GROUP = Int(1, _INT64)
COUNT = Int(1, 1_000_000)
UUID = Id(16)
NAME = Text(249, low=1)
HOST = Text(255, low=1)
PORT = Int(1, 65_535)
LEVEL = Int(0, 65_535)


class _ResourceType:
    """A ConfigSet's resource type: a number that ResourceType knows."""

    def pack(self, value: r.ResourceType, where: str) -> int:
        return int(value)

    def unpack(self, raw: object, where: str) -> r.ResourceType:
        if type(raw) is not int or raw not in r.ResourceType._value2member_map_:
            raise RecordError(f"{where}: {shown(raw)} is not a resource type")
        return r.ResourceType(raw)


LISTENER = Struct(
    r.Listener,
    (
        ("name", Text(64, low=1)),
        ("host", HOST),
        ("port", PORT),
        ("security_protocol", Text(32, low=1)),
    ),
)
FEATURE = Struct(r.FeatureRange, (("name", Text(64, low=1)), ("low", LEVEL), ("high", LEVEL)))
REPLICA = Struct(ReplicaId, (("node", NODE), ("directory", UUID)))


class Row(NamedTuple):
    """One version of one record type on the wire."""

    code: int
    version: int
    type: type[Any]
    fields: tuple[tuple[str, Kind], ...]
    make: Callable[..., r.Record] | None = None
    """Builds the record from an old version's fields; None: the type itself."""


_FENCING = (("node", NODE), ("epoch", EPOCH))

ROWS: tuple[Row, ...] = (
    Row(1, 1, r.ClusterCreated, (("cluster_id", Text(64, low=1)), ("feature_level", LEVEL))),
    Row(2, 1, r.FeatureLevelSet, (("feature_level", LEVEL),)),
    Row(
        3,
        1,
        r.BrokerRegistered,
        (
            ("node", NODE),
            ("directory", UUID),
            ("incarnation", UUID),
            ("listeners", Items(LISTENER, LISTENERS_MAX)),
            ("peer_host", HOST),
            ("peer_port", PORT),
            ("rack", Maybe(Text(255, low=1))),
            ("features", Items(FEATURE, 64)),
            ("epoch", EPOCH),
        ),
    ),
    Row(4, 1, r.BrokerFenced, _FENCING),
    Row(5, 1, r.BrokerUnfenced, _FENCING),
    Row(6, 1, r.BrokerRemoved, _FENCING),
    Row(7, 1, r.TopicCreated, (("topic_id", UUID), ("name", NAME))),
    Row(8, 1, r.TopicDeleted, (("topic_id", UUID),)),
    Row(
        9,
        1,
        r.PartitionAssigned,
        (
            ("topic_id", UUID),
            ("partition", NODE),
            ("group", GROUP),
            ("replicas", Items(REPLICA, REPLICAS_MAX)),
            ("assignment_epoch", EPOCH),
        ),
    ),
    Row(
        10,
        1,
        r.ConfigSet,
        (
            ("resource_type", _ResourceType()),
            ("resource_name", Text(249)),
            ("key", NAME),
            ("value", Maybe(Text(CONFIG_VALUE_CHARACTERS_MAX))),
        ),
    ),
    Row(11, 1, r.ProducerIdsAllotted, (("node", NODE), ("first", EPOCH), ("count", COUNT))),
    Row(
        12,
        1,
        r.CountersSet,
        (("next_group_id", GROUP), ("next_producer_id", EPOCH), ("next_broker_epoch", EPOCH)),
    ),
)


class _Coder(NamedTuple):
    code: int
    version: int
    type: type[Any]
    body: Struct


def _coder(row: Row) -> _Coder:
    return _Coder(row.code, row.version, row.type, Struct(row.make or row.type, row.fields))


_BY_WIRE: dict[tuple[int, int], _Coder] = {(row.code, row.version): _coder(row) for row in ROWS}
_BY_TYPE: dict[type[Any], _Coder] = {
    row.type: _coder(row) for row in sorted(ROWS, key=lambda row: row.version)
}
_CODES = {row.code: row.type.__name__ for row in ROWS}


class _RefuseTags(Mapping[int, Any]):
    """Stands in cbor2's table of tag decoders and refuses each tag before its content is read."""

    def __getitem__(self, tag: int) -> Any:
        return _refuse_tag

    def __iter__(self) -> Iterator[int]:
        return iter(())

    def __len__(self) -> int:
        return 1


def _refuse_tag(*_: object) -> NoReturn:
    raise RecordError("CBOR tags are not allowed here")


_REFUSE_TAGS = _RefuseTags()


def encode_entry(records: Sequence[r.Record]) -> bytes:
    """One Raft entry's payload. RecordError when a field or the whole is out of bounds."""
    if not 1 <= len(records) <= RECORDS_PER_ENTRY_MAX:
        raise RecordError(
            f"{len(records)} records in an entry, allowed: 1..{RECORDS_PER_ENTRY_MAX}"
        )
    data = cbor2.dumps([ENVELOPE, [_pack(record) for record in records]])
    if len(data) > ENTRY_BYTES_MAX:
        raise RecordError(f"an entry of {len(data)} bytes, at most {ENTRY_BYTES_MAX} are allowed")
    return data


def check_record(record: r.Record) -> None:
    """RecordError, naming the field, when a field has another type or is out of bounds."""
    _pack(record)


def decode_entry(data: bytes) -> tuple[r.Record, ...]:
    """The records of an entry; RecordError (UnknownRecord) says what is wrong with it."""
    raw = decode_plain(data, ENTRY_BYTES_MAX)
    if type(raw) is not list or len(raw) != 2:
        raise RecordError(f"entry: {shown(raw)} is not [envelope, records]")
    envelope, bodies = raw
    if type(envelope) is not int or envelope != ENVELOPE:
        raise UnknownRecord(f"entry: envelope version {shown(envelope)}, known: {ENVELOPE}")
    if type(bodies) is not list or not 1 <= len(bodies) <= RECORDS_PER_ENTRY_MAX:
        raise RecordError(f"entry: {shown(bodies)} is not 1..{RECORDS_PER_ENTRY_MAX} records")
    records = tuple([_unpack(body) for body in bodies])
    require_canonical(raw, data)
    return records


def decode_plain(data: bytes, bytes_max: int) -> object:
    """CBOR to Python with size and depth bounded; RecordError for anything cbor2 refuses.

    The types inside are not checked yet, and neither is `require_canonical`: call it after
    every leaf was checked. Lengths that the bytes cannot hold fail before they allocate.
    """
    if len(data) > bytes_max:
        raise RecordError(f"{len(data)} bytes of CBOR, at most {bytes_max} are allowed")
    try:
        return cbor2.loads(
            data,
            semantic_decoders=_REFUSE_TAGS,
            max_depth=DEPTH_MAX,
            allow_indefinite=False,
            allow_duplicate_keys=False,
            strict_hashable_types=True,
        )
    except cbor2.CBORError as error:
        raise RecordError(f"not the CBOR expected: {error}") from error


def require_canonical(raw: object, data: bytes) -> None:
    """RecordError unless `data` is the one shortest encoding of `raw`, with nothing after it."""
    if cbor2.dumps(raw) != data:
        raise RecordError("not canonical CBOR: trailing bytes, a tag, or a longer form was used")


def _pack(record: r.Record) -> list[object]:
    coder = _BY_TYPE[type(record)]
    return [coder.code, coder.version, coder.body.pack(record, coder.type.__name__)]


def _unpack(raw: object) -> r.Record:
    if type(raw) is not list or len(raw) != 3:
        raise RecordError(f"record: {shown(raw)} is not [type, version, fields]")
    code, version, body = raw
    if type(code) is not int or type(version) is not int:
        raise RecordError(f"record: type {shown(code)} and version {shown(version)} are not ints")
    coder = _BY_WIRE.get((code, version))
    if coder is None:
        raise UnknownRecord(
            f"record type {code} ({_CODES.get(code, 'unknown')}) version {version} is not known "
            "to this release: run a release at least as new as the controller's"
        )
    record: r.Record = coder.body.unpack(body, coder.type.__name__)
    return record
