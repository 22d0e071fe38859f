"""A world that stands still: clocks, storage threads and messages move when they are told to."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from raftlog.messages import Message
from raftlog.testing.network import VirtualNetwork
from raftlog.testing.reactor import VirtualProcess, VirtualReactor, VirtualTimer
from raftlog.testing.schedule import Event
from raftlog.testing.words import kind_of, of_message
from raftlog.testing.world import Packet


class SaidDraws(Random):
    """What the event says was drawn; beyond that the least there is."""

    def __init__(self) -> None:
        super().__init__(0)
        self.timeouts: list[int] = []
        self.survive = 0

    def randrange(self, *limits: Any) -> int:
        start, stop = limits
        drawn = self.timeouts.pop(0) if self.timeouts else start
        return int(min(max(drawn, start), stop - 1))

    def randint(self, a: int, b: int) -> int:
        return min(max(self.survive, a), b)

    def random(self) -> float:
        return 0.0


class StillProcess(VirtualProcess):
    """A process whose clock and storage thread move by events."""

    __slots__ = ("clock_us", "jobs")

    clock_us: int
    jobs: list[tuple[Callable[[], object], Callable[[BaseException | None], None]]]

    def now_us(self) -> int:
        return self.clock_us

    def call_at(self, when_us: int, callback: Callable[[], None]) -> VirtualTimer:
        return VirtualTimer(callback)

    def offload(
        self,
        job: Callable[[], object],
        done: Callable[[BaseException | None], None],
        *,
        background: bool = False,
    ) -> None:
        self.jobs.append((job, done))


class StillReactor(VirtualReactor):
    """Its time is of no interest: every process has a clock of its own."""

    __slots__ = ("clock_us", "draws")

    clock_us: int
    draws: tuple[int, ...]
    """Where the clock of the next process stands, and what it draws at first."""

    def process(self, name: str, *, incarnation: int = 0, **settings: Any) -> VirtualProcess:
        draws = SaidDraws()
        draws.timeouts[:] = self.draws
        process = StillProcess(self, name, draws, 0, 0, 0, no_latency)
        process.clock_us, process.jobs = self.clock_us, []
        return process


class OpenNetwork(VirtualNetwork[Packet]):
    """Keeps everything that was ever said, by link."""

    def __init__(self, reactor: VirtualReactor) -> None:
        super().__init__(reactor, Random(0))
        self.kinds: dict[tuple[int, int, str], list[str]] = {}
        self.said: dict[tuple[int, int], dict[str, Message]] = {}

    def send(self, sender: int, target: int, item: Packet) -> None:
        assert not isinstance(item, bytes)
        text = of_message(item)
        self.said.setdefault((sender, target), {})[text] = item
        self.kinds.setdefault((sender, target, kind_of(text)), []).append(text)

    def find(self, event: Event) -> tuple[str, int, Message] | None:
        """(text, age, message) that the event means; None when there is none."""
        said = self.said.get((event.peer, event.node), {})
        kind = self.kinds.get((event.peer, event.node, kind_of(event.message)), [])
        text, age = event.message, event.age
        if text in said:
            age = next(age for age, other in enumerate(reversed(kind)) if other == text)
        elif age < len(kind):
            text = kind[-1 - age]
        else:
            return None
        return text, age, said[text]


def draws_of(process: VirtualProcess) -> SaidDraws:
    """The draws of a process of this world."""
    assert isinstance(process.random, SaidDraws)
    return process.random


def no_latency(random: Random, background: bool) -> int:
    """Jobs run when an event says so."""
    return 0
