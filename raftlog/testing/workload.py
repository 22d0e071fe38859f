"""Clients that write and read one growing list, and the oracle that judges what they saw.

Every client has one operation at a time. Outcomes are ok, fail (it certainly did not and will
not happen) or info (nobody told: it may yet happen). For an append-only list linearizability
is exact and cheap: what an operation sees or writes lies at or beyond the `floor`, the longest
list that any operation that ended before it began has proven to exist.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from raftlog.testing.history import Violation
from raftlog.testing.machine import OPERATION
from raftlog.testing.options import SECOND_US
from raftlog.testing.replica import Replica
from raftlog.testing.world import World
from raftlog.types import ReplicaId

TIMEOUT_US = SECOND_US
RETRY_US = 20_000
WANDER = 0.05
"""Probability of asking anybody instead of the known leader: finds leaders of the past."""
WANDER_READING = 0.3


@dataclass(slots=True)
class Operation:
    """One write or read, from its invocation to the end of the run."""

    id: int
    span: int
    """Offsets it writes; 0: a read."""
    floor: int
    """The list was at least this long when the operation began."""
    outcome: str = "running"
    end: int = 0
    """For an ok write the offset after it; for an ok read the length it saw."""


class Ledger:
    """Every operation ever invoked, and what is known of each."""

    def __init__(self) -> None:
        self.operations: dict[int, Operation] = {}
        self.longest = 0
        """The list has been seen to be at least this long."""
        self.counts: Counter[str] = Counter()

    def invoke(self, span: int) -> Operation:
        """A new operation begins."""
        operation = Operation(len(self.operations) + 1, span, self.longest)
        self.operations[operation.id] = operation
        return operation

    def finish(self, operation: Operation, outcome: str, base: int = 0) -> None:
        """An operation ended; `base` is where an ok write begins, or the length an ok read saw."""
        operation.outcome = outcome
        self.counts[f"{'write' if operation.span else 'read'} {outcome}"] += 1
        if outcome != "ok":
            return
        operation.end = base + operation.span
        if base < operation.floor:
            what = "was written at" if operation.span else "saw a list of length"
            raise Violation(
                "linearizable",
                f"operation {operation.id} {what} {base}; before it began the list had"
                f" {operation.floor}",
            )
        self.longest = max(self.longest, operation.end)

    def judge(self, final: Sequence[int], *, whole: bool = True) -> None:
        """Hold the final list against all operations; it may still grow unless it is `whole`."""
        found = Counter(final)
        for number, count in found.items():
            operation = self.operations.get(number)
            if operation is None or not operation.span:
                raise Violation("no phantom", f"operation {number} was never written")
            if operation.outcome == "fail":
                raise Violation("no phantom", f"operation {number} failed and is in the list")
            if count != operation.span:
                raise Violation("no phantom", f"operation {number} is there {count} times")
        for operation in self.operations.values():
            if operation.outcome == "ok" and operation.span:
                if whole or operation.end <= len(final):
                    self._present(operation, final)

    def _present(self, operation: Operation, final: Sequence[int]) -> None:
        base = operation.end - operation.span
        if list(final[base : operation.end]) != [operation.id] * operation.span:
            raise Violation(
                "no acknowledged write is lost",
                f"operation {operation.id} was acknowledged at {base},"
                f" there is {list(final[base : operation.end])}",
            )


class Client:
    """Issues one operation after another until told to stop."""

    def __init__(
        self,
        world: World,
        ledger: Ledger,
        random: Random,
        think_us: int,
        *,
        read_share: float | None = None,
    ) -> None:
        self.stopped = False
        self._world = world
        self._ledger = ledger
        self._random = random
        self._think_us = think_us
        self._read_share = world.options.read_share if read_share is None else read_share
        self._leader: ReplicaId | None = None
        self._ids = list(world.replicas)
        self._later(self._next, int(random.random() * think_us))

    def _later(self, callback: Callable[[], None], wait_us: int) -> None:
        reactor = self._world.reactor
        reactor.post_at(reactor.now_us() + wait_us, callback)

    def _next(self) -> None:
        if self.stopped:
            return
        random = self._random
        is_read = random.random() < self._read_share
        operation = self._ledger.invoke(0 if is_read else random.choice((1, 1, 1, 2, 5)))
        self._later(lambda: self._time_out(operation), TIMEOUT_US)
        self._try(operation)

    def _try(self, operation: Operation) -> None:
        """Ask the replica that led last; a refusal is not an outcome, another one is asked."""
        if operation.outcome != "running":
            return
        target = self._leader
        wander = WANDER if operation.span else WANDER_READING
        if target is None or self._random.random() < wander:
            target = self._random.choice(self._ids)
        replica = self._world.replicas[target]
        if not replica.alive:
            self._elsewhere(operation)
        elif replica.process.paused:
            now = self._world.reactor.now_us()
            replica.process.deliver_at(now, lambda: self._ask(operation, replica))
        else:
            self._ask(operation, replica)

    def _ask(self, operation: Operation, replica: Replica) -> None:
        if operation.outcome != "running":
            return

        def done(ok: bool, base: int, index: int) -> None:
            self._ended(operation, ok, base)

        if operation.span:
            payload = OPERATION.pack(operation.id)
            padding = self._world.options.payload_bytes - len(payload)
            accepted = replica.write(payload + b"." * padding, operation.span, done)
        else:
            accepted = replica.read(done)
        if accepted:
            self._leader = replica.id
        else:
            self._elsewhere(operation)

    def _elsewhere(self, operation: Operation) -> None:
        self._leader = None
        self._later(lambda: self._try(operation), int(RETRY_US * (0.5 + self._random.random())))

    def _ended(self, operation: Operation, ok: bool, base: int) -> None:
        if operation.outcome == "running":
            self._ledger.finish(operation, "ok" if ok else "fail", base)
            self._later(self._next, int(self._random.expovariate(1) * self._think_us))
        elif not ok and operation.span:
            operation.outcome = "fail"  # it timed out, and now it is certain that it is not there

    def _time_out(self, operation: Operation) -> None:
        if operation.outcome == "running":
            self._leader = None
            self._ledger.finish(operation, "info")
            self._later(self._next, int(self._random.expovariate(1) * self._think_us))
