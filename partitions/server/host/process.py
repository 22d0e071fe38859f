"""The life of a broker process: open the disk, bind, serve, drain, stop."""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
from functools import partial
from pathlib import Path
from typing import NoReturn

import structlog
import trio

from metadata.configs import BrokerSettings, Endpoint
from metadata.image import MetadataImage
from metadata.live import LiveSettings
from metadata.records import Listener as ListenerRecord
from partitions.ops.answering import answer
from partitions.ops.requests import RequestCounters
from partitions.ops.sources import Front
from partitions.server.announcements import Announcements
from partitions.server.broker import Addresses, Broker
from partitions.server.host.admin import AdminPort
from partitions.server.host.connections import ConnectionLimits, Connections
from partitions.server.host.descriptors import raise_limit
from partitions.server.host.ending import end, end_at_next
from partitions.server.host.listener import BACKLOG, Listener, Pump, Shared
from partitions.server.host.notify import Notifier
from partitions.server.host.stalls import Stalls
from partitions.server.intake import RequestBudget
from partitions.server.limits import SessionLimits
from partitions.server.operations import sources_of
from raftlog.disk.acquaintances import Acquaintances
from raftlog.disk.fs import OsFileSystem
from raftlog.disk.properties import DirectoryLock, Properties, read_properties
from raftlog.engine.handshake import CONTROL, Hello
from raftlog.errors import Misconfigured
from raftlog.host import Complaints, Mesh, PeerAddress, TrioReactor
from raftlog.types import ReplicaId

log = structlog.get_logger()

READY_PATIENCE_S = 5.0
READY_PATIENCE_MAX_S = 60.0
"""Between two lines in the log that say what is waited for."""
PEER_PENDING_BYTES_MAX = 64 * 1024 * 1024
EXIT_BROKEN = 70


def run_broker(settings: BrokerSettings) -> None:
    """Serve until SIGTERM or SIGINT. Raises Misconfigured before anything is served."""
    root = Path(settings.text("log.dirs"))
    if not root.is_dir():
        raise Misconfigured(
            f"log.dirs {root}: there is no such directory. Is its disk mounted? A new broker's "
            "is made by `quorate storage format`"
        )
    fs = OsFileSystem(root, sync=not settings.switch("unsafe.no.fsync"))
    try:
        properties = read_properties(fs)
    except Misconfigured as error:
        raise Misconfigured(f"log.dirs {root}: {error}") from error
    if properties.node_id != settings.integer("node.id"):
        raise Misconfigured(
            f"{root} was formatted for node.id {properties.node_id}, "
            f"the settings say {settings.integer('node.id')}"
        )
    with DirectoryLock(root), structlog.contextvars.bound_contextvars(node=properties.node_id):
        trio.run(_Process(settings, fs).run)


class _Process:
    def __init__(self, settings: BrokerSettings, fs: OsFileSystem) -> None:
        self._settings = settings
        self._fs = fs
        self._properties = read_properties(fs)

    async def run(self) -> None:
        settings = self._settings
        sockets = {endpoint.name: _bind(endpoint, "listeners") for endpoint in settings.listeners}
        peer_socket = _bind(settings.peer_listener, "peer.listener")
        endpoint = settings.admin_listener
        admin_socket = None if endpoint is None else _bind(endpoint, "admin.listener")
        reactor = TrioReactor()
        properties = self._properties
        complaints = Complaints(reactor)
        mesh = self._make_mesh(reactor, peer_socket, complaints)
        broker = Broker(
            settings,
            properties,
            self._addresses(sockets, peer_socket),
            self._fs,
            reactor,
            mesh,
            self._die,
        )
        mesh.events = broker
        Announcements(reactor, broker.me.node, broker.metadata, broker.spread)
        mesh.set_peers({v.node_id: PeerAddress(v.host, v.port) for v in properties.voters})
        broker.on_peers_changed = lambda image: mesh.set_peers(_peer_addresses(image))
        limits = SessionLimits(request_bytes_max=settings.integer("socket.request.max.bytes"))
        room = RequestBudget(settings.integer("queued.max.request.bytes"))
        descriptors = raise_limit()
        connections = Connections(reactor, _connection_limits(broker.live, descriptors))
        broker.on_reconfigured = lambda: connections.set_limits(
            _connection_limits(broker.live, descriptors)
        )
        stalls = Stalls(reactor, room, broker.services.response_budget)
        counters = RequestCounters()
        shared = Shared(room, Pump(reactor), connections, stalls, complaints)
        sources = sources_of(broker, counters, lambda: _front(broker, room, connections))
        notifier = Notifier(os.environ, os.getpid())
        listeners = [
            Listener(name, sock, broker.services, limits, shared, counters)
            for name, sock in sockets.items()
        ]
        _tune_interpreter()
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            async with trio.open_nursery() as nursery:
                await nursery.start(reactor.run)
                nursery.start_soon(mesh.run)
                if admin_socket is not None:
                    nursery.start_soon(AdminPort(admin_socket, partial(answer, sources)).run)
                broker.start()
                notifier.watch(reactor)
                nursery.start_soon(_listen_when_ready, broker, mesh, listeners, notifier)
                self._say_started(_ports(sockets, peer_socket, admin_socket))
                await anext(signals)
                nursery.start_soon(end_at_next, signals)
                await end(broker, listeners, connections, notifier)
                nursery.cancel_scope.cancel()
        broker.close()
        log.info("broker stopped", node=properties.node_id)

    def _make_mesh(
        self, reactor: TrioReactor, peer_socket: socket.socket, complaints: Complaints
    ) -> Mesh:
        settings, properties = self._settings, self._properties
        hello = Hello(
            properties.cluster_id,
            properties.replica,
            reactor.random.getrandbits(63),
            CONTROL,
            voters=tuple([ReplicaId(v.node_id, v.directory_id) for v in properties.voters]),
            recovery=properties.recovery,
            abandoned=properties.abandoned,
            formatting=properties.formatting,
        )
        return Mesh(
            hello,
            peer_socket,
            Acquaintances(self._fs),
            voters=frozenset(voter.node_id for voter in properties.voters),
            max_frame_bytes=settings.integer("socket.request.max.bytes") + 1024 * 1024,
            max_pending_bytes=PEER_PENDING_BYTES_MAX,
            finish_pass=reactor.finish_pass,
            complaints=complaints,
        )

    def _addresses(
        self, sockets: dict[str, socket.socket], peer_socket: socket.socket
    ) -> Addresses:
        settings = self._settings
        protocols = settings.security_protocols
        listeners = tuple(
            [
                ListenerRecord(e.name, e.host, e.port or _port(sockets[e.name]), protocols[e.name])
                for e in settings.advertised_listeners
            ]
        )
        peer = settings.peer_advertised_listener
        return Addresses(listeners, peer.host, peer.port or _port(peer_socket))

    def _say_started(self, ports: dict[str, int]) -> None:
        _say_recovered(self._properties)
        node, directory = self._properties.node_id, str(self._fs.root)
        log.info("broker started", node=node, directory=directory, **ports)

    def _die(self, reason: str) -> NoReturn:
        """The broker cannot go on safely: say why and end at once, without cleaning up."""
        log.critical("broker stops", reason=reason, directory=str(self._fs.root))
        os._exit(EXIT_BROKEN)


