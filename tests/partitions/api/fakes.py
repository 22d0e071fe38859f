"""A broker of plain objects: a clock that stands still, and replicas whose commits tests decide."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from heapq import heappop, heappush
from random import Random
from typing import Any

from metadata.configs import BrokerLayers, ConfigEntry, broker_entries, topic_config, topic_entries
from metadata.image import Broker, Cluster, MetadataImage, Partition, Topic
from metadata.leaders import Leader
from metadata.records import BrokerRegistered, Listener
from partitions.api import (
    ApiSettings,
    ByteBudget,
    ControllerReply,
    Deadlines,
    MetadataCache,
    ProducerIdReply,
    QuorumReply,
    RefusedBatches,
)
from partitions.api.offsetstopic import OffsetsTopic
from partitions.coordinators.groups.broker import GroupCoordinators
from partitions.coordinators.groups.clients import CoordinatorSettings
from partitions.errors import ErrorCode, KafkaError
from partitions.records import BatchHeader, build_batch, parse_header, stamp
from partitions.records.record import Record
from partitions.replicas.handover import Begun, Move
from partitions.replicas.interface import (
    ActiveProducer,
    AppendOutcome,
    DiskUsage,
    EpochEnd,
    TimestampedOffset,
    TrimOutcome,
)
from partitions.security import AllowAll, Caller, Operation, Resource
from raftlog.types import Buffer, ReplicaId


class ManualTimer:
    """A callback that the test's clock will run."""

    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self.callback = None


class ManualReactor:
    """Time moves only by `advance`; deferred calls run only in `settle` or `advance`."""

    def __init__(self) -> None:
        self.random = Random(1)
        self._now = 1_000_000
        self._heap: list[tuple[int, int, ManualTimer]] = []
        self._soon: list[Callable[[], None]] = []
        self._sequence = 0

    def now_us(self) -> int:
        return self._now

    def wall_ms(self) -> int:
        return 1_700_000_000_000 + self._now // 1000

    def call_at(self, when_us: int, callback: Callable[[], None]) -> ManualTimer:
        timer = ManualTimer(callback)
        self._sequence += 1
        heappush(self._heap, (when_us, self._sequence, timer))
        return timer

    def call_soon(self, callback: Callable[[], None]) -> None:
        self._soon.append(callback)

    def offload(self, job: object, done: object, *, background: bool = False) -> None:
        raise AssertionError("handlers use no storage thread")

    def settle(self) -> None:
        """The end of the pass."""
        while self._soon:
            self._soon.pop(0)()

    def advance(self, duration_us: int) -> None:
        """Run everything that falls due within the next `duration_us`."""
        end = self._now + duration_us
        self.settle()
        while self._heap and self._heap[0][0] <= end:
            when, _, timer = heappop(self._heap)
            self._now = max(self._now, when)
            if timer.callback is not None:
                timer.callback()
            self.settle()
        self._now = end

    @property
    def armed(self) -> int:
        """Timers that would still run something."""
        return sum(timer.callback is not None for _, _, timer in self._heap)


