"""Virtual time: one heap of callbacks for a whole simulated cluster, and each process's view of it.

Rules:
- Time moves only when the heap says so; two runs with the same seed run the same callbacks in
  the same order. Ties are broken by the order of scheduling, never by a hash.
- A process is one incarnation: after `crash` none of its timers, deferred calls or storage jobs
  runs any more, and a restart takes a new `VirtualProcess`.
- A paused process (SIGSTOP, a long garbage collection) runs nothing; what fell due meanwhile
  runs when it resumes, in the order in which it was due.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from heapq import heappop, heappush
from random import Random

EPOCH_MS = 1_700_000_000_000
"""Wall clock at virtual time 0, milliseconds since 1970 UTC."""

Callback = Callable[[], None]
Latency = Callable[[Random, bool], int]


class VirtualReactor:
    """The heap: (time, sequence, callback). It is also the reactor of the simulation's own actors.

    Times are virtual microseconds since the start of the run.
    """

    __slots__ = ("_heap", "_now", "_sequence", "events", "random", "seed")

    def __init__(self, seed: int | str) -> None:
        self.seed = seed
        self.random = Random(f"reactor/{seed}")
        self.events = 0
        """Callbacks run so far."""
        self._heap: list[tuple[int, int, Callback]] = []
        self._now = 0
        self._sequence = 0

    def now_us(self) -> int:
        """Virtual microseconds since the start."""
        return self._now

    def wall_ms(self) -> int:
        """The wall clock that a process without skew would show."""
        return EPOCH_MS + self._now // 1000

    def post_at(self, when_us: int, callback: Callback) -> None:
        """Run `callback` at `when_us` (now, if that has passed); it cannot be cancelled."""
        if when_us < self._now:
            when_us = self._now
        self._sequence = sequence = self._sequence + 1
        heappush(self._heap, (when_us, sequence, callback))

    def call_at(self, when_us: int, callback: Callback) -> VirtualTimer:
        """Like `post_at`, with a handle that can cancel."""
        timer = VirtualTimer(callback)
        self.post_at(when_us, timer)
        return timer

    def call_soon(self, callback: Callback) -> None:
        """Run `callback` after everything that is already due now."""
        self.post_at(self._now, callback)

    def process(
        self,
        name: str,
        *,
        incarnation: int = 0,
        clock_offset_us: int = 0,
        drift_ppm: int = 0,
        wall_skew_ms: int = 0,
        latency: Latency | None = None,
    ) -> VirtualProcess:
        """A new process: its own clock, random numbers and storage lanes.

        `drift_ppm` makes its monotonic clock run fast (> 0) or slow by that many millionths.
        """
        random = Random(f"process/{self.seed}/{name}/{incarnation}")
        return VirtualProcess(
            self, name, random, clock_offset_us, drift_ppm, wall_skew_ms, latency or steady_disk
        )

    def step(self) -> bool:
        """Run one callback; False when nothing is scheduled."""
        if not self._heap:
            return False
        self._now, _, callback = heappop(self._heap)
        self.events += 1
        callback()
        return True

    def run_until(self, until: int | Callable[[], bool], *, limit_us: int | None = None) -> bool:
        """Run up to and including time `until`, or until a condition holds.

        A condition is looked at before the first and after every callback. Returns whether it
        held before `limit_us` (virtual time, absolute) passed or the heap ran dry; always True
        for a time.
        """
        if not callable(until):
            self._run_to(until)
            return True
        while not until():
            heap = self._heap
            if not heap or (limit_us is not None and heap[0][0] > limit_us):
                return False
            self.step()
        return True

    def _run_to(self, end_us: int) -> None:
        heap = self._heap
        pop = heappop
        ran = 0
        while heap and heap[0][0] <= end_us:
            self._now, _, callback = pop(heap)
            ran += 1
            callback()
        self.events += ran
        self._now = max(self._now, end_us)


class VirtualTimer:
    """A cancellable callback. Cancelling leaves a dead item in the heap, which costs one pop."""

    __slots__ = ("_callback",)

    def __init__(self, callback: Callback) -> None:
        self._callback: Callback | None = callback

    def __call__(self) -> None:
        callback = self._callback
        if callback is not None:
            self._callback = None
            callback()

    def cancel(self) -> None:
        """Forget the callback; harmless when it already ran."""
        self._callback = None


class VirtualProcess:
    """One incarnation of one process; implements `raftlog.seams.Reactor`."""

    __slots__ = (
        "_busy_until",
        "_drift_ppm",
        "_offset_us",
        "_paused_until",
        "_reactor",
        "_wall_skew_ms",
        "alive",
        "latency",
        "name",
        "random",
    )

    def __init__(
        self,
        reactor: VirtualReactor,
        name: str,
        random: Random,
        clock_offset_us: int,
        drift_ppm: int,
        wall_skew_ms: int,
        latency: Latency,
    ) -> None:
        if abs(drift_ppm) >= 1_000_000:
            raise ValueError(f"drift of {drift_ppm} ppm would stop or reverse the clock")
        self.name = name
        self.random = random
        self.alive = True
        self.latency = latency
        """How long a storage job takes: (random, background) -> microseconds; may be replaced."""
        self._reactor = reactor
        self._offset_us = clock_offset_us
        self._drift_ppm = drift_ppm
        self._wall_skew_ms = wall_skew_ms
        self._paused_until = 0
        self._busy_until = [0, 0]

    def now_us(self) -> int:
        """This process's monotonic clock, microseconds."""
        now = self._reactor._now
        if self._drift_ppm:
            now += now * self._drift_ppm // 1_000_000
        return now + self._offset_us

    def set_drift(self, drift_ppm: int) -> None:
        """From now on its monotonic clock runs fast or slow by so much; it does not jump.

        Timers that were set before keep their moment, and may so find their time not come.
        """
        before = self.now_us()
        self._drift_ppm = drift_ppm
        self._offset_us += before - self.now_us()

    def wall_ms(self) -> int:
        """This process's wall clock, milliseconds since 1970 UTC."""
        return self._reactor.wall_ms() + self._wall_skew_ms

    def call_at(self, when_us: int, callback: Callback) -> VirtualTimer:
        """Run `callback` once this process's `now_us() >= when_us`, unless it crashes before."""
        timer = VirtualTimer(callback)
        self._post(self._global_us(when_us), timer)
        return timer

    def call_soon(self, callback: Callback) -> None:
        """Run `callback` after everything that is already due now."""
        self._post(self._reactor._now, callback)

    def offload(
        self,
        job: Callable[[], object],
        done: Callable[[BaseException | None], None],
        *,
        background: bool = False,
    ) -> None:
        """Run `job` when its virtual latency has passed, then `done`; each lane in order."""
        lane = 1 if background else 0
        start = max(self._reactor._now, self._busy_until[lane])
        finish = start + self.latency(self.random, background)
        self._busy_until[lane] = finish
        self._post(finish, partial(_complete, job, done))

    def crash(self) -> None:
        """End this incarnation: nothing of it runs any more."""
        self.alive = False

    def pause(self, until_us: int) -> None:
        """Run nothing before `until_us` (the reactor's time); an earlier end never shortens it."""
        self._paused_until = max(self._paused_until, until_us)

    def resume(self) -> None:
        """End a pause for what falls due from now on."""
        self._paused_until = 0

    @property
    def paused(self) -> bool:
        """True while the process is stopped."""
        return self._paused_until > self._reactor._now

    def deliver_at(self, when_us: int, callback: Callback) -> None:
        """An event from outside (a packet) at the reactor's time `when_us`."""
        self._post(when_us, callback)

    def _global_us(self, local_us: int) -> int:
        """First moment of the reactor's time at which the local clock shows `local_us`."""
        when = local_us - self._offset_us
        if self._drift_ppm:
            when = -(-when * 1_000_000 // (1_000_000 + self._drift_ppm))
        return when

    def _post(self, when_us: int, callback: Callback) -> None:
        self._reactor.post_at(when_us, partial(self._run, callback))

    def _run(self, callback: Callback) -> None:
        if not self.alive:
            return
        if self._paused_until > self._reactor._now:
            self._post(self._paused_until, callback)
            return
        callback()


def _complete(job: Callable[[], object], done: Callable[[BaseException | None], None]) -> None:
    error: BaseException | None = None
    try:
        job()
    except Exception as caught:
        error = caught
    done(error)


def steady_disk(random: Random, background: bool) -> int:
    """A good drive: 100-400 microseconds for a sync, ten times that in the background lane."""
    latency = 100 + int(random.random() * 300)
    return latency * 10 if background else latency
