"""A snapshot of an image: the records that rebuild it, and a hash of them.

Layout: MAGIC (4 bytes), then frames of a 4-byte big-endian length and that many bytes. The
first frame is a CBOR header `[VERSION, [index, term, offset], frames, seal]`; each other frame
is an entry (`metadata.codec`), so decoding never handles more than one entry's bytes at a
time. The state hash is SHA-256 over the frames after the header; it does not cover the
position, so that replicas can compare states. The seal covers both.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from struct import Struct, error

import cbor2

from metadata import records as r
from metadata.codec import EPOCH, decode_entry, decode_plain, encode_entry, require_canonical
from metadata.errors import RecordError, UnknownRecord
from metadata.fields import Id, Int
from metadata.fields import Struct as Fields
from metadata.image.draft import apply_records
from metadata.image.state import EMPTY_IMAGE, MetadataImage
from raftlog.types import LogPosition

MAGIC = b"QRMI"
VERSION = 1
SNAPSHOT_BYTES_MAX = 512 * 1024 * 1024
HEADER_BYTES_MAX = 256
RECORDS_PER_FRAME = 2_000
FRAME_WEIGHT_MAX = 256 * 1024
"""Characters of text in one frame: with the rest, well below an entry's largest size."""
BROKER_WEIGHT = 12 * 1024
"""Characters in the largest broker registration (16 listeners, 64 features), rounded up."""
_LENGTH = Struct(">I")
_SEALED = Struct(">QQQ")
_POSITION = Fields(LogPosition, (("index", EPOCH), ("term", EPOCH), ("offset", EPOCH)))


def encode_snapshot(image: MetadataImage) -> bytes:
    """The image as bytes; equal images give equal bytes."""
    frames = list(_frames(image))
    position = _POSITION.pack(image.position, "snapshot.position")
    header = cbor2.dumps([VERSION, position, len(frames), _seal(image.position, _digest(frames))])
    parts = [MAGIC]
    for frame in (header, *frames):
        parts += (_LENGTH.pack(len(frame)), frame)
    return b"".join(parts)


def state_hash(image: MetadataImage) -> bytes:
    """32 bytes that are equal for equal states, whatever the position and history."""
    return _digest(_frames(image))


def decode_snapshot(data: bytes) -> MetadataImage:
    """The image; RecordError when the bytes are not a whole snapshot, ImageError when the
    records contradict each other."""
    if len(data) > SNAPSHOT_BYTES_MAX:
        raise RecordError(f"snapshot of {len(data)} bytes, allowed are {SNAPSHOT_BYTES_MAX}")
    if data[: len(MAGIC)] != MAGIC:
        raise RecordError("not a metadata snapshot: it does not start with QRMI")
    frames = list(_split(data))
    position, count, seal = _header(frames[0] if frames else b"")
    body = frames[1:]
    if len(body) != count:
        raise RecordError(f"snapshot has {len(body)} frames, its header says {count}")
    if _seal(position, _digest(body)) != seal:
        raise RecordError("snapshot's hash does not match: its bytes are damaged")
    records = (record for frame in body for record in decode_entry(frame))
    image, _ = apply_records(EMPTY_IMAGE, records, position)
    return image


def snapshot_records(image: MetadataImage) -> Iterator[r.Record]:
    """The records that rebuild the image, in an order that only the state decides.

    Brokers by epoch and partitions by group, because those counters may only rise.
    """
    if image.cluster is not None:
        yield r.ClusterCreated(image.cluster.cluster_id, image.cluster.feature_level)
    for broker in sorted(image.brokers.values(), key=lambda broker: broker.epoch):
        yield broker.registration
        if not broker.fenced:
            yield r.BrokerUnfenced(broker.node, broker.epoch)
    for _, topic in sorted(image.topics.items()):
        yield r.TopicCreated(topic.topic_id, topic.name)
    for group, ref in sorted(image.groups.items(), key=lambda item: item[0]):
        partition = image.topics[ref.topic_id].partitions[ref.partition]
        yield r.PartitionAssigned(
            ref.topic_id, ref.partition, group, partition.replicas, partition.assignment_epoch
        )
    for resource, settings in sorted(image.configs.items(), key=lambda item: item[0]):
        for key, value in sorted(settings.items()):
            yield r.ConfigSet(resource.type, resource.name, key, value)
    yield r.CountersSet(image.next_group_id, image.next_producer_id, image.next_broker_epoch)


def _frames(image: MetadataImage) -> Iterator[bytes]:
    batch: list[r.Record] = []
    weight = 0
    for record in snapshot_records(image):
        size = _weight(record)
        if batch and (len(batch) == RECORDS_PER_FRAME or weight + size > FRAME_WEIGHT_MAX):
            yield encode_entry(batch)
            batch, weight = [], 0
        batch.append(record)
        weight += size
    yield encode_entry(batch)


def _weight(record: r.Record) -> int:
    """Characters of text in the record (at most four bytes each), so that frames stay bounded."""
    match record:
        case r.ConfigSet():
            return len(record.resource_name) + len(record.key) + len(record.value or "")
        case r.TopicCreated():
            return len(record.name)
        case r.BrokerRegistered():
            return BROKER_WEIGHT
        case _:
            return 0


def _digest(frames: Iterator[bytes] | list[bytes]) -> bytes:
    digest = sha256()
    for frame in frames:
        digest.update(_LENGTH.pack(len(frame)))
        digest.update(frame)
    return digest.digest()


def _seal(position: LogPosition, digest: bytes) -> bytes:
    return sha256(_SEALED.pack(*position) + digest).digest()


def _split(data: bytes) -> Iterator[bytes]:
    at = len(MAGIC)
    while at < len(data):
        try:
            (length,) = _LENGTH.unpack_from(data, at)
        except error as short:
            raise RecordError(f"snapshot ends inside a frame's length, at byte {at}") from short
        at += _LENGTH.size
        if length > len(data) - at:
            raise RecordError(f"snapshot ends inside a frame of {length} bytes, at byte {at}")
        yield data[at : at + length]
        at += length


def _header(frame: bytes) -> tuple[LogPosition, int, bytes]:
    raw = decode_plain(frame, HEADER_BYTES_MAX)
    if type(raw) is not list or len(raw) != 4:
        raise RecordError("snapshot's header is not [version, position, frames, seal]")
    if type(raw[0]) is not int or raw[0] != VERSION:
        raise UnknownRecord(f"snapshot version {raw[0]!r} is not known, this release has {VERSION}")
    position: LogPosition = _POSITION.unpack(raw[1], "snapshot.position")
    count = Int(1, SNAPSHOT_BYTES_MAX).unpack(raw[2], "snapshot.frames")
    seal = Id(32).unpack(raw[3], "snapshot.seal")
    require_canonical(raw, frame)
    return position, count, seal
