"""A group, its clients, its log and its bad luck: one seed is one history."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from random import Random

from partitions.coordinators.groups import (
    ClassicGroup,
    GroupSettings,
    GroupSnapshot,
    GroupState,
    JoinAnswer,
    Persist,
    SyncAnswer,
)
from partitions.errors import ErrorCode
from tests.partitions.coordinators.groups.client import Client
from tests.partitions.coordinators.groups.oracle import Oracle, require

SECOND = 1_000_000
SESSION_US = 10 * SECOND
REBALANCE_US = 15 * SECOND
BEAT_US = 3 * SECOND
REFUSALS = (
    ErrorCode.NOT_ENOUGH_REPLICAS,
    ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
    ErrorCode.REQUEST_TIMED_OUT,
    ErrorCode.MESSAGE_TOO_LARGE,
)


class World:
    """All time is virtual; nothing is random but what `random` draws."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.now_us = 0
        self.settings = GroupSettings(
            initial_rebalance_delay_ms=self.random.choice((0, 500, 3000)),
            max_size=self.random.choice((1000, 1000, 4)),
            new_member_join_timeout_ms=self.random.choice((6_000, 40_000)),
        )
        self.group = ClassicGroup("g", self.settings)
        self.oracle = Oracle()
        self.log: list[GroupSnapshot | None] = []
        self.faults = True
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._number = 0
        self._queue: list[tuple[int | None, GroupSnapshot | None]] = []  # records in log order
        self._leadership = 0
        self._ticks = 0  # with nothing else happening
        count = self.random.randint(1, 6)
        self.clients = [Client(self, f"c{number}") for number in range(count)]
        self.by_name = {client.name: client for client in self.clients}

    # Time

    def at(self, delay_us: int, what: Callable[[], None]) -> None:
        """Have it happen so much later."""
        self._number += 1
        heapq.heappush(self._events, (self.now_us + delay_us, self._number, what))

    def run(self, until_us: int) -> None:
        """Events and ticks in order of time."""
        while True:
            deadline = self.group.deadline
            due = self._events[0][0] if self._events else None
            if deadline is not None and (due is None or deadline <= due):
                if deadline > until_us:
                    break
                self._tick(deadline)
            elif due is not None and due <= until_us:
                _, _, what = heapq.heappop(self._events)
                self.now_us = max(self.now_us, due)
                self._ticks = 0
                what()
                self.settle()
            else:
                break
        self.now_us = max(self.now_us, until_us)

    def _tick(self, deadline_us: int) -> None:
        self._ticks = self._ticks + 1 if deadline_us <= self.now_us else 0
        require(self._ticks < 5, "a tick does what is due")
        self.now_us = max(self.now_us, deadline_us)
        self.group.tick(self.now_us)
        self.settle()

    def settle(self) -> None:
        """Check and carry out what came of the last call."""
        effects = self.group.effects()
        self.oracle.after_call(self.group, effects)
        for effect in effects:
            if isinstance(effect, Persist):
                self._append(effect.token, effect.snapshot)
            else:
                self._answer(effect)
        ids = {member.member_id for member in self.group.describe().members}
        for client in self.clients:
            require(not client.sound or client.member_id in ids, "who lives stays", client.name)

    def _answer(self, answer: JoinAnswer | SyncAnswer) -> None:
        client = self.by_name[str(answer.ticket).split("#")[0]]
        if answer.ticket != client.ticket:
            return  # of an earlier life of that client, or of a request it has given up
        client.ticket = None
        if isinstance(answer, JoinAnswer):
            client.joined(answer)
        else:
            client.assigned(answer)

    # The log

    def _append(self, token: int | None, snapshot: GroupSnapshot | None) -> None:
        self._queue.append((token, snapshot))
        slow = self.faults and self.random.random() < 0.3
        delay_us = self.random.randrange((8 * SECOND) if slow else (SECOND // 5))
        refused = self.faults and self.random.random() < 0.1
        leadership = self._leadership
        self.at(delay_us, lambda: self._settle_up_to(leadership, token, snapshot, refused))

    def _settle_up_to(
        self,
        leadership: int,
        token: int | None,
        snapshot: GroupSnapshot | None,
        refused: bool,
    ) -> None:
        """It and all before it are settled; one that is refused may be in the log all the same."""
        while leadership == self._leadership and (token, snapshot) in self._queue:
            entry = self._queue.pop(0)
            last = entry == (token, snapshot)
            error = self.random.choice(REFUSALS) if refused and last else ErrorCode.NONE
            if error is ErrorCode.NONE or self.random.random() < 0.5:
                self.log.append(entry[1])
            if entry[0] is not None:
                self.oracle.settled(entry[1], error)
                self.group.persisted(self.now_us, entry[0], error)
                self.settle()
            if last:
                break

    # Bad luck

    def rewrite(self) -> None:
        """The shell writes the group's record again, in order to trim the log before it."""
        snapshot = self.group.snapshot()
        if snapshot is not None:
            self._append(None, snapshot)

    def step(self) -> None:
        """Nothing runs for a while: a small while harms nobody."""
        long = self.random.random() < 0.3
        self.now_us += self.random.randrange(2 * SESSION_US if long else SECOND)
        if long:
            for client in self.clients:
                client.sound = False

    def fail_over(self) -> None:
        """The next coordinator loads the log, with some of what was on its way to it."""
        landed = self.random.randint(0, len(self._queue))
        self.log += [snapshot for _, snapshot in self._queue[:landed]]
        self._queue.clear()
        self._leadership += 1
        self.group.drop(ErrorCode.NOT_COORDINATOR)
        self.end()
        last = self.log[-1] if self.log else None
        self.group = ClassicGroup("g", self.settings)
        if last is not None:
            self.group = ClassicGroup.restored("g", self.settings, last, self.now_us)
        self.oracle.restored(self.group, last)

    def end(self) -> None:
        """After `drop`: everyone who waited was told."""
        for client in self.clients:
            client.sound = False
        for effect in self.group.effects():
            require(not isinstance(effect, Persist), "the dropped write nothing", effect)
            assert not isinstance(effect, Persist)
            known = self.oracle.open.pop(effect.ticket, None)
            require(known is not None, "a ticket is answered once", effect)
            self._answer(effect)
        require(not self.oracle.open, "a ticket is answered", self.oracle.open)

    def misfortune(self) -> None:
        """One thing goes wrong, and another one later."""
        if not self.faults:
            return
        self.at(self.random.randrange(6 * SECOND), self.misfortune)
        what = self.random.random()
        if what < 0.1:
            self.fail_over()
        elif what < 0.2:
            self.rewrite()
        elif what < 0.3:
            self.step()
        else:
            waiting = [client for client in self.clients if client.ticket is not None]
            pick_from = waiting if waiting and self.random.random() < 0.5 else self.clients
            self.random.choice(pick_from).misfortune()

    # The whole history

    def play(self, seconds: int) -> None:
        """Trouble for so long, then quiet until the group must have come to rest."""
        for client in self.clients:
            self.at(self.random.randrange(20 * SECOND), client.start)
        self.at(self.random.randrange(20 * SECOND), self.misfortune)
        self.run(seconds * SECOND)
        self.faults = False
        hope = self.random.choice((0.0, 0.7, 0.7, 1.0))
        for client in self.clients:
            client.stay(alive=self.random.random() < hope)
        self.run(self.now_us + REBALANCE_US + SESSION_US + 4 * BEAT_US)
        self._check_rest()
        self.group.drop(ErrorCode.NOT_COORDINATOR)
        self.end()

    def _check_rest(self) -> None:
        live = {client.member_id for client in self.clients if client.running}
        members = {member.member_id for member in self.group.describe().members}
        if self.settings.max_size < len(live):
            require(len(members) == self.settings.max_size, "as many as may be", members)
            require(members <= live, "after quiet: the live ones", members, live)
        else:
            require(members == live, "after quiet: exactly the live ones", members, live)
        rest = GroupState.STABLE if live else GroupState.EMPTY
        require(self.group.state is rest, "after quiet: at rest", self.group.state, live)
        require(not self._waiting(members), "after quiet: nobody waits", self.oracle.open)
        for client in self.clients:
            if client.member_id in members:
                require(client.generation == self.group.generation, "everyone is up to date")

    def _waiting(self, members: set[str]) -> bool:
        names = {member_id.split("-")[0] for member_id in members}
        return any(str(ticket).split("#")[0] in names for ticket in self.oracle.open)
