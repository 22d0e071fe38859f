"""The cluster's metadata: facts in a Raft log, images of them, and who may add facts.

Every broker holds the whole metadata in memory as an immutable image (`metadata.image`), kept
up by applying the committed entries of Raft group 0 (`metadata.machine`). Only the leader of
that group, the controller, decides what is added: pure functions from an image to records
(`metadata.controller`). Records and their encoding are `metadata.records` and
`metadata.codec`; settings of all kinds are `metadata.configs`. Which broker leads which
partition is not in the log: `metadata.leaders` is soft state that brokers tell each other.

Rules of this package:

- Nothing here knows Kafka's wire format; names and meanings are Kafka's where it has them.
- `image`, `controller`, `configs`, `codec`, `machine` and `leaders` are pure: no clock, no
  randomness, no input or output. The trio host is elsewhere and drives them.
- Bytes from disk and peers are checked in full before anything of them is used.

Start reading at `records`, then `image`, then `controller`.
"""

from __future__ import annotations

from metadata.errors import (
    ErrorCode,
    ImageError,
    InvalidConfig,
    MetadataError,
    RecordError,
    UnknownRecord,
)
from metadata.image import EMPTY_IMAGE, ImageDelta, MetadataImage
from metadata.leaders import Leader, LeaderTable
from metadata.machine import MetadataMachine

__all__ = [
    "EMPTY_IMAGE",
    "ErrorCode",
    "ImageDelta",
    "ImageError",
    "InvalidConfig",
    "Leader",
    "LeaderTable",
    "MetadataError",
    "MetadataImage",
    "MetadataMachine",
    "RecordError",
    "UnknownRecord",
]