def _say_recovered(properties: Properties) -> None:
    if not properties.recovery and not properties.abandoned:
        return
    if not properties.abandoned:  # formatted since
        log.info("this cluster went on by a forced recovery", recovery=properties.recovery)
        return
    log.warning(
        "this directory went on by a forced recovery",
        recovery=properties.recovery or "of partitions only",
        refused=[f"{node}:{directory.hex()}" for node, directory in properties.abandoned],
        file="recovery.log, beside meta.properties, says what was forced and when",
    )


def _tune_interpreter() -> None:
    """Spare the collector what lives for ever, and let a finished fdatasync in quickly."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    sys.setswitchinterval(0.0005)


def _connection_limits(settings: LiveSettings, descriptors: int) -> ConnectionLimits:
    return ConnectionLimits(
        settings.integer("max.connections"),
        settings.integer("max.connections.per.ip"),
        settings.integer("connections.max.idle.ms") * 1000,
        descriptors,
    )


async def _listen_when_ready(
    broker: Broker, mesh: Mesh, listeners: list[Listener], notifier: Notifier
) -> None:
    """Accept clients once the broker knows the cluster; say again and again why that takes long.

    The sockets listen from the start: clients that connect earlier wait for their answers.
    """
    ready = trio.Event()
    broker.when_ready(ready.set)
    async with trio.open_nursery() as waiting:
        waiting.start_soon(_say_why, broker, mesh, notifier)
        await ready.wait()
        waiting.cancel_scope.cancel()
    log.info("serving clients", node=broker.me.node)
    notifier.ready("serving clients")
    async with trio.open_nursery() as nursery:
        for listener in listeners:
            nursery.start_soon(listener.run)


async def _say_why(broker: Broker, mesh: Mesh, notifier: Notifier) -> NoReturn:
    """Why clients are not served yet, ever less often."""
    notifier.status("waiting for the metadata quorum")
    patience_s = READY_PATIENCE_S
    while True:
        await trio.sleep(patience_s)
        await mesh.inquire()
        log.warning(
            "not serving clients yet: the metadata quorum does not answer",
            reason=mesh.disagreement() or "is a majority of the voters running and connected?",
            controller=broker.services.controller_id(),
            connected=mesh.connected(),
        )
        patience_s = min(patience_s * 2, READY_PATIENCE_MAX_S)


def _peer_addresses(image: MetadataImage) -> dict[int, PeerAddress]:
    return {
        node: PeerAddress(broker.registration.peer_host, broker.registration.peer_port)
        for node, broker in image.brokers.items()
    }


def _bind(endpoint: Endpoint, setting: str) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in endpoint.host else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((endpoint.host, endpoint.port))
        sock.listen(BACKLOG)
    except OSError as error:
        raise Misconfigured(
            f"{setting}: cannot listen on {endpoint.address}: {error.strerror}. Is another broker "
            "running, or does the address belong to another machine?"
        ) from error
    return sock


def _port(sock: socket.socket) -> int:
    return int(sock.getsockname()[1])


def _ports(
    sockets: dict[str, socket.socket], peer: socket.socket, admin: socket.socket | None
) -> dict[str, int]:
    ports = {name.lower(): _port(sock) for name, sock in sockets.items()}
    ports["peer"] = _port(peer)
    return ports if admin is None else {**ports, "admin": _port(admin)}


def _front(broker: Broker, room: RequestBudget, connections: Connections) -> Front:
    requests, responses = room.statistics(), broker.services.response_budget
    return Front(
        connections.present,
        connections.accepted,
        connections.in_flight(),
        requests.granted_bytes + requests.unanswered_bytes,
        requests.waiting,
        responses.used,
        responses.limit,
    )
