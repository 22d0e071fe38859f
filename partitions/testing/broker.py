"""One broker's life in simulation: its disk, and one incarnation of its process at a time."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from metadata.configs import load_settings
from metadata.image import MetadataImage
from metadata.records import Listener
from partitions.server.broker import Addresses, Broker
from partitions.server.intake import RequestBudget
from partitions.testing.mesh import SimMesh
from partitions.testing.serving import ServerConnection
from partitions.testing.tasks import Promise
from partitions.testing.world import KAFKA_PORT, LISTENER, PEER_PORT, World, host_of, node_of
from raftlog.disk.acquaintances import Acquaintances
from raftlog.disk.properties import Properties, Voter, read_properties, write_properties
from raftlog.engine.handshake import CONTROL, Hello
from raftlog.ready import SoftState
from raftlog.testing.disk import VirtualDisk
from raftlog.testing.reactor import Latency, VirtualProcess, steady_disk
from raftlog.testing.streams import Stream
from raftlog.types import METADATA_GROUP, ReplicaId, Role

CLUSTER_ID = "simulated"
SETTINGS = {
    "log.dirs": "/virtual",
    "peer.listener": f"127.0.0.1:{PEER_PORT}",
    "broker.heartbeat.interval.ms": "200",
    "broker.session.timeout.ms": "1500",
    "wal.part.bytes": str(1024 * 1024),
    "offsets.topic.num.partitions": "3",
    "group.initial.rebalance.delay.ms": "200",
    "group.min.session.timeout.ms": "1000",
}
"""Short sessions, so that little virtual time passes before a dead broker is fenced."""
REWRITE_BYTES = 4_000
"""Logs of groups are shortened after this much."""
DRAIN_LIMIT_US = 5_000_000
_CLOCK_SPREAD_US = 3_600_000_000


class SimBroker:
    """`format` once; then `start`, and `crash`, `kill` or `stop`, as often as wanted."""

    def __init__(self, world: World, node: int, settings: dict[str, str] | None = None) -> None:
        """`settings` go on top of SETTINGS."""
        self.node = node
        self.replica = ReplicaId(node, Random(f"directory/{world.seed}/{node}").randbytes(16))
        self.disk = VirtualDisk(Random(f"disk/{world.seed}/{node}"))
        self.latency: Latency = steady_disk
        """Of the disk, from the next start on; see also `slow`."""
        self.process: VirtualProcess | None = None
        self.broker: Broker
        self.mesh: SimMesh
        self.starts = 0
        self.failure: str | None = None
        """Why the last incarnation ended itself."""
        self._world = world
        self._settings = {**SETTINGS, **(settings or {}), "node.id": str(node)}
        self._connections = self._disks = self._formattings = 0
        self._led: dict[int, tuple[int, int]] = {}

    @property
    def running(self) -> bool:
        """Is there a process?"""
        return self.process is not None and self.process.alive

    def format(self, voters: list[SimBroker], recovery: str = "") -> None:
        """Write `meta.properties`."""
        founders = tuple(
            [Voter(b.node, b.replica.directory, host_of(b.node), PEER_PORT) for b in voters]
        )
        self._formattings += 1
        formatting = Random(f"{self._world.seed}/{self.node}/{self._formattings}").randbytes(16)
        properties = Properties(CLUSTER_ID, self.node, self.replica.directory, founders, recovery)
        write_properties(self.disk, properties._replace(formatting=formatting))

    def wipe(self) -> None:
        """An empty disk under the old directory id, to be formatted: what nobody should do."""
        directory = self.replica
        self.lose_disk()
        self.replica = directory

    def lose_disk(self) -> VirtualDisk:
        """From now on another, empty disk, to be formatted. Returns the one that is lost."""
        assert not self.running, f"broker {self.node} runs"
        former = self.disk
        self._disks += 1
        name = f"{self._world.seed}/{self.node}/{self._disks}"
        self.disk = VirtualDisk(Random(f"disk/{name}"))
        self.replica = ReplicaId(self.node, Random(f"directory/{name}").randbytes(16))
        return former

    def find_disk(self, disk: VirtualDisk) -> None:
        """Run on `disk`, formatted before, from the next start on."""
        assert not self.running, f"broker {self.node} runs"
        self.disk = disk
        self.replica = read_properties(disk).replica

    def start(self) -> None:
        """A new process on the disk as it is."""
        assert not self.running, f"broker {self.node} runs already"
        world = self._world
        self.starts += 1
        self.failure = None
        self._led = {}
        offset = Random(f"clock/{world.seed}/{self.node}/{self.starts}").randrange(_CLOCK_SPREAD_US)
        process = self.process = world.reactor.process(
            f"broker{self.node}",
            incarnation=self.starts,
            clock_offset_us=offset,
            latency=self.latency,
        )
        world.note(self.node, "start", self.starts)
        properties = read_properties(self.disk)
        mesh = self.mesh = SimMesh(
            world,
            process,
            Hello(
                CLUSTER_ID,
                self.replica,
                self.starts,
                CONTROL,
                recovery=properties.recovery,
                abandoned=properties.abandoned,
                formatting=properties.formatting,
            ),
            Acquaintances(self.disk),
            frozenset(voter.node_id for voter in properties.voters),
        )
        settings = load_settings(flags=self._settings)
        self._room = RequestBudget(settings.integer("queued.max.request.bytes"))
        broker = self.broker = Broker(
            settings,
            properties,
            _addresses(self.node),
            self.disk,
            process,
            mesh,
            self._failed,
        )
        broker.services.groups.rewrite_bytes_min = REWRITE_BYTES
        mesh.events = broker
        broker.on_peers_changed = _follow_peers(mesh)
        broker.spread.on_change = self._leaders_changed
        broker.metadata.watch_leadership(self._controller_changed)
        mesh.start()
        mesh.set_peers([voter.node_id for voter in properties.voters])
        world.streams.listen(self.node, KAFKA_PORT, process, self._accept)
        broker.start()

    # --- the ends a process can come to

    def crash(self) -> None:
        """Power loss: what was not synced is at risk, and nobody is told."""
        self._end("crash")
        self.disk.crash()

    def kill(self) -> None:
        """kill -9: the page cache stays, the kernel resets the connections."""
        process = self._end("kill")
        self.disk.kill()
        self._world.streams.kill(process)

    async def stop(self) -> None:
        """SIGTERM: hand leaderships over, wait for that as long as a host does, sync, exit."""
        self._world.note(self.node, "stop", self.starts)
        reactor = self._world.reactor
        drained: Promise[None] = Promise()
        self.broker.draining.leave(lambda: drained.resolve(None))
        reactor.post_at(reactor.now_us() + DRAIN_LIMIT_US, lambda: drained.resolve(None))
        await drained
        self.broker.close()
        process = self._end("stopped")
        self.disk.kill()
        self._world.streams.kill(process)

    def slow(self, latency: Latency) -> None:
        """From now on storage jobs take this long, in this incarnation and the next."""
        self.latency = latency
        if self.process is not None:
            self.process.latency = latency

    def _end(self, how: str) -> VirtualProcess:
        process = self.process
        assert process is not None and process.alive, f"broker {self.node} does not run"
        process.crash()
        self.process = None
        self._world.note(self.node, how, self.starts)
        return process

    def _failed(self, reason: str) -> None:
        """The broker ends its own process. The rest of the callback it is in still runs, but
        nothing of that leaves: a dead process neither sends nor writes."""
        if not self.running:
            return
        self.failure = reason
        process = self._end("failed")
        self._world.reactor.call_soon(self.disk.kill)
        self._world.streams.kill(process)

    # --- events

    def _accept(self, stream: Stream[bytes]) -> None:
        process = self.process
        assert process is not None
        self._connections += 1
        services, number = self.broker.services, self._connections
        ServerConnection(self._world, process, self.node, stream, services, self._room, number)

    def _leaders_changed(self) -> None:
        """Note what this broker has learnt of leaders."""
        table = self.broker.spread.table
        for group in self.broker.metadata.image.groups:
            leader = table.leader(group)
            if leader is not None and self._led.get(group) != leader:
                self._led[group] = leader
                self._world.note_leader(self.node, group, leader.term, leader.node)

    def _controller_changed(self, state: SoftState) -> None:
        if state.role is Role.LEADER:
            self._world.note_leader(self.node, METADATA_GROUP, state.term, self.node)


def _addresses(node: int) -> Addresses:
    listener = Listener(LISTENER, host_of(node), KAFKA_PORT, LISTENER)
    return Addresses((listener,), host_of(node), PEER_PORT)


def _follow_peers(mesh: SimMesh) -> Callable[[MetadataImage], None]:
    def changed(image: MetadataImage) -> None:
        hosts = [broker.registration.peer_host for broker in image.brokers.values()]
        mesh.set_peers([node_of(host) for host in hosts])

    return changed
