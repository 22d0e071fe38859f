"""A whole broker on its seams: no socket, no thread, no clock of its own.

The host (trio, or a simulation) gives it a disk, a reactor and a transport, tells it about
peers and clients, and it does everything else. Three of these run in one simulated process.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import structlog

from metadata.configs import BrokerSettings
from metadata.image import ImageDelta, MetadataImage
from metadata.live import LiveSettings
from metadata.quorum.application import MetadataApplication, open_log
from metadata.quorum.client import BrokerLife, ControllerClient, Registration
from metadata.quorum.controller import Controller, ControllerSettings
from metadata.quorum.description import QuorumDescriber
from metadata.quorum.fetch import MetadataSource
from metadata.quorum.image_holder import ImageHolder
from metadata.quorum.observer import MetadataObserver
from metadata.quorum.position import serve_position
from metadata.quorum.rpc import Rpc
from metadata.quorum.spread import LeaderSpread
from metadata.records import Listener
from partitions.replicas.draining import Draining
from partitions.replicas.handover import Handover
from partitions.replicas.manager import PREFERRED_DELAY_US, ReplicaManager
from partitions.server.derived import live_static, replica_settings, timing, topic_defaults
from partitions.server.directory import WAL_DIRECTORY, refuse_lost_log
from partitions.server.every import Every
from partitions.server.services import BrokerServices
from raftlog.disk.properties import Properties
from raftlog.disk.wal import Recovered, Wal
from raftlog.engine import Engine, Transport
from raftlog.errors import DiskFailed, Misconfigured
from raftlog.ready import SoftState
from raftlog.seams import FileSystem, Reactor
from raftlog.storage import GroupLog
from raftlog.types import (
    METADATA_GROUP,
    NO_HARD_STATE,
    Entry,
    ReplicaId,
)

log = structlog.get_logger()

READY_POLL_US = 10_000
INLINE_SYNC_BELOW_US = 500
"""A disk that syncs faster than this blocks the loop for less than a thread would cost."""


class Addresses(NamedTuple):
    """What this broker's listeners turned out to be, once bound."""

    listeners: tuple[Listener, ...]
    """Advertised, in the order of the settings."""
    peer_host: str
    peer_port: int


