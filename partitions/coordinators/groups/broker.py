"""The coordinators of one broker: which partition is a group's, and who speaks for it here."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from metadata.image import ImageDelta, MetadataImage
from partitions.coordinators.groups.clients import CoordinatorSettings, HeldBytes
from partitions.coordinators.groups.coordinator import Coordinator, State
from partitions.coordinators.groups.rewriting import REWRITE_BYTES_MIN
from partitions.coordinators.groups.slices import Slices
from partitions.errors import ErrorCode, KafkaError
from partitions.internal import CONSUMER_OFFSETS
from partitions.replicas.interface import Replica
from raftlog.seams import Reactor

GROUP_ID_BYTES_MAX = 4096
CATCH_UP_AGAIN_US = 5_000_000
"""After the controller did not say how far it is. Meanwhile offsets in topics that are deleted
stay, and would be taken for those of a new topic of that name: so it is not long."""
CatchUp = Callable[[Callable[[bool], None]], None]


def partition_for(group_id: str, count: int) -> int:
    """The partition of a group among `count`: Java's String.hashCode, without its sign."""
    value = 0
    data = group_id.encode("utf-16-be", "surrogatepass")
    for at in range(0, len(data), 2):
        value = (31 * value + int.from_bytes(data[at : at + 2], "big")) & 0xFFFF_FFFF
    return (value & 0x7FFF_FFFF) % count


class GroupCoordinators:
    """One per broker."""

    def __init__(
        self,
        reactor: Reactor,
        image: Callable[[], MetadataImage],
        catch_up: CatchUp,
        settings: Callable[[], CoordinatorSettings],
        expiry_interval_us: int,
    ) -> None:
        """`catch_up(on_done)` calls back with True once the image holds all that any broker's
        image held before, with False if that cannot be known. `expiry_interval_us`:
        offsets.retention.check.interval.ms."""
        self._reactor = reactor
        self._image = image
        self._catch_up = catch_up
        self._settings = settings
        self._expiry_interval_us = expiry_interval_us
        self._coordinators: dict[int, Coordinator] = {}
        self._slices = Slices(reactor)
        self.held = HeldBytes()
        self.rewrite_bytes_min = REWRITE_BYTES_MIN
        """Of coordinators made from now on: how large their log grows before it is shortened."""

    def start(self) -> None:
        """From now on look for what has expired."""
        now = self._reactor.now_us()
        self._reactor.call_at(now + self._expiry_interval_us, self._expire)

    def _expire(self) -> None:
        for coordinator in list(self._coordinators.values()):
            coordinator.expire()
        self.start()

    # --- what happens to partitions

    def leadership(self, replica: Replica) -> None:
        """A replica's leadership was confirmed here, or lost."""
        if replica.topic != CONSUMER_OFFSETS:
            return
        former = self._coordinators.get(replica.partition)
        if former is not None:
            if replica.is_leader and former.epoch == replica.leader_epoch:
                return
            del self._coordinators[replica.partition]
            former.close()
        if replica.is_leader:
            self._coordinators[replica.partition] = self._make(replica)

    def _make(self, replica: Replica) -> Coordinator:
        coordinator = Coordinator(
            replica, self._reactor, self._settings, self.held, self._slices.later
        )
        coordinator.rewriter.bytes_min = self.rewrite_bytes_min
        coordinator.on_loaded = partial(self._loaded, coordinator)
        return coordinator

    def _loaded(self, coordinator: Coordinator) -> None:
        """Offsets that were loaded may be in topics that were deleted while nobody coordinated.

        They may just as well be in topics that were made since, of which the image here has not
        heard yet, though the former coordinator had: so it must catch up first.
        """

        def id_of(name: str) -> bytes | None:
            topic = self._image().topic(name)
            return None if topic is None else topic.topic_id

        def caught_up(sure: bool) -> None:
            if sure:
                coordinator.know_topics(id_of)
            else:
                again_us = self._reactor.now_us() + CATCH_UP_AGAIN_US
                self._reactor.call_at(again_us, partial(self._loaded, coordinator))

        if coordinator.state is State.ACTIVE:
            self._catch_up(caught_up)

    def image_changed(self, delta: ImageDelta) -> None:
        """Offsets in topics that are deleted go too."""
        if delta.topics_deleted and self._coordinators:
            gone = {topic.name: topic.topic_id for topic in delta.topics_deleted}
            for coordinator in self._coordinators.values():
                coordinator.forget_topics(gone)

    # --- who answers

    def partition_of(self, group_id: str) -> int | None:
        """The partition whose leader speaks for the group; None: there is no topic yet."""
        topic = self._image().topic(CONSUMER_OFFSETS)
        return None if topic is None else partition_for(group_id, len(topic.partitions))

    def find(self, group_id: str) -> Coordinator:
        """The group's coordinator, if it is here and ready. Raises KafkaError NOT_COORDINATOR,
        COORDINATOR_LOAD_IN_PROGRESS, COORDINATOR_NOT_AVAILABLE or INVALID_GROUP_ID."""
        if len(group_id) > GROUP_ID_BYTES_MAX or len(group_id.encode()) > GROUP_ID_BYTES_MAX:
            raise KafkaError(
                ErrorCode.INVALID_GROUP_ID,
                f"a group id has at most {GROUP_ID_BYTES_MAX} bytes",
            )
        partition = self.partition_of(group_id)
        coordinator = None if partition is None else self._coordinators.get(partition)
        if coordinator is None or coordinator.state is State.CLOSED:
            raise KafkaError(
                ErrorCode.NOT_COORDINATOR, "this broker does not coordinate the group; look anew"
            )
        if coordinator.state is not State.ACTIVE:
            raise _not_ready(coordinator)
        return coordinator

    def all(self) -> list[Coordinator]:
        """Every coordinator here; KafkaError when one of them is not ready."""
        coordinators = [c for _, c in sorted(self._coordinators.items())]
        for coordinator in coordinators:
            if coordinator.state is State.LOADING:
                raise _not_ready(coordinator)
        return [c for c in coordinators if c.state is State.ACTIVE]

    def by_state(self) -> dict[State, list[Coordinator]]:
        """Every coordinator here, in the order of partitions."""
        found: dict[State, list[Coordinator]] = {state: [] for state in State}
        for _, coordinator in sorted(self._coordinators.items()):
            found[coordinator.state].append(coordinator)
        return found


def _not_ready(coordinator: Coordinator) -> KafkaError:
    if coordinator.state is State.LOADING:
        return KafkaError(
            ErrorCode.COORDINATOR_LOAD_IN_PROGRESS, "the coordinator is still reading its log"
        )
    return KafkaError(
        ErrorCode.COORDINATOR_NOT_AVAILABLE, "the coordinator could not read its log; see its log"
    )
