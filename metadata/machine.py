"""The metadata group's state machine: committed entries in, images and deltas out.

Pure: the host calls `apply` for every committed entry in order, `install` for a snapshot from
the leader, `snapshot` when the log may be cut. Whoever wants to know of changes reads the
returned delta.
"""

from __future__ import annotations

from metadata.codec import decode_entry
from metadata.errors import ImageError
from metadata.image import (
    EMPTY_IMAGE,
    ImageDelta,
    MetadataImage,
    apply_records,
    decode_snapshot,
    difference,
    encode_snapshot,
)
from raftlog.types import Entry, EntryKind, LogPosition


class MetadataMachine:
    """Holds the newest committed image."""

    __slots__ = ("_image",)

    def __init__(self, image: MetadataImage = EMPTY_IMAGE) -> None:
        """Start from `image`: empty, or what a snapshot held."""
        self._image = image

    @property
    def image(self) -> MetadataImage:
        """The state after the last entry applied; stays valid when later ones are."""
        return self._image

    def apply(self, entry: Entry) -> ImageDelta:
        """Apply the next committed entry; only DATA entries hold records.

        RecordError or ImageError (both CorruptLog): this replica must stop; the image is as
        it was. An entry that does not follow the last one is the caller's bug: ImageError.
        """
        if entry.index != self._image.position.index + 1:
            raise ImageError(f"entry {entry.index} does not follow {self._image.position.index}")
        records = decode_entry(entry.payload) if entry.kind is EntryKind.DATA else ()
        position = LogPosition(entry.index, entry.term, entry.end)
        self._image, delta = apply_records(self._image, records, position)
        return delta

    def install(self, data: bytes) -> ImageDelta:
        """Replace the state by a snapshot's; ImageError when it is older than what is here."""
        image = decode_snapshot(data)
        if image.position.index < self._image.position.index:
            raise ImageError(
                f"snapshot at {image.position.index} is older than {self._image.position.index}"
            )
        delta = difference(self._image, image)
        self._image = image
        return delta

    def snapshot(self) -> bytes:
        """The state as bytes, for `install` on another replica or after a restart."""
        return encode_snapshot(self._image)
