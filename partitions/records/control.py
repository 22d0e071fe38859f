"""Control batches: the markers that end a transaction in a partition (KIP-98).

Key: version int16 (0), type int16. Value of an end marker: version int16 (0), coordinator
epoch int32.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import NamedTuple

from partitions.records.batch import build_batch, iter_records
from partitions.records.record import Record, invalid
from raftlog.types import Buffer

_KEY = struct.Struct(">hh")
_VALUE = struct.Struct(">hi")
_CONTROL_BYTES_MAX = 4096


class ControlType(IntEnum):
    """What a control record says."""

    ABORT = 0
    COMMIT = 1


class EndTxnMarker(NamedTuple):
    """The fate of a producer's open transaction in this partition."""

    type: ControlType
    coordinator_epoch: int


def build_end_txn_marker(
    marker: EndTxnMarker,
    *,
    producer_id: int,
    producer_epoch: int,
    timestamp: int,
) -> bytearray:
    """A control batch of one record, spanning one offset. `timestamp` is ms since 1970."""
    record = Record(key=_KEY.pack(0, marker.type), value=_VALUE.pack(0, marker.coordinator_epoch))
    return build_batch(
        [record],
        base_timestamp=timestamp,
        producer_id=producer_id,
        producer_epoch=producer_epoch,
        transactional=True,
        control=True,
    )


def parse_end_txn_marker(batch: Buffer) -> EndTxnMarker | None:
    """Read a control batch; None for a control type of another purpose, to be skipped.

    Raises KafkaError(INVALID_RECORD) when the record is not what its type demands.
    """
    record = next(iter_records(batch, max_bytes=_CONTROL_BYTES_MAX), None)
    if record is None or record.key is None or len(record.key) < _KEY.size:
        raise invalid("a control batch has no record with a key of four bytes")
    _, kind = _KEY.unpack_from(record.key)
    if kind not in (ControlType.ABORT, ControlType.COMMIT):
        return None
    if record.value is None or len(record.value) < _VALUE.size:
        raise invalid("an end-of-transaction marker has no value of six bytes")
    _, coordinator_epoch = _VALUE.unpack_from(record.value)
    return EndTxnMarker(ControlType(kind), coordinator_epoch)
