"""The long poll of Fetch: a response that waits for enough bytes, an error, or its time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from partitions.api.context import Body, CancellablePending, Failed
from partitions.api.fetchplan import FetchPlan
from partitions.api.services import Services

TARGET_BYTES = 512
"""What a partition that is waited for takes: target, watch, and what holds them. Measured."""


class FetchWait(CancellablePending):
    """Watches every partition of a plan; a change makes it read again at the end of the pass.

    What it holds is in the budget of polls. It is made though the budget is overdrawn by it; who
    makes it asks before (`fetch.handle`).
    """

    __slots__ = (
        "_address",
        "_held",
        "_min_bytes",
        "_plan",
        "_scheduled",
        "_services",
        "_timer",
        "_watches",
    )

    def __init__(
        self, services: Services, plan: FetchPlan, min_bytes: int, until_us: int, address: str
    ) -> None:
        """`address`: the client's."""
        super().__init__()
        self._address = address
        self._held = TARGET_BYTES * len(plan.targets)
        services.poll_budget.take(self._held, address)
        self._services = services
        self._plan = plan
        self._min_bytes = min_bytes
        self._scheduled = False
        self._watches: list[Callable[[], None]] = []
        self._timer = services.reactor.call_at(until_us, self._expire)
        self._watch()

    def cancel(self) -> None:
        """The client has left: forget watches and timer."""
        self.done = True
        self._release()

    def _watch(self) -> None:
        changed = self._changed
        for target in self._plan.targets:
            if target.replica is not None:
                self._watches.append(target.replica.watch(changed))
        budget = self._services.response_budget
        if budget.available <= 0:
            self._watches.append(budget.watch(changed))

    def _unwatch(self) -> None:
        for forget in self._watches:
            forget()
        self._watches.clear()

    def _changed(self) -> None:
        if not self._scheduled and not self.done:
            self._scheduled = True
            self._services.reactor.call_soon(self._read_again)

    def _read_again(self) -> None:
        self._scheduled = False
        if self.done:
            return
        try:
            self._plan.refresh()
            answers, total, failed = self._plan.read()
        except Exception as error:
            self._release()
            self.resolve(Failed(error))
            return
        if failed or total >= self._min_bytes:
            self._finish(answers)
            return
        self._unwatch()
        self._watch()

    def _expire(self) -> None:
        if not self.done:
            self._release()
            self.resolve_with(self._last)

    def _last(self) -> Body:
        self._plan.refresh()
        return self._plan.body(self._plan.read()[0])

    def _finish(self, answers: list[Any]) -> None:
        self._release()
        self.resolve_with(lambda: self._plan.body(answers))

    def _release(self) -> None:
        self._unwatch()
        self._timer.cancel()
        held, self._held = self._held, 0
        self._services.poll_budget.give_back(held, self._address)
