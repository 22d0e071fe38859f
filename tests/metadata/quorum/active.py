"""An active controller whose metadata group does what the test says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from metadata.controller import TopicDefaults
from metadata.image import MetadataImage
from metadata.quorum.controller import Controller, ControllerSettings
from metadata.quorum.rpc import Answer, Handler, Rpc
from raftlog.engine import Outcome
from raftlog.errors import NotLeader
from raftlog.ready import SoftState
from raftlog.testing.reactor import VirtualReactor
from raftlog.types import EntryKind, ReplicaId, Role

ME, OTHER = ReplicaId(1, b"1" * 16), ReplicaId(2, b"2" * 16)


class FakeGroup:
    """Notes proposals and reads; the test says what becomes of them."""

    term = 1

    def __init__(self) -> None:
        self.node = self
        self.proposed: list[bytes] = []
        self.reads = 0
        self.leads = True
        self.open: list[Callable[[Outcome], None]] = []

    def propose(
        self, kind: EntryKind, span: int, payload: bytes, done: Callable[[Outcome], None]
    ) -> None:
        self.proposed.append(payload)
        self.open.append(done)

    def read(self, done: Callable[[Outcome], None]) -> None:
        if not self.leads:
            raise NotLeader("deposed")
        self.reads += 1
        self.open.append(done)


class FakeApp:
    """An empty image."""

    def __init__(self) -> None:
        self.image = MetadataImage()
        self.group = FakeGroup()

    def watch_leadership(self, watcher: Callable[[SoftState], None]) -> None:
        self.lead = watcher


class Served(Rpc):
    """Keeps the handlers."""

    def __init__(self, process: Any) -> None:
        super().__init__(process, ME, lambda node, body: None)
        self.handlers: dict[str, Handler] = {}

    def serve(self, operation: str, handler: Handler) -> None:
        self.handlers[operation] = handler


class Rig:
    """An active controller."""

    def __init__(self) -> None:
        self.reactor = VirtualReactor(1)
        process = self.reactor.process("controller")
        self.app = FakeApp()
        self.rpc = Served(process)
        wanted = ControllerSettings("cluster", lambda: TopicDefaults(1, 1), 9_000_000)
        self.controller = Controller(process, self.rpc, self.app, wanted)  # type: ignore[arg-type]
        self.app.lead(SoftState(Role.LEADER, 1, ME, True))
        self.settle(Outcome.DONE)
        self.app.group.proposed.clear()  # the cluster's creation

    def ask(self, operation: str, arguments: Any) -> list[Answer]:
        answers: list[Answer] = []
        self.rpc.handlers[operation](OTHER, arguments, answers.append)
        return answers

    def settle(self, outcome: Outcome) -> None:
        """What is under way ends so, in order, also what that leads to."""
        group = self.app.group
        self.reactor.run_until(self.reactor.now_us() + 1)
        while group.open:
            group.open.pop(0)(outcome)
            self.reactor.run_until(self.reactor.now_us() + 1)
