"""Brings this broker's replicas in line with the metadata image.

A partition whose assignment names this broker's (node, directory) gets a replica: its files are
made, its creation is made durable in the write-ahead log, and only then its Raft group runs. A
deleted topic's groups stop, then their files go. Peers cannot create or remove anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from metadata.configs import BrokerLayers, TopicConfig, topic_config
from metadata.image import ImageDelta, MetadataImage, Partition, Topic
from metadata.records import ResourceType
from partitions.replicas.creation import PARTITIONS_DIRECTORY, Creation
from partitions.replicas.directories import remove_directory, remove_orphans, sync_files
from partitions.replicas.diskguard import DiskGuard
from partitions.replicas.insync import InsyncGate
from partitions.replicas.interface import DiskUsage
from partitions.replicas.offline import OfflineReplica, report
from partitions.replicas.ondisk import disk_usage, segments_bytes
from partitions.replicas.preferred import PreferredLeaders
from partitions.replicas.replica import PartitionReplica
from partitions.replicas.traffic import Traffic
from partitions.storage import FileCache, LogConfig, PartitionLog
from raftlog.core import members_of
from raftlog.disk.wal import RecoveredGroup
from raftlog.engine import Engine, Group
from raftlog.errors import CorruptLog
from raftlog.seams import FileSystem, Reactor
from raftlog.types import METADATA_GROUP, NO_HARD_STATE, Entry, ReplicaId

PREFERRED_DELAY_US = 100_000
"""After a start, preferred leaders wait this long for connections before they campaign."""


class ReplicaSettings(NamedTuple):
    """What replicas need of the broker's settings."""

    directory: str = "log.dirs"
    """The data directory's name, for messages."""
    free_bytes_min: int = 0
    """Space kept free on its disk; see `diskguard`."""
    producer_expiration_ms: int = 24 * 3600 * 1000
    rebalance_interval_us: int = 0
    """How often leaderships are given back to preferred replicas; 0: never."""


