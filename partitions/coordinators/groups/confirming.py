"""Is this broker still the leader? One round to a majority for all who ask in one pass."""

from __future__ import annotations

from collections.abc import Callable

from partitions.coordinators.groups.clients import Done
from partitions.errors import ErrorCode
from partitions.replicas.interface import Replica
from raftlog.seams import Reactor


class Confirming:
    """Of one coordinator."""

    def __init__(self, replica: Replica, reactor: Reactor, active: Callable[[], bool]) -> None:
        """`active()`: the coordinator still serves."""
        self._replica = replica
        self._reactor = reactor
        self._active = active
        self._waiting: list[Done] = []

    def ask(self, done: Done) -> None:
        """Call `done` once it is sure that no other leader has acknowledged anything before now
        that this one does not hold; with NOT_COORDINATOR when it is not."""
        self._waiting.append(done)
        if len(self._waiting) == 1:
            self._reactor.call_soon(self._confirm)

    def _confirm(self) -> None:
        waiting, self._waiting = self._waiting, []

        def answered(leads: bool) -> None:
            sure = leads and self._active()
            for done in waiting:
                done(ErrorCode.NONE if sure else ErrorCode.NOT_COORDINATOR)

        if self._active():
            self._replica.confirm(answered)
        else:
            answered(False)
