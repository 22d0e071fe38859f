"""What changed between two images, in an order that only the images decide."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

from metadata.image.state import Broker, MetadataImage, Partition, Topic
from metadata.records import ConfigResource
from raftlog.types import LogPosition

T = TypeVar("T")


class Change(NamedTuple, Generic[T]):
    """A value before and after; None where it did not exist. The two are never equal."""

    before: T | None
    after: T | None


class PartitionChange(NamedTuple):
    """A partition that is new or has another target assignment."""

    topic: Topic
    """The topic as it is now."""
    number: int
    before: Partition | None
    after: Partition


@dataclass(frozen=True, slots=True)
class ImageDelta:
    """What watchers of the image are told. Everything is sorted by id, name or number."""

    position: LogPosition
    """Of the newer image."""
    cluster: bool
    """The cluster record changed: created, or its feature level raised."""
    brokers: tuple[Change[Broker], ...]
    topics_created: tuple[Topic, ...]
    topics_deleted: tuple[Topic, ...]
    """As they were, with the partitions whose groups must stop."""
    partitions_assigned: tuple[PartitionChange, ...]
    """Includes the partitions of `topics_created`."""
    configs_changed: tuple[ConfigResource, ...]
    """Includes the resources of deleted topics that had a configuration."""

    def __bool__(self) -> bool:
        """False when nothing that watchers are told about changed."""
        return bool(
            self.cluster
            or self.brokers
            or self.topics_created
            or self.topics_deleted
            or self.partitions_assigned
            or self.configs_changed
        )


class Touched(NamedTuple):
    """Keys that may differ between two images; comparing the rest is not needed."""

    brokers: Iterable[int]
    topics: Iterable[bytes]
    configs: Iterable[ConfigResource]


def difference(old: MetadataImage, new: MetadataImage) -> ImageDelta:
    """The delta between any two images; for a watcher that missed some, or a snapshot."""
    everything = Touched(
        _keys(old.brokers, new.brokers),
        _keys(old.topics, new.topics),
        _keys(old.configs, new.configs),
    )
    return compare(old, new, everything)


def compare(old: MetadataImage, new: MetadataImage, touched: Touched) -> ImageDelta:
    """The delta, looking at the touched keys only."""
    topics = [
        (old.topics.get(key), new.topics.get(key)) for key in sorted(touched.topics)
    ]  # a topic that came and went within the entry is (None, None): no change
    return ImageDelta(
        position=new.position,
        cluster=old.cluster != new.cluster,
        brokers=_changes(old.brokers, new.brokers, sorted(touched.brokers)),
        topics_created=tuple([after for before, after in topics if after and not before]),
        topics_deleted=tuple([before for before, after in topics if before and not after]),
        partitions_assigned=tuple(
            [change for before, after in topics if after for change in _moves(before, after)]
        ),
        configs_changed=tuple(
            [key for key in sorted(touched.configs) if old.configs.get(key) != new.configs.get(key)]
        ),
    )


def _keys(old: Mapping[T, Any], new: Mapping[T, Any]) -> Iterable[T]:
    return {**old, **new}


def _changes(
    old: Mapping[int, Broker], new: Mapping[int, Broker], keys: Iterable[int]
) -> tuple[Change[Broker], ...]:
    changes = [Change(old.get(key), new.get(key)) for key in keys]
    return tuple([change for change in changes if change.before != change.after])


def _moves(before: Topic | None, after: Topic) -> list[PartitionChange]:
    known = before.partitions if before else ()
    if known is after.partitions:
        return []
    return [
        PartitionChange(after, number, was, partition)
        for number, partition in enumerate(after.partitions)
        if (was := known[number] if number < len(known) else None) != partition
    ]
