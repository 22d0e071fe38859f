"""A broker's heartbeats while the controller moves."""

from __future__ import annotations

from typing import Any

from metadata.quorum.client import HEARTBEAT, REGISTER, BrokerLife, ControllerClient, Registration
from metadata.quorum.image_holder import ImageHolder
from metadata.quorum.rpc import Answer, OnAnswer, Rpc
from raftlog.ready import SoftState
from raftlog.testing.reactor import VirtualReactor
from raftlog.types import ReplicaId, Role

ME, FORMER, NEXT = [ReplicaId(number, bytes([number]) * 16) for number in (1, 2, 3)]
SESSION_US = 9_000_000


class Calls(Rpc):
    """Keeps what is asked; answers come from the test."""

    def __init__(self, process: Any) -> None:
        super().__init__(process, ME, lambda node, body: None)
        self.asked: list[tuple[int, str]] = []
        self.answers: list[OnAnswer] = []

    def call(
        self, node: int, operation: str, arguments: Any, on_answer: OnAnswer, timeout_us: int
    ) -> None:
        self.asked.append((node, operation))
        self.answers.append(on_answer)


class Rig:
    """A broker that has asked FORMER for a heartbeat."""

    def __init__(self) -> None:
        self.reactor = VirtualReactor(1)
        process = self.reactor.process("broker")
        self.rpc, self.holder = Calls(process), ImageHolder()
        client = ControllerClient(process, self.rpc, self.holder)
        mine = Registration(b"i" * 16, (), "host", 1, None)
        self.life = BrokerLife(
            process,
            client,
            self.holder,
            ME,
            mine,
            interval_us=2_000_000,
            timeout_us=SESSION_US,
        )
        self.lead(FORMER)
        self.life.start()
        self.run(1000)
        self.rpc.answers[0](Answer(7))
        self.run(1000)
        assert self.rpc.asked == [(2, REGISTER), (2, HEARTBEAT)]

    def lead(self, leader: ReplicaId | None) -> None:
        self.holder.state = SoftState(Role.FOLLOWER, 1, leader, leader is not None)
        for watcher in self.holder._leadership_watchers:
            watcher(self.holder.state)

    def run(self, duration_us: int) -> None:
        self.reactor.run_until(self.reactor.now_us() + duration_us)


def test_a_new_controller_is_asked_at_once_whatever_the_former_one_owes() -> None:
    """It may be stopped with the connection open. To wait for it would take a session: as long as
    the new controller gives this broker to show that it lives."""
    rig = Rig()
    rig.lead(None)
    rig.lead(NEXT)
    rig.run(1000)
    assert rig.rpc.asked[2:] == [(3, HEARTBEAT)]


def test_what_the_former_controller_says_at_last_is_ignored() -> None:
    rig = Rig()
    rig.lead(NEXT)
    rig.rpc.answers[1](Answer(error="UNREACHABLE", message="at the same time"))
    rig.run(1000)
    rig.rpc.answers[1](Answer(error="STALE_BROKER_EPOCH", message="late"))
    rig.run(1000)
    assert (rig.life.epoch, rig.rpc.asked[2:]) == (7, [(3, HEARTBEAT)])
    rig.rpc.answers[2](Answer(True))
    rig.run(2_100_000)
    assert rig.rpc.asked[2:] == [(3, HEARTBEAT)] * 2


def test_the_same_controller_is_asked_once() -> None:
    rig = Rig()
    rig.lead(FORMER)
    rig.run(1000)
    assert rig.rpc.asked[2:] == []
