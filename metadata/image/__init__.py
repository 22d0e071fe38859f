"""The cluster's metadata at one position of the metadata log, as values that never change.

A `MetadataImage` is what all records up to a position amount to. Applying an entry makes a
new image and an `ImageDelta` that says what changed; the old image stays valid, so whoever
holds one reads a consistent cluster without a lock. Rules of this package:

- Pure: no clock, no randomness, no input or output. Equal records give equal images.
- An entry is applied whole or not at all. Each map that an entry touches is copied once per
  entry, not once per record; maps that it does not touch are shared with the old image.
- A record that contradicts the image raises ImageError: the replica must stop, not guess.
- A snapshot is the shortest list of records that rebuilds the image, in an order that only
  the state decides. Its hash is the image's state hash.

Start reading at `state`, then `draft` (applying), `delta` (comparing), `snapshot`.
"""

from __future__ import annotations

from metadata.image.delta import Change, ImageDelta, PartitionChange, difference
from metadata.image.draft import apply_records
from metadata.image.snapshot import decode_snapshot, encode_snapshot, state_hash
from metadata.image.state import EMPTY_IMAGE, Broker, Cluster, MetadataImage, Partition, Topic

__all__ = [
    "EMPTY_IMAGE",
    "Broker",
    "Change",
    "Cluster",
    "ImageDelta",
    "MetadataImage",
    "Partition",
    "PartitionChange",
    "Topic",
    "apply_records",
    "decode_snapshot",
    "difference",
    "encode_snapshot",
    "state_hash",
]