class ReplicaManager:
    """All partition replicas of a broker, by group and by (topic id, partition)."""

    def __init__(
        self,
        engine: Engine,
        fs: FileSystem,
        reactor: Reactor,
        me: ReplicaId,
        layers: Callable[[], BrokerLayers],
        led: Callable[[int, int], None],
        settings: ReplicaSettings,
        fail: Callable[[str], None],
    ) -> None:
        """`led(group, term)` is called for every leadership confirmed here; `fail(reason)` ends
        the broker."""
        self._engine = engine
        self._fs = fs
        self._reactor = reactor
        self._me = me
        self._files = FileCache(fs)
        self._insync = InsyncGate(reactor, engine.links.serves)
        self._settings = settings
        self._guard = DiskGuard(
            fs, reactor, settings.directory, settings.free_bytes_min, engine.refuse_entries, fail
        )
        self._preferred = PreferredLeaders(
            engine, reactor, self._running_groups, settings.rebalance_interval_us
        )
        self._layers = layers
        self._led = led
        self.on_leadership: Callable[[PartitionReplica], None] = lambda replica: None
        """Called when a leadership was confirmed here, and when it was lost."""
        self.replicas: dict[int, PartitionReplica] = {}
        self._by_partition: dict[tuple[bytes, int], PartitionReplica] = {}
        self.offline: dict[int, OfflineReplica] = {}
        """Copies out of service, by group; they are in neither of the two above."""
        self.former_traffic = Traffic()
        """Of the copies that this broker held before."""

    def replica(self, topic_id: bytes, partition: int) -> PartitionReplica | None:
        """This broker's copy, None when it holds none."""
        return self._by_partition.get((topic_id, partition))

    def is_offline(self, group: int, replica: ReplicaId | None = None) -> bool:
        """Is `replica`'s copy of a partition (None: this broker's) out of service?

        A leader also knows who is no member: of the target assignment some may not be one yet, or
        not any more (after a forced recovery).
        """
        led = self.replicas.get(group)
        if replica is not None and led is not None and led.is_leader:
            if replica not in members_of(led.group_handle.node.configuration):
                return True
        return self._engine.links.is_offline(replica or self._me, group)

    def disk_usage(self) -> DiskUsage:
        """What is on the disk here. Raises OSError when the file system does not say."""
        return disk_usage(self._fs, self.replicas.values(), self.offline.values())

    @property
    def offline_version(self) -> int:
        """Changes whenever an answer of `is_offline` does."""
        return self._engine.links.offline_version

    def prepare(self) -> None:
        """Make the directory of partitions."""
        self._fs.mkdir(PARTITIONS_DIRECTORY)
        self._fs.sync_directory("")

    def start_timers(self) -> None:
        """From now on watch the disk, and give leaderships back if that is wanted."""
        self._guard.start()
        self._preferred.start()

    @property
    def disk_nearly_full(self) -> bool:
        """Are clients' writes refused for want of space?"""
        return self._guard.low

    def running(self) -> list[PartitionReplica]:
        """The copies whose group runs."""
        return list(self._by_partition.values())

    def _running_groups(self) -> list[Group]:
        return [replica.group_handle for replica in self._by_partition.values()]

    # --- start

    def open(
        self, recovered: Mapping[int, RecoveredGroup], image: MetadataImage
    ) -> dict[int, PartitionReplica]:
        """Open the partitions' files at their checkpoints; the caller then calls `replay`.

        Left out are groups that were offline before the restart, or whose files are damaged.
        """
        opened = {}
        for group, known in sorted(recovered.items()):
            if group == METADATA_GROUP:
                continue
            creation = Creation.decode(known.creation)
            reason = known.offline
            try:
                if not reason:
                    opened[group] = self._open(group, creation, known, image)
            except CorruptLog as error:
                reason = str(error)
            if reason:
                self._found_offline(group, creation, reason)
        return opened

    def replay(self, group: int, replica: PartitionReplica, entries: list[Entry]) -> None:
        """Entries of the write-ahead log; one that does not fit takes the group offline."""
        if group in self.offline:
            return
        try:
            replica.log.append(entries)
            replica.appended(entries)
        except CorruptLog as error:
            replica.log.close()
            creation = Creation(replica.topic_id, replica.topic, replica.partition, ())
            self._found_offline(group, creation, str(error))

    def _found_offline(self, group: int, creation: Creation, reason: str) -> None:
        path = creation.path(group)
        sync_files(self._files.fs, path)
        size = segments_bytes(self._fs, path)
        topic_id, topic, number, _ = creation
        self._set_offline(OfflineReplica(group, topic, topic_id, number, path, size, reason))
        self._engine.add_offline(group, reason)

    def _set_offline(self, replica: OfflineReplica) -> None:
        self.offline[replica.group] = replica
        report(replica, self._settings.directory)

    def _open(
        self, group: int, creation: Creation, recovered: RecoveredGroup, image: MetadataImage
    ) -> PartitionReplica:
        config = self._config(image, creation.topic)
        partition_log = self._open_log(group, creation, recovered, config)
        return self._add(creation, partition_log, config)

    def start(
        self, opened: Mapping[int, PartitionReplica], recovered: Mapping[int, RecoveredGroup]
    ) -> None:
        """Run the recovered groups, those apart that the replay took offline."""
        for group, replica in opened.items():
            if group in self.offline:
                continue
            known = recovered[group]
            replica.group_handle = self._engine.add_group(
                group, replica.log, replica, known.hard_state
            )
            self._register(group, replica)

    def remove_orphans(self, known: Iterable[int]) -> None:
        """Delete directories of groups whose creation or removal a crash interrupted."""
        remove_orphans(self._files.fs, known)

    # --- image

    def image_changed(self, image: MetadataImage, delta: ImageDelta) -> None:
        """Create, remove and configure replicas."""
        for topic in delta.topics_deleted:
            for partition in topic.partitions:
                self._remove(partition.group)
        for change in delta.partitions_assigned:
            if change.before is None:
                self._consider(image, change.topic, change.number, change.after)
        for resource in delta.configs_changed:
            if resource.type is ResourceType.TOPIC:
                self._configure(image, resource.name)

    def reconfigure(self, image: MetadataImage, settings: ReplicaSettings) -> None:
        """This broker's settings changed, with them the defaults of topics."""
        self._settings = settings
        self._guard.set_minimum(settings.free_bytes_min)
        self._preferred.set_interval(settings.rebalance_interval_us)
        for topic in image.topics.values():
            self._configure(image, topic.name)

    def reconcile(self, image: MetadataImage) -> None:
        """Compare everything with `image`: after a start, or when changes were missed."""
        held = [*self.replicas, *self.offline]
        for group in [g for g in held if g < image.next_group_id and not image.group(g)]:
            self._remove(group)
        for topic in image.topics.values():
            for number, partition in enumerate(topic.partitions):
                self._consider(image, topic, number, partition)
            self._configure(image, topic.name)

    def _consider(
        self, image: MetadataImage, topic: Topic, number: int, partition: Partition
    ) -> None:
        group = partition.group
        if self._me not in partition.replicas or group in self.replicas or group in self.offline:
            return
        creation = Creation(topic.topic_id, topic.name, number, partition.replicas)
        config = self._config(image, topic.name)
        wal = self._engine.wal
        wal.stage_create(group, creation.encode())
        if not wal.last_round:
            # An observer's first, ever: directories of partitions tell a lost log from a new one.
            wal.write_round()
            wal.sync_job()()
        try:
            partition_log = self._open_log(group, creation, None, config)
        except CorruptLog as error:
            self._found_offline(group, creation, str(error))
            return
        replica = self._add(creation, partition_log, config)
        self.replicas[group] = replica
        self._engine.after_durable(lambda: self._created(group, replica, creation))

    def _created(self, group: int, replica: PartitionReplica, creation: Creation) -> None:
        if self.replicas.get(group) is not replica:
            return  # deleted in the meantime
        replica.group_handle = self._engine.add_group(group, replica.log, replica, NO_HARD_STATE)
        self._register(group, replica)
        drains = self._engine.links.drains
        if next((v for v in creation.voters if not drains(v.node)), None) == self._me:
            replica.group_handle.node.campaign(self._reactor.now_us())
            replica.group_handle.mark_dirty()

    def campaign_preferred(self) -> None:
        """After a start: campaign for the groups this broker is the preferred leader of."""
        if self._engine.links.drains(self._me.node):
            return
        for replica in self._by_partition.values():  # those whose group runs already
            node = replica.group_handle.node
            if node.leader is None and node.configuration.voters[0] == self._me:
                node.campaign(self._reactor.now_us())
                replica.group_handle.mark_dirty()

    def _remove(self, group: int) -> None:
        offline = self.offline.pop(group, None)
        if offline is not None:
            self._engine.remove_group(group)
            self._delete_later(offline.path)
            return
        replica = self.replicas.pop(group, None)
        if replica is None:
            return
        self._by_partition.pop((replica.topic_id, replica.partition), None)
        if group in self._engine.groups:
            self._engine.remove_group(group)
        replica.retire()
        self.former_traffic.add(replica.traffic)
        replica.log.close()
        self._delete_later(replica.log.path)

    def _delete_later(self, path: str) -> None:
        """Once it is durable that the group is gone."""
        self._engine.after_durable(lambda: remove_directory(self._files.fs, path))

    def _configure(self, image: MetadataImage, topic: str) -> None:
        known = image.topic(topic)
        if known is None:
            return
        config = self._config(image, topic)
        for partition in known.partitions:
            replica = self.replicas.get(partition.group)
            if replica is not None and replica.config != config:
                replica.config = config
                replica.log.config = self._log_config(config)

    # --- pieces

    def _config(self, image: MetadataImage, topic: str) -> TopicConfig:
        return topic_config(image.topic_config(topic), self._layers())

    def _log_config(self, config: TopicConfig) -> LogConfig:
        return LogConfig(
            segment_bytes=config.segment_bytes,
            segment_ms=config.segment_ms,
            retention_ms=config.retention_ms,
            retention_bytes=config.retention_bytes,
            index_interval_bytes=max(1, config.index_interval_bytes),
            max_message_bytes=config.max_message_bytes,
            producer_expiration_ms=self._settings.producer_expiration_ms,
        )

    def _open_log(
        self, group: int, creation: Creation, known: RecoveredGroup | None, config: TopicConfig
    ) -> PartitionLog:
        return creation.open_log(self._fs, group, known, self._log_config(config), self._files)

    def _add(
        self, creation: Creation, partition_log: PartitionLog, config: TopicConfig
    ) -> PartitionReplica:
        return PartitionReplica(
            creation.topic,
            creation.topic_id,
            creation.partition,
            partition_log,
            config,
            self._reactor,
            self._insync,
            self._guard,
            self._leadership,
            self._went_offline,
        )

    def _leadership(self, replica: PartitionReplica) -> None:
        if replica.is_leader:
            self._led(replica.group, replica.leader_epoch)
        self.on_leadership(replica)

    def _went_offline(self, replica: PartitionReplica, reason: str) -> None:
        group, path = replica.group, replica.log.path
        del self.replicas[group], self._by_partition[(replica.topic_id, replica.partition)]
        self.former_traffic.add(replica.traffic)
        topic, topic_id, number = replica.topic, replica.topic_id, replica.partition
        size = replica.log.size_bytes
        self._set_offline(OfflineReplica(group, topic, topic_id, number, path, size, reason))

    def _register(self, group: int, replica: PartitionReplica) -> None:
        self.replicas[group] = replica
        self._by_partition[(replica.topic_id, replica.partition)] = replica

    # --- retention

    def enforce_retention(self) -> None:
        """Let every partition led here propose the log start its retention asks for.

        What trims left on disk goes at once: a partition at rest would never be asked to sync.
        """
        now_ms = self._reactor.wall_ms()
        for replica in list(self._by_partition.values()):
            if replica.is_leader:
                target = replica.log.retention_target(now_ms, replica.high_watermark)
                if target is not None:
                    replica.trim_to(target)
            if replica.log.has_garbage:
                self._engine.checkpoint(replica.group_handle)


__all__ = ["METADATA_GROUP", "Creation", "ReplicaManager", "ReplicaSettings"]