class FakeReplica:
    """A leader whose commits the test decides."""

    def __init__(self, topic: str, topic_id: bytes, partition: int, group: int) -> None:
        self.topic = topic
        self.topic_id = topic_id
        self.partition = partition
        self.group = group
        self.is_leader = True
        self.leader_epoch = 5
        self.leader_node: int | None = 1
        self.max_message_bytes = 100_000
        self.config = topic_config({}, BrokerLayers())
        self.log_start_offset = 0
        self.high_watermark = 0
        self.end_offset = 0
        self.batches: list[bytes] = []
        self.appended_acks: list[int] = []
        self.refusal: Exception | None = None
        self.reads: list[tuple[int, int, bool]] = []
        self.epoch_ends: dict[int, EpochEnd] = {}
        self.epochs: dict[int, int] = {}
        """Leader epoch by offset."""
        self.waiting: list[tuple[int, int, Callable[[AppendOutcome], None]]] = []
        self.producers: list[ActiveProducer] = []
        self.trims: list[tuple[int, Callable[[TrimOutcome], None]]] = []
        self.confirms: list[Callable[[bool], None]] = []
        self.watchers: dict[int, Callable[[], None]] = {}

    @property
    def last_stable_offset(self) -> int:
        return self.high_watermark

    def append(
        self,
        batch: memoryview,
        header: BatchHeader,
        *,
        acks: int,
        on_done: Callable[[AppendOutcome], None],
    ) -> AppendOutcome | None:
        if self.refusal is not None:
            raise self.refusal
        base = self.end_offset
        stamp(batch, base, self.leader_epoch)
        self.batches.append(bytes(batch))
        self.appended_acks.append(acks)
        self.end_offset = base + header.span
        if acks == -1:
            self.waiting.append((base, self.end_offset, on_done))
            return None
        return AppendOutcome(ErrorCode.NONE, base, -1, self.log_start_offset)

    def store(self, count: int = 1, value: bytes = b"v" * 10) -> None:
        """Append a committed batch of `count` records."""
        self.keep([Record(-1, 1000 + n, None, value, ()) for n in range(count)])

    def keep(self, records: list[Record]) -> None:
        """Append a committed batch of `records`."""
        batch = build_batch(records, base_timestamp=1000)
        stamp(batch, self.end_offset, self.leader_epoch)
        self.batches.append(bytes(batch))
        self.end_offset += len(records)
        self.commit()

    def commit(self) -> None:
        """Everything appended is committed."""
        self.high_watermark = self.end_offset
        waiting, self.waiting = self.waiting, []
        for base, _, on_done in waiting:
            on_done(AppendOutcome(ErrorCode.NONE, base, -1, self.log_start_offset))
        self.wake()

    def lose(self) -> None:
        """Leadership goes; the fate of what was not committed is unknown."""
        self.is_leader = False
        waiting, self.waiting = self.waiting, []
        for _, _, on_done in waiting:
            code = ErrorCode.NOT_LEADER_OR_FOLLOWER
            on_done(AppendOutcome(code, -1, -1, -1, "the leadership was lost"))
        self.wake()

    def confirm(self, on_done: Callable[[bool], None]) -> None:
        self.confirms.append(on_done)

    def knows_producer(self, producer_id: int) -> bool:
        return any(parse_header(batch).producer_id == producer_id for batch in self.batches)

    def active_producers(self) -> list[ActiveProducer]:
        return self.producers

    def wake(self) -> None:
        watchers, self.watchers = self.watchers, {}
        for callback in watchers.values():
            callback()

    def read(self, offset: int, max_bytes: int, *, at_least_one: bool) -> Buffer:
        self.reads.append((offset, max_bytes, at_least_one))
        if not self.log_start_offset <= offset <= self.high_watermark:
            raise KafkaError(ErrorCode.OFFSET_OUT_OF_RANGE, f"{offset} is out of range")
        data, room = bytearray(), max_bytes
        for batch in self.batches:
            header = parse_header(batch)
            if header.next_offset <= offset or header.next_offset > self.high_watermark:
                continue
            if len(batch) > room and (data or not at_least_one):
                break
            data += batch
            room -= len(batch)
        return bytes(data)

    def watch(self, callback: Callable[[], None]) -> Callable[[], None]:
        key = len(self.watchers) + 1 + max(self.watchers, default=0)
        self.watchers[key] = callback

        def forget() -> None:
            self.watchers.pop(key, None)

        return forget

    def offset_for_timestamp(self, timestamp_ms: int) -> TimestampedOffset | None:
        return TimestampedOffset(timestamp_ms + 1, 7) if timestamp_ms < 5000 else None

    def max_timestamp(self) -> TimestampedOffset | None:
        return TimestampedOffset(4999, 9)

    def end_of_epoch(self, epoch: int) -> EpochEnd | None:
        return self.epoch_ends.get(epoch)

    def epoch_at(self, offset: int) -> int:
        return self.epochs.get(offset, -1)

    def delete_records(self, offset: int, on_done: Callable[[TrimOutcome], None]) -> None:
        self.trims.append((offset, on_done))


class Denying(AllowAll):
    """Refuses operations named by the test."""

    def __init__(self, *denied: tuple[Operation, str]) -> None:
        self.denied = list(denied)

    def authorize(self, caller: Caller, operation: Operation, resource: Resource) -> bool:
        return (operation, resource.name) not in self.denied


