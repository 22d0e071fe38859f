"""Record batches of format version 2: the unit that producers send and the log stores.

On the produce path a batch is cut out of the request (`split_batches`), checked by its header
and CRC (`validate_batch`) and stamped in place (`stamp`): cost per batch, never per record.
Single records are read only where the protocol leaves no choice (`iter_records`,
`find_timestamp`, `last_values`), and then with a bound on what compressed data may expand to.

Rules: bytes are hostile; every error is a KafkaError whose code goes to the client and whose
text names the field. Message sets of magic 0 and 1 are refused. Views are not copies: they
hold the buffer they came from. Timestamps are ms since 1970.

Start reading at `header`, which has the layout.
"""

from __future__ import annotations

from partitions.records.batch import build_batch, find_timestamp, iter_records
from partitions.records.compression import DECOMPRESSED_BYTES_MAX, Codec, compress, decompress
from partitions.records.control import (
    ControlType,
    EndTxnMarker,
    build_end_txn_marker,
    parse_end_txn_marker,
)
from partitions.records.header import HEADER_BYTES, BatchHeader, parse_header, split_batches
from partitions.records.latest import last_values
from partitions.records.record import Record
from partitions.records.validation import (
    crc_matches,
    set_append_time,
    stamp,
    validate_batch,
    write_crc,
)

__all__ = [
    "DECOMPRESSED_BYTES_MAX",
    "HEADER_BYTES",
    "BatchHeader",
    "Codec",
    "ControlType",
    "EndTxnMarker",
    "Record",
    "build_batch",
    "build_end_txn_marker",
    "compress",
    "crc_matches",
    "decompress",
    "find_timestamp",
    "iter_records",
    "last_values",
    "parse_end_txn_marker",
    "parse_header",
    "set_append_time",
    "split_batches",
    "stamp",
    "validate_batch",
    "write_crc",
]