class Broker:
    """Built, then `start`ed; everything on the reactor's loop thread."""

    def __init__(
        self,
        settings: BrokerSettings,
        properties: Properties,
        addresses: Addresses,
        fs: FileSystem,
        reactor: Reactor,
        transport: Transport,
        fail: Callable[[str], None],
    ) -> None:
        """Recovers what is on the disk (blocking). `fail(reason)` ends the process."""
        self.me = properties.replica
        self._settings = settings
        self._reactor = reactor
        self._fail = fail
        self.on_peers_changed: Callable[[MetadataImage], None] = lambda image: None
        self.on_reconfigured: Callable[[], None] = lambda: None
        """Called when settings of this broker changed."""
        part_bytes = settings.integer("wal.part.bytes")
        self._wal, recovered = Wal.open(
            fs, WAL_DIRECTORY, part_bytes=part_bytes, random=reactor.random
        )
        if not recovered.last_round:
            refuse_lost_log(fs)
        self._allocate_wal()
        self.engine = self._make_engine(transport)
        self.rpc = Rpc(reactor, self.me, self.engine.send_app_frame)
        self.engine.on_app_frame = self.rpc.receive
        self._voters = tuple([ReplicaId(v.node_id, v.directory_id) for v in properties.voters])
        own = self._make_metadata(fs, recovered)
        self._voter = own if isinstance(own, MetadataApplication) else None
        self._observer = own if isinstance(own, MetadataObserver) else None
        self.metadata: ImageHolder = own
        static = live_static(settings, properties)
        self.live = LiveSettings(static, self.me.node, lambda: self.metadata.image)
        self.spread = LeaderSpread(reactor, self.rpc, self.me, lambda: self.metadata.image)
        self.draining = Draining(reactor, self.rpc, self.engine, self.me)
        self.manager = self._make_manager(fs)
        self._retention = Every(reactor, self._retention_interval_us, self._enforce_retention)
        self._client = ControllerClient(reactor, self.rpc, self.metadata, self.engine.links.is_up)
        self._life = self._make_life(addresses)
        if self._voter is not None:
            self._controller = self._make_controller(properties, self._voter)
            self._source = self._make_source(self._voter)
        self.services = self._make_services(properties)
        self.metadata.watch(self._image_changed)
        self.metadata.watch_leadership(self._metadata_leadership)
        self._recover(recovered)

    # --- building

    def _allocate_wal(self) -> None:
        """Before the first round: a sync that also grows its file costs twice."""
        allocate = self._wal.prepare_spare_job()
        if allocate is not None:
            allocate()

    def _make_engine(self, transport: Transport) -> Engine:
        return Engine(
            self.me,
            self._reactor,
            self._wal,
            transport,
            timing(self._settings),
            self._disk_failed,
            inline_sync_below_us=INLINE_SYNC_BELOW_US,
        )

    def _make_manager(self, fs: FileSystem) -> ReplicaManager:
        return ReplicaManager(
            self.engine,
            fs,
            self._reactor,
            self.me,
            self.live.layers,
            self.spread.local,
            replica_settings(self._settings, self.live),
            self._fail,
        )

    def _make_life(self, addresses: Addresses) -> BrokerLife:
        settings = self._settings
        registration = Registration(
            self._reactor.random.randbytes(16),
            addresses.listeners,
            addresses.peer_host,
            addresses.peer_port,
            settings.optional_text("broker.rack"),
        )
        life = BrokerLife(
            self._reactor,
            self._client,
            self.metadata,
            self.me,
            registration,
            interval_us=settings.integer("broker.heartbeat.interval.ms") * 1000,
            timeout_us=settings.integer("broker.session.timeout.ms") * 1000,
        )
        life.on_fatal = self._fail
        return life

    def _make_services(self, properties: Properties) -> BrokerServices:
        return BrokerServices(
            properties,
            self.live,
            self._reactor,
            self.metadata,
            self._client,
            self._life,
            self.spread,
            self.manager,
            Handover(self.rpc, self.engine, self.manager.replicas),
        )

    def _make_controller(self, properties: Properties, voter: MetadataApplication) -> Controller:
        settings = self._settings
        session_us = settings.integer("broker.session.timeout.ms") * 1000
        wanted = ControllerSettings(
            properties.cluster_id,
            lambda: topic_defaults(self.live),
            session_us,
            properties.abandoned,
        )
        return Controller(self._reactor, self.rpc, voter, wanted)

    def _make_source(self, voter: MetadataApplication) -> MetadataSource:
        source = MetadataSource(self._reactor, self.rpc, voter)
        QuorumDescriber(self._reactor, self.rpc, voter, source)
        serve_position(self.rpc, voter)
        return source

    def _make_metadata(
        self, fs: FileSystem, recovered: Recovered
    ) -> MetadataApplication | MetadataObserver:
        """A voter's copy of the image, on its log, or an observer's, in memory."""
        if self.me in self._voters:
            between = self._settings.integer("metadata.log.max.record.bytes.between.snapshots")
            known = recovered.groups.get(METADATA_GROUP)
            return MetadataApplication(open_log(fs, known, self._voters), between)
        if not self._voters:
            raise Misconfigured(
                "meta.properties names no voters, so this broker can never find a cluster: "
                "format the directory with --voter for each broker of the metadata quorum"
            )
        if METADATA_GROUP in recovered.groups:
            raise Misconfigured(
                "this directory holds a voter's part of the metadata quorum, but meta.properties "
                "does not name it as a voter: restore the file from a copy. If `quorate cluster "
                "recover --follow` was interrupted here, repeat it"
            )
        is_up = self.engine.links.is_up
        return MetadataObserver(self._reactor, self.rpc, self._voters, is_up, self._fail)

    def _recover(self, recovered: Recovered) -> None:
        """Open every group at its checkpoint, replay the write-ahead log, then run them."""
        self.manager.prepare()
        partitions = self.manager.open(recovered.groups, self.metadata.image)
        logs: dict[int, GroupLog] = {g: replica.log for g, replica in partitions.items()}
        if self._voter is not None:
            logs[METADATA_GROUP] = self._voter.log
        opened = {group: logs[group].last() for group in recovered.groups if group in logs}

        def deliver(group: int, entries: list[Entry]) -> None:
            if group == METADATA_GROUP:
                logs[group].append(entries)
            else:
                self.manager.replay(group, partitions[group], entries)

        for group in recovered.replay(opened, deliver):
            if group not in self.manager.offline:
                self._wal.stage_reset(group, logs[group].snapshot())
        if recovered.last_round:  # a new log knows of no partition: it is no witness against one
            self.manager.remove_orphans(recovered.groups)
        if self._voter is not None:
            self._start_metadata(recovered, self._voter)
        self.manager.start(partitions, recovered.groups)

    def _start_metadata(self, recovered: Recovered, voter: MetadataApplication) -> None:
        known = recovered.groups.get(METADATA_GROUP)
        if known is None:
            self._wal.stage_create(METADATA_GROUP, b"")
            self._wal.write_round()
            self._wal.sync_job()()
        voter.on_offline = self._metadata_offline
        hard_state = NO_HARD_STATE if known is None else known.hard_state
        voter.start(self.engine, METADATA_GROUP, hard_state)

    # --- running

    def start(self) -> None:
        """Begin to talk: register, campaign, look after retention."""
        if self._observer is not None:
            self._observer.start()
        self._life.start()
        self.draining.want(self.live.switch("broker.drain.enable"))
        self._at(PREFERRED_DELAY_US, self.manager.campaign_preferred)
        self._retention.start()
        self.services.groups.start()
        self.manager.start_timers()

    def when_ready(self, callback: Callable[[], None]) -> None:
        """Call back once the image holds this process, unfenced.

        Before that the image may lack topics that exist and leaders that changed while the
        broker was away: a client would be told that they are gone.
        """
        if self.registered:
            callback()
        else:
            self._at(READY_POLL_US, lambda: self.when_ready(callback))

    @property
    def registered(self) -> bool:
        """The image here holds this process, unfenced."""
        mine = self.metadata.image.brokers.get(self.me.node)
        return self._life.caught_up and mine is not None and not mine.fenced

    @property
    def connected_controller(self) -> int | None:
        """The controller's node, if one is known and connected."""
        return self._client.controller() if self._client.reachable() else None

    def is_controller(self) -> bool:
        """Is this broker the controller?"""
        return self._voter is not None and self._controller.active

    def _at(self, delay_us: int, callback: Callable[[], None]) -> None:
        self._reactor.call_at(self._reactor.now_us() + delay_us, callback)

    def _enforce_retention(self) -> None:
        if self._life.caught_up:  # an outdated image could name a shorter retention
            self.manager.enforce_retention()

    def _retention_interval_us(self) -> int:
        return self.live.integer("log.retention.check.interval.ms") * 1000

    def _reconfigure(self, image: MetadataImage) -> None:
        """Dynamic settings of this broker changed: let everybody read them again."""
        self.services.settings_changed()
        self.manager.reconfigure(image, replica_settings(self._settings, self.live))
        self._retention.interval_changed()
        self.draining.want(self.live.switch("broker.drain.enable"))
        self.on_reconfigured()

    def _image_changed(self, image: MetadataImage, delta: ImageDelta) -> None:
        if self.live.touched(delta):
            self._reconfigure(image)
        self.manager.image_changed(image, delta)
        self.spread.image_changed(delta)
        self.services.groups.image_changed(delta)
        if delta.brokers:
            self.on_peers_changed(image)

    def _metadata_leadership(self, state: SoftState) -> None:
        if state.confirmed:
            self.manager.reconcile(self.metadata.image)

    # --- peers, as the host reports them

    def peer_connected(self, replica: ReplicaId) -> None:
        """Both lanes to another broker are up."""
        self.engine.peer_connected(replica)
        self.spread.connected(replica.node)
        self.draining.connected(replica.node)
        if self._observer is not None:
            self._observer.peer_connected(replica)

    def peer_disconnected(self, replica: ReplicaId) -> None:
        """The connection to another broker is gone."""
        self.engine.peer_disconnected(replica)
        self.spread.disconnected(replica.node)
        self.draining.disconnected(replica.node)
        self.rpc.disconnected(replica.node)

    def receive(self, replica: ReplicaId, frame: memoryview) -> None:
        """A frame from another broker. Raises PeerFault."""
        self.engine.receive(replica, frame)

    # --- the end

    def _disk_failed(self, error: DiskFailed) -> None:
        self._fail(f"a disk write failed, this broker cannot keep its promises: {error}")

    def _metadata_offline(self, reason: str) -> None:
        self._fail(f"this broker's copy of the metadata cannot be trusted: {reason}")

    def close(self) -> None:
        """Make everything durable and mark the shutdown as clean. The loop has ended."""
        self.engine.stop()
        self._wal.write_round()
        self._wal.sync_job()()
        self._wal.close(clean=True)
        for group in self.engine.groups.values():
            group.log.close()
