"""One node of a replicated service on trio: `add` its state machines, `run` it, propose and read.

    host = RaftHost(directory)                  formatted once, see `format_quorum`
    counter = host.add(1, Counter())            group 1, on every node
    await nursery.start(host.run)
    await counter.propose(b"1")                 returns what Counter.apply returned

Everything below is `raftlog.engine`: this module only opens the directory, connects the nodes
and turns callbacks into something to await. An ended host cannot be run again; open another.
"""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

import trio

from raftlog.core import Timing
from raftlog.disk.acquaintances import FORMATTING_BYTES, Acquaintances
from raftlog.disk.fs import OsFileSystem
from raftlog.disk.properties import (
    DIRECTORY_ID_BYTES,
    FILE_NAME,
    DirectoryLock,
    Properties,
    Voter,
    read_properties,
    write_properties,
)
from raftlog.disk.wal import Wal
from raftlog.engine import Engine, Group, MachineReplica, Outcome, StateMachine, open_machines
from raftlog.engine.handshake import CONTROL, Hello
from raftlog.engine.machine import COMMAND_BYTES_MAX
from raftlog.errors import Misconfigured, NotLeader, OutcomeUnknown, Overloaded, RaftError
from raftlog.host.complaints import Complaints
from raftlog.host.mesh import Mesh, PeerAddress
from raftlog.host.reactor import TrioReactor
from raftlog.types import METADATA_GROUP, Configuration, ReplicaId, Role

WAL_PART_BYTES = 16 * 1024 * 1024
"""Two of these are allocated from the start."""
PEER_PENDING_BYTES_MAX = 64 * 1024 * 1024
FRAME_HEADERS_BYTES_MAX = 1024 * 1024
BACKLOG = 128

R = TypeVar("R")


def format_quorum(
    base: str | os.PathLike[str], cluster_id: str, addresses: Mapping[int, tuple[str, int]]
) -> None:
    """Format `base`/NODE for each node of `addresses`, the founders; nothing if `base` exists.

    For nodes that share a machine; elsewhere see `format_directory`. Atomic.
    """
    base = Path(base)
    if base.exists():
        return
    founders = tuple(
        [
            Voter(node, os.urandom(DIRECTORY_ID_BYTES), host, port)
            for node, (host, port) in addresses.items()
        ]
    )
    draft = base.parent / f".{base.name}.{os.getpid()}"
    for voter in founders:
        me = ReplicaId(voter.node_id, voter.directory_id)
        format_directory(draft / str(voter.node_id), cluster_id, me, founders)
    OsFileSystem(draft).sync_directory("")
    try:
        draft.rename(base)
    except OSError:
        shutil.rmtree(draft)
        if not base.exists():  # else another process was quicker
            raise
    OsFileSystem(base.parent).sync_directory("")


def format_directory(
    directory: str | os.PathLike[str],
    cluster_id: str,
    me: ReplicaId,
    founders: Sequence[Voter],
) -> None:
    """Say once whose `directory` this is, and who the founders are: the same on every node.

    Directory ids are drawn beforehand, one per directory, and never given to another: one that
    was lost is another replica, and must not vote under the old id. `me` need not be a founder.
    Misconfigured when it was formatted before, ValueError when what is given makes no sense.
    """
    properties = Properties(cluster_id, me.node, me.directory, tuple(founders))
    fs = OsFileSystem(directory)
    write_properties(fs, properties._replace(formatting=os.urandom(FORMATTING_BYTES)))


