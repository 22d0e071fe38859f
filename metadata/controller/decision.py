"""What a decision is, and how several can be under way at once."""

from __future__ import annotations

from typing import Generic, NamedTuple, TypeVar

from metadata.image import MetadataImage, apply_records
from metadata.records import Record

T = TypeVar("T")


class Decision(NamedTuple, Generic[T]):
    """Records to write as one entry, and the answer to give once it is committed.

    Without records the answer rests on the image that it was made on: `metadata.quorum.deciding`
    says when it is certain.
    """

    records: tuple[Record, ...]
    result: T


class Pipeline:
    """The image as it will be once everything proposed is committed.

    For the leader only: `start` when its no-op is committed *and applied to the image given*,
    `proposed` with each decision's records in the order they are proposed to Raft, `start`
    again after leadership was lost and won. Entries of one leader commit in order or not at
    all, so what is decided on this image is never applied to another one. Starting from an
    image that lacks committed entries would write records that contradict them, and every
    replica would stop with ImageError.
    """

    __slots__ = ("_image",)

    def __init__(self, image: MetadataImage) -> None:
        """Start from a leader's committed image."""
        self._image = image

    @property
    def image(self) -> MetadataImage:
        """What to decide on. Its position is that of the image it started from."""
        return self._image

    def start(self, image: MetadataImage) -> None:
        """Forget what was proposed; go on from the committed `image`."""
        self._image = image

    def proposed(self, decision: Decision[T]) -> T:
        """Take a decision's records into account; its result."""
        if decision.records:
            self._image, _ = apply_records(self._image, decision.records, self._image.position)
        return decision.result