class FakeServices:
    """Node 1 of brokers 1 and 2 (and 3, fenced)."""

    def __init__(self) -> None:
        self.node_id = 1
        self.cluster_id = "test-cluster"
        self.settings = ApiSettings()
        self.reactor = ManualReactor()
        self.deadlines = Deadlines(self.reactor)
        self.authorizer: AllowAll = AllowAll()
        self.response_budget = ByteBudget(1 << 30)
        self.poll_budget = ByteBudget(1 << 30)
        self.refused_batches = RefusedBatches()
        self.metadata_cache = MetadataCache()
        self.offsets_topic = OffsetsTopic()
        self.group_settings = CoordinatorSettings()
        self.catching_up: list[Callable[[bool], None]] = []
        """Coordinators that wait for the image."""
        self.groups = GroupCoordinators(
            self.reactor,
            self.image,
            self.catching_up.append,
            lambda: self.group_settings,
            600_000_000,
        )
        self.leaders_version = 0
        self.leaders: dict[int, Leader] = {}
        self.replicas: dict[tuple[bytes, int], FakeReplica] = {}
        self.offline: set[tuple[int, int]] = set()
        """(group, node)"""
        self.controller: int | None = 2
        self.calls: list[tuple[str, Mapping[str, Any], Callable[[ControllerReply], None]]] = []
        self.allocations: list[Callable[[ProducerIdReply], None]] = []
        self.quorum_questions: list[Callable[[QuorumReply], None]] = []
        self.moves: list[tuple[int, list[Move], Callable[[Begun], None]]] = []
        """Leaderships that node (first) was asked to give away."""
        self.log_directory = "/data/1"
        self.usage: DiskUsage | None = DiskUsage(1000, 400, ())
        """None: the file system does not answer."""
        self.brokers = {node: broker(node, fenced=node == 3) for node in (1, 2, 3)}
        self.topics: dict[str, Topic] = {}
        self._image = MetadataImage()
        self.refresh()

    def refresh(self) -> None:
        """A new image of the present brokers and topics."""
        self._image = MetadataImage(
            position=self._image.position._replace(index=self._image.position.index + 1),
            cluster=Cluster(self.cluster_id, 1),
            brokers=dict(self.brokers),
            topics={topic.topic_id: topic for topic in self.topics.values()},
            topic_ids={topic.name: topic.topic_id for topic in self.topics.values()},
        )

    def replace_image(self, image: MetadataImage) -> None:
        """An image of the test's own."""
        self._image = image

    def add_topic(self, name: str, partitions: int = 1) -> list[FakeReplica]:
        """A topic whose partitions node 1 leads; its replicas."""
        topic_id = name.encode()[:16].ljust(16, b"\0")
        first = 100 * (len(self.topics) + 1)
        nodes = tuple(ReplicaId(node, bytes([node]) * 16) for node in (1, 2, 3))
        self.topics[name] = Topic(
            topic_id, name, tuple(Partition(first + n, nodes, 0) for n in range(partitions))
        )
        replicas = [FakeReplica(name, topic_id, n, first + n) for n in range(partitions)]
        for replica in replicas:
            self.replicas[topic_id, replica.partition] = replica
            self.lead(replica.group, 5, 1)
        self.refresh()
        return replicas

    def lead(self, group: int, term: int, node: int) -> None:
        self.leaders[group] = Leader(term, node)
        self.leaders_version += 1

    def image(self) -> MetadataImage:
        return self._image

    def leader(self, group: int) -> Leader | None:
        return self.leaders.get(group)

    def replica(self, topic_id: bytes, partition: int) -> FakeReplica | None:
        return self.replicas.get((topic_id, partition))

    def is_offline(self, group: int, replica: ReplicaId | None = None) -> bool:
        node = self.node_id if replica is None else replica.node
        return (group, node) in self.offline

    def controller_id(self) -> int | None:
        return self.controller

    def call_controller(
        self,
        operation: str,
        arguments: Mapping[str, Any],
        on_done: Callable[[ControllerReply], None],
    ) -> None:
        self.calls.append((operation, arguments, on_done))

    def allocate_producer_id(self, on_done: Callable[[ProducerIdReply], None]) -> None:
        self.allocations.append(on_done)

    def describe_quorum(self, on_done: Callable[[QuorumReply], None]) -> None:
        self.quorum_questions.append(on_done)

    def hand_over(
        self, leader: int, moves: Sequence[Move], on_done: Callable[[Begun], None]
    ) -> None:
        self.moves.append((leader, list(moves), on_done))

    def disk_usage(self) -> DiskUsage:
        if self.usage is None:
            raise OSError("the disk is gone")
        return self.usage

    def topic_configs(self, name: str) -> Mapping[str, ConfigEntry]:
        return topic_entries({}, BrokerLayers())

    def broker_configs(self) -> Mapping[str, ConfigEntry]:
        return broker_entries(BrokerLayers())


def broker(node: int, *, fenced: bool = False) -> Broker:
    """A broker with two listeners."""
    listeners = (
        Listener("PLAIN", f"host{node}", 9000 + node, "PLAINTEXT"),
        Listener("INSIDE", f"inside{node}", 7000 + node, "PLAINTEXT"),
    )
    return Broker(
        BrokerRegistered(
            node=node,
            directory=bytes([node]) * 16,
            incarnation=bytes(16),
            listeners=listeners,
            peer_host="peer",
            peer_port=1,
            rack=f"rack{node}",
            features=(),
            epoch=node,
        ),
        fenced=fenced,
    )
