"""From a failing seed to what a person can read: fewer options, then a short schedule.

1. Options: faults are left out one by one, quality, timing and sizes become the plain ones,
   and the fault phase ends where the run failed, as long as the same invariant breaks.
2. Schedule: the inputs to the replicas are recorded and `minimize` finds the few that matter.
   Not so for verdicts about a healed cluster, which are about all that did not happen, and
   where only the real disk code fails.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from raftlog.core.timing import Timing
from raftlog.testing.cluster import SimCluster
from raftlog.testing.history import verdict
from raftlog.testing.minimize import Minimizer
from raftlog.testing.network import LinkQuality
from raftlog.testing.options import SECOND_US, Options
from raftlog.testing.player import Played, play
from raftlog.testing.recording import RecordedCluster
from raftlog.testing.runner import Failure, replay_command
from raftlog.testing.schedule import DASHES, Event, Schedule, command, opening

RUNS_MAX = 200
"""Runs of the whole cluster before the options stay as they are."""
LIVENESS = "a healed cluster"
"""How the names of verdicts about progress begin."""

Change = Callable[[Options], Options]


@dataclass(frozen=True, slots=True)
class Shrunk:
    """What is left of a failure."""

    options: Options
    schedule: Schedule | None
    """None where only the options could be shrunk."""
    events: int
    """Length of the schedule; 0 without one."""
    recorded: int
    """Inputs in the run that it was cut from."""
    runs: int
    replays: int
    text: str
    """Comments and, when there is a schedule, its transcript: what `--save` writes."""


def shrink(options: Options, failure: Failure) -> Shrunk:
    """Shrink the run of `options`, which ended with `failure`; the same every time."""
    search = _Search(options, failure.invariant)
    search.run()
    recorded, minimizer, why = _schedule(search.options, failure.invariant)
    schedule = minimizer.schedule if minimizer is not None else None
    text = [
        f"# {failure.invariant}",
        f"# again: {replay_command(search.options)}",
        f"# faults: {', '.join(search.options.faults) or 'none'}; {search.runs} runs",
    ]
    if minimizer is None:
        text.append(f"# no schedule: {why}")
    else:
        text[-1] += f", {recorded} inputs, {minimizer.replays} replays"
        text += transcript(minimizer.schedule)
    return Shrunk(
        search.options,
        schedule,
        len(schedule.events) if schedule is not None else 0,
        recorded,
        search.runs,
        minimizer.replays if minimizer is not None else 0,
        "\n".join(text) + "\n",
    )


# ------------------------------------------------------------------------------------ options


class _Search:
    """The plainest options found so far under which `invariant` breaks."""

    def __init__(self, options: Options, invariant: str) -> None:
        self.options = options
        self.runs = 0
        self._invariant = invariant

    def run(self) -> None:
        """Try every change until none helps any more, or RUNS_MAX."""
        self._try(lambda now: now)
        before = None
        while before != self.options:
            before = self.options
            for change in _changes(self.options):
                self._try(change)

    def _try(self, change: Change) -> None:
        options = change(self.options)
        if (options == self.options and self.runs) or self.runs >= RUNS_MAX:
            return
        if options.timing.lease_reads and options.drift_ppm > options.timing.clock_drift_ppm:
            return  # clocks that differ by more than leases are told break the right code, too
        self.runs += 1
        cluster = SimCluster(options)
        if _broken(cluster) == self._invariant:
            end_us = -(-cluster.reactor.now_us() // 1000) * 1000
            self.options = replace(options, fault_phase_us=min(options.fault_phase_us, end_us))


def _broken(cluster: SimCluster) -> str:
    """Run it; what broke, as `Failure.invariant` says it."""
    try:
        cluster.run()
    except Exception as error:  # whatever the code under test raises is the finding
        return verdict(error)
    return ""


def _changes(options: Options) -> Iterator[Change]:
    """Every change towards the plain, the ones that spare most first."""
    plain = Options(seed=options.seed)
    for name in ("disk", "nodes"):
        yield _set(name, getattr(plain, name))
    for fault in options.faults:
        yield lambda now, fault=fault: replace(  # type: ignore[misc]
            now, faults=tuple(other for other in now.faults if other != fault)
        )
    if "membership" not in options.faults:
        yield _set("spares", 0)
    yield _set("quality", LinkQuality())
    for part in ("loss", "duplicate", "slow"):
        yield lambda now, part=part: replace(now, quality=replace(now.quality, **{part: 0.0}))  # type: ignore[misc]
    for name in ("pass_us", "wire", "drift_ppm", "snapshot_every", "write_first", "chunk_bytes"):
        yield _set(name, getattr(plain, name))
    yield _set("sync_max_us", plain.sync_max_us)
    yield _set("timing", Timing())
    for name, value in Timing()._asdict().items():
        yield lambda now, name=name, value=value: _timed(now, name, value)  # type: ignore[misc]
    yield _set("read_share", 0.0)
    for clients in (1, 2, 3):
        yield lambda now, most=clients: replace(now, clients=min(most, now.clients))  # type: ignore[misc]
    for share in (4, 2):
        yield lambda now, share=share: _shorter(now, now.fault_phase_us // share)  # type: ignore[misc]


def _set(name: str, value: object) -> Change:
    return lambda now: replace(now, **{name: value})  # type: ignore[arg-type]


def _timed(options: Options, name: str, value: object) -> Options:
    timing = options.timing._replace(**{name: value})  # type: ignore[arg-type]
    if not 0 < timing.heartbeat_us < timing.election_min_us <= timing.election_max_us:
        return options
    return replace(options, timing=timing)


def _shorter(options: Options, fault_phase_us: int) -> Options:
    if fault_phase_us < SECOND_US // 100:
        return options
    return replace(options, fault_phase_us=fault_phase_us // 1000 * 1000)


# ----------------------------------------------------------------------------------- schedule


def _schedule(options: Options, invariant: str) -> tuple[int, Minimizer | None, str]:
    """(inputs recorded, the search with its result or None, why there is none)."""
    if invariant.startswith(LIVENESS):
        return 0, None, "the verdict is about what did not happen after all faults had ended"
    if options.disk != "model":
        return 0, None, "the storage model does not show it, the disk code has to be there"
    cluster = RecordedCluster(options)
    _broken(cluster)
    events = cluster.events()
    minimizer = Minimizer(Schedule(options, events), invariant)
    if not minimizer.run():
        return len(events), None, "the recorded inputs alone do not break it"
    return len(events), minimizer, ""


def transcript(schedule: Schedule) -> list[str]:
    """The schedule as lines of text, each block with the trace that it gives."""
    played = play(schedule, tell=True)
    lines = opening(schedule.options)
    for block in _blocks(played):
        lines.append("")
        lines += [command(event) for event, _ in block]
        lines.append(DASHES)
        lines += [line for _, trace in block for line in trace] or ["nothing"]
    if played.invariant:
        lines.append(f"broken: {played.detail}")
    return lines


_CONSEQUENCES = ("deliver", "sync", "drain", "chunk")


def _blocks(played: Played) -> Iterator[list[tuple[Event, list[str]]]]:
    """The events in paragraphs: a cause, or several of a kind, and what comes of it."""
    block: list[tuple[Event, list[str]]] = []
    for event, trace in zip(played.events, played.traces, strict=True):
        last = block[-1][0].word if block else event.word
        if event.word not in _CONSEQUENCES and last not in (event.word, "trip"):
            yield block
            block = []
        block.append((event, trace))
    if block:
        yield block
