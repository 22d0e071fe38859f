"""`seams.Reactor` on trio: one flusher task, one timer task, two storage threads."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush
from queue import SimpleQueue
from random import Random, SystemRandom

import trio
from trio.lowlevel import Abort, current_task, reschedule, wait_readable, wait_task_rescheduled

ROUNDS_PER_PASS = 4
"""Callbacks that ask for `call_soon` again run in the same pass, up to this depth."""

Job = Callable[[], object]
Done = Callable[[BaseException | None], None]


class Wake:
    """A one-task event that costs no allocation and no lock: `set` from the loop thread only."""

    __slots__ = ("_flag", "_task")

    def __init__(self) -> None:
        self._task: trio.lowlevel.Task | None = None
        self._flag = False

    def set(self) -> None:
        """Let the waiter go on, or the next wait return at once."""
        task = self._task
        if task is None:
            self._flag = True
        else:
            self._task = None
            reschedule(task)

    async def wait(self) -> None:
        """Wait for `set`; one task at a time."""
        if self._flag:
            self._flag = False
            await trio.lowlevel.checkpoint()
            return
        self._task = current_task()

        def abort(_raise_cancel: object) -> Abort:
            self._task = None
            return Abort.SUCCEEDED

        await wait_task_rescheduled(abort)


class TrioTimer:
    """A callback in the reactor's heap."""

    __slots__ = ("callback",)

    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        """Forget the callback."""
        self.callback = None


class _Lane:
    """One thread that runs jobs in order and reports through an eventfd."""

    def __init__(self, name: str) -> None:
        self.jobs: SimpleQueue[tuple[Job, Done] | None] = SimpleQueue()
        self.results: deque[tuple[Done, BaseException | None]] = deque()
        self.event = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.thread = threading.Thread(target=self._run, name=name, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        while (item := self.jobs.get()) is not None:
            job, done = item
            try:
                job()
            except BaseException as error:
                self.results.append((done, error))
            else:
                self.results.append((done, None))
            os.eventfd_write(self.event, 1)

    async def deliver(self) -> None:
        """Run the `done` callbacks on the loop."""
        while True:
            await wait_readable(self.event)
            os.eventfd_read(self.event)
            while self.results:
                done, error = self.results.popleft()
                done(error)

    def stop(self) -> None:
        """Finish what is queued and end the thread."""
        self.jobs.put(None)
        self.thread.join()
        os.close(self.event)


class TrioReactor:
    """Time, deferral and storage threads for one process. Use `run` in a nursery."""

    def __init__(self, random: Random | None = None) -> None:
        self.random: Random = random if random is not None else SystemRandom()
        self._soon: list[Callable[[], None]] = []
        self._soon_wake = Wake()
        self._running_soon = False
        self._timers: list[tuple[int, int, TrioTimer]] = []
        self._sequence = 0
        self._timer_wake = Wake()
        self._armed_us = 0
        self._lanes = (_Lane("storage"), _Lane("storage-background"))

    def now_us(self) -> int:
        """Monotonic microseconds."""
        return time.monotonic_ns() // 1000

    def wall_ms(self) -> int:
        """Wall clock in milliseconds since 1970."""
        return time.time_ns() // 1_000_000

    def call_at(self, when_us: int, callback: Callable[[], None]) -> TrioTimer:
        """Run `callback` at `when_us`."""
        timer = TrioTimer(callback)
        self._sequence += 1
        heappush(self._timers, (when_us, self._sequence, timer))
        if not self._armed_us or when_us < self._armed_us:
            self._armed_us = when_us
            self._timer_wake.set()
        return timer

    def call_soon(self, callback: Callable[[], None]) -> None:
        """Run `callback` after the tasks that are runnable now."""
        if not self._soon and not self._running_soon:
            self._soon_wake.set()
        self._soon.append(callback)

    def offload(self, job: Job, done: Done, *, background: bool = False) -> None:
        """Run `job` on a storage thread, then `done` on the loop."""
        self._lanes[background].jobs.put((job, done))

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled; callbacks' exceptions end it."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._run_soon)
                nursery.start_soon(self._run_timers)
                for lane in self._lanes:
                    nursery.start_soon(lane.deliver)
                task_status.started()
        finally:
            for lane in self._lanes:
                lane.stop()

    def finish_pass(self) -> None:
        """Run what was put off with `call_soon` now, from a task that has handled its input.

        It spares the latency of waking another task. Harmless from within such a callback.
        """
        if self._running_soon:
            return
        self._running_soon = True
        for _ in range(ROUNDS_PER_PASS):
            if not self._soon:
                break
            callbacks, self._soon = self._soon, []
            for callback in callbacks:
                callback()
        self._running_soon = False
        if self._soon:
            self._soon_wake.set()

    async def _run_soon(self) -> None:
        while True:
            await self._soon_wake.wait()
            self.finish_pass()

    async def _run_timers(self) -> None:
        timers = self._timers
        while True:
            now = self.now_us()
            while timers and timers[0][0] <= now:
                callback = heappop(timers)[2].callback
                if callback is not None:
                    callback()
            while timers and timers[0][2].callback is None:
                heappop(timers)
            self._armed_us = timers[0][0] if timers else 0
            wait_s = (self._armed_us - self.now_us()) / 1e6 if timers else float("inf")
            with trio.move_on_after(max(0.0, wait_s)):
                await self._timer_wake.wait()