class Replicated(Generic[R]):
    """A state machine as its service uses it, on one node. Made by `RaftHost.add`."""

    def __init__(self, replica: MachineReplica[R], now_us: Callable[[], int]) -> None:
        """`now_us` is the clock of the engine, for reads by lease."""
        self._replica = replica
        self._now_us = now_us
        self._changed = trio.Event()
        replica.on_leadership = self._leadership

    def _leadership(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    @property
    def group(self) -> Group:
        """The engine's side: membership changes, transfer, statistics. GroupOffline."""
        return self._replica.in_service()

    async def propose(self, command: bytes) -> R:
        """What `apply` returned, once the command is durable on a quorum and applied here.

        Raises NotLeader (its `leader` says whom to ask), OutcomeUnknown, Overloaded,
        GroupOffline; ValueError for more than COMMAND_BYTES_MAX, TypeError for anything but
        bytes. A cancelled proposal may still be applied.
        """
        group, finished = self.group, trio.Event()
        answers: list[tuple[Outcome, R | None]] = []

        def on_done(outcome: Outcome, result: R | None) -> None:
            answers.append((outcome, result))
            finished.set()

        self._replica.propose(command, on_done)
        await finished.wait()
        outcome, result = answers[0]
        if outcome is not Outcome.DONE:
            raise OutcomeUnknown(
                f"group {group.id}: this node stopped leading before the command was known to be "
                "committed; it may still be applied"
            )
        return result  # type: ignore[return-value]  # None only if `apply` returned that

    async def read(self) -> None:
        """Return when the machine here holds everything acknowledged before the call, anywhere.

        What it says from then on, until the next `await`, is a linearizable read. Only the
        leader can tell: NotLeader, Overloaded (too many reads wait), GroupOffline.
        """
        group, finished = self.group, trio.Event()
        outcomes: list[Outcome] = []

        def on_done(outcome: Outcome) -> None:
            outcomes.append(outcome)
            finished.set()

        asked_as = (group.node.role, group.node.term)
        self._replica.read(on_done, self._now_us())
        await finished.wait()
        if outcomes[0] is Outcome.DONE:
            return
        state = self._replica.in_service().node
        if asked_as == (Role.LEADER, state.term) and state.role is Role.LEADER:
            raise Overloaded(f"group {group.id}: too many reads wait; ask again later")
        # it did not lead when it was asked, or does not any more, whatever it has become since
        who = "has no leader that this replica knows of"
        if state.leader is not None:
            who = f"is led by {state.leader}"
        raise NotLeader(f"group {group.id} {who}", state.leader)

    async def leader(self) -> ReplicaId:
        """Wait until this node knows who leads, and that this leader serves. GroupOffline."""
        while self._replica.state.leader is None or not self._replica.state.confirmed:
            self._replica.in_service()
            await self._changed.wait()
        return self._replica.state.leader


class RaftHost:
    """One node: a data directory, its engine and its connections. One per directory."""

    def __init__(
        self,
        directory: str | os.PathLike[str],
        *,
        timing: Timing | None = None,
        listen: tuple[str, int] | None = None,
        wal_part_bytes: int = WAL_PART_BYTES,
    ) -> None:
        """`listen`: where, if not where the directory's properties say that this node is.

        Misconfigured when the directory is not formatted.
        """
        if not Path(directory, FILE_NAME).exists():  # before a mistyped one is made
            raise Misconfigured(
                f"{directory} is not formatted (it has no {FILE_NAME}): see `format_quorum` and "
                "`format_directory`. If its files are gone, draw it another directory id: the one "
                "it had stands for lost promises"
            )
        self._fs = OsFileSystem(directory)
        self._properties = read_properties(self._fs)
        self._timing = (timing or Timing(eager_commit=True)).validated()
        self._listen = listen
        self._wal_part_bytes = wal_part_bytes
        self._machines: dict[int, MachineReplica[Any]] = {}
        self._peers = {
            voter.node_id: PeerAddress(voter.host, voter.port) for voter in self._properties.voters
        }
        self._engine: Engine | None = None
        self._mesh: Mesh | None = None
        self._failure: Exception | None = None
        self._scope = trio.CancelScope()
        self.me = ReplicaId(self._properties.node_id, self._properties.directory_id)

    def add(self, group: int, machine: StateMachine[R], **options: int) -> Replicated[R]:
        """Replicate `machine` as `group` (1 or more), before `run`; the same on every node.

        `options` are those of `MachineReplica`.
        """
        if group <= METADATA_GROUP or group in self._machines or self._engine is not None:
            raise ValueError(f"group {group}: ids are 1 or more, given once, before the host runs")
        replica = MachineReplica(machine, **options)
        self._machines[group] = replica
        return Replicated(replica, self._now_us)

    def _now_us(self) -> int:
        return 0 if self._engine is None else self._engine.reactor.now_us()

    def set_peers(self, addresses: Mapping[int, tuple[str, int]]) -> None:
        """Where nodes that are no founders listen: wanted before a change that adds them."""
        peers = {node: PeerAddress(*address) for node, address in addresses.items()}
        self._peers.update(peers)
        if self._mesh is not None:
            self._mesh.set_peers(peers)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Take part until cancelled or stopped; started once the directory is recovered.

        Raises Misconfigured (the directory is in use, or holds other groups; the address is
        taken) and CorruptLog before that. DiskFailed ends it at any time: nothing has been
        said since that the disk does not hold, and the process should end.
        """
        with DirectoryLock(self._fs.root), self._bind() as listener:
            reactor = TrioReactor()
            self._mesh = self._make_mesh(reactor, listener)
            clean = True
            try:
                with self._scope:
                    async with trio.open_nursery() as nursery:
                        await nursery.start(reactor.run)
                        self._open(reactor, self._mesh)
                        await trio.lowlevel.checkpoint_if_cancelled()
                        nursery.start_soon(self._mesh.run)
                        task_status.started()
            except Exception:
                clean = False
                raise
            finally:
                self._close(clean and self._failure is None)
        if self._failure is not None:
            raise self._failure

    def _bind(self) -> socket.socket:
        address = self._listen or self._peers.get(self.me.node)
        if address is None:
            raise Misconfigured(f"node {self.me.node} is no founder: say where it is to listen")
        try:
            family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
            return socket.create_server(tuple(address), family=family, backlog=BACKLOG)
        except OSError as error:
            raise Misconfigured(
                f"cannot listen on {address[0]}:{address[1]}: {error.strerror}. Does this node "
                "run already, or does the address belong to another machine?"
            ) from error

    def _make_mesh(self, reactor: TrioReactor, listener: socket.socket) -> Mesh:
        voters = self._voters()
        hello = Hello(
            self._properties.cluster_id,
            self.me,
            reactor.random.getrandbits(63),
            CONTROL,
            voters=voters,
            formatting=self._properties.formatting,
        )
        largest = max(self._timing.max_append_bytes, COMMAND_BYTES_MAX)
        mesh = Mesh(
            hello,
            listener,
            Acquaintances(self._fs),
            voters=frozenset([voter.node for voter in voters]),
            max_frame_bytes=largest + FRAME_HEADERS_BYTES_MAX,
            max_pending_bytes=PEER_PENDING_BYTES_MAX,
            finish_pass=reactor.finish_pass,
            complaints=Complaints(reactor),
        )
        mesh.set_peers(self._peers)
        return mesh

    def _voters(self) -> tuple[ReplicaId, ...]:
        return tuple([ReplicaId(v.node_id, v.directory_id) for v in self._properties.voters])

    def stop(self) -> None:
        """Have `run` return in good order. What waits for an answer learns that it is unknown."""
        self._scope.cancel()

    def _fail(self, error: Exception) -> None:
        self._failure = error
        self._scope.cancel()

    def _open(self, reactor: TrioReactor, mesh: Mesh) -> None:
        """Recover the directory; the host fails when that cannot be done."""
        try:
            wal, recovered = Wal.open(
                self._fs, "wal", part_bytes=self._wal_part_bytes, random=reactor.random
            )
            engine = Engine(self.me, reactor, wal, mesh, self._timing, self._fail)
            self._engine = mesh.events = engine
            founders = Configuration(self._voters())
            open_machines(self._fs, engine, recovered, founders, self._machines)
        except (RaftError, OSError) as error:
            self._fail(error)

    def _close(self, clean: bool) -> None:
        """The loop has ended. `clean`: make everything durable, and mark that as orderly."""
        engine = self._engine
        if engine is None:
            return
        engine.stop()
        for machine in self._machines.values():
            machine.offline(machine.offline_reason or "this host has ended")
            if machine.group is not None:
                machine.group.abandon()
        engine.wal.close(clean=clean)
        for group in engine.groups.values():
            group.log.close()
