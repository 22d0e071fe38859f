"""Runs seeds: one for a close look, many for a verdict.

A failure is reported as what it is worth to whoever must find it: the invariant, the last
lines of the trace, and the one command that does it again.
"""

from __future__ import annotations

import multiprocessing
import textwrap
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from raftlog.testing.cluster import Result, SimCluster
from raftlog.testing.history import Violation, verdict
from raftlog.testing.options import Options
from raftlog.testing.overrides import arguments

TRACE_LINES = 60
TABLE_COLUMNS = 100
_NO_BREAK = "\x1f"


@dataclass(frozen=True, slots=True)
class Failure:
    """A seed that broke something."""

    seed: int
    invariant: str
    """The invariant's name, or the type of the exception that the code under test raised."""
    report: str
    """Everything a person needs, as text."""


@dataclass(slots=True)
class Summary:
    """Many seeds together."""

    seeds: int = 0
    events: int = 0
    simulated_us: int = 0
    commits: int = 0
    terms: int = 0
    operations: Counter[str] = field(default_factory=Counter)
    probes: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)

    def add(self, outcome: Result | Failure) -> None:
        """Count one seed's outcome in."""
        self.seeds += 1
        if isinstance(outcome, Failure):
            self.failures.append(outcome)
            return
        self.events += outcome.events
        self.simulated_us += outcome.simulated_us
        self.commits += outcome.commit
        self.terms += outcome.terms
        self.operations += outcome.operations
        self.probes += outcome.probes

    def lines(self) -> Iterator[str]:
        """The verdict and a table of totals."""
        broken = [failed.seed for failed in self.failures]
        yield f"seed {broken[0]} broke an invariant" if broken else "every invariant held"
        yield f"{self.seeds} seeds, {self.simulated_us / 1e6:.0f} s simulated, {self.events} events"
        yield f"{self.commits} entries committed, {self.terms} terms led"
        yield _table("operations", self.operations)
        yield _table("paths", self.probes)


def replay_command(options: Options) -> str:
    """The command line that runs a seed again."""
    return f"python -m raftlog.testing {' '.join(arguments(options))} --trace"


def run_seed(options: Options) -> Result | Failure:
    """Run one seed to its end or to its first violation."""
    cluster = SimCluster(options)
    try:
        return cluster.run()
    except Exception as error:  # whatever the code under test raises is the finding
        return failure(cluster, error)


def failure(cluster: SimCluster, error: Exception) -> Failure:
    """Describe what ended a run."""
    options = cluster.options
    lines = [f"seed {options.seed} failed at {cluster.reactor.now_us()} us: {error!r}"]
    lines += [f"  {line}" for line in cluster.trace.lines(TRACE_LINES)]
    if not isinstance(error, Violation):
        lines += traceback.format_exception(error)
    lines += [f"  options: {options}", f"  again:   {replay_command(options)}"]
    return Failure(options.seed, verdict(error), "\n".join(lines))


def run_many(
    seeds: Iterable[int],
    *,
    seconds: float = 10,
    disk: str = "mixed",
    processes: int = 1,
    on_progress: Callable[[Summary], None] | None = None,
    summary: Summary | None = None,
) -> Summary:
    """Run seeds over `processes`, in order; stops soon after the first failure.

    `summary`: of the seeds before, to be added to.
    """
    summary = Summary() if summary is None else summary
    draws = (Options.draw(seed, seconds=seconds, disk=disk) for seed in seeds)
    for outcome in _outcomes(draws, processes):
        summary.add(outcome)
        if on_progress is not None:
            on_progress(summary)
        if summary.failures:
            break
    return summary


def _outcomes(draws: Iterable[Options], processes: int) -> Iterator[Result | Failure]:
    if processes == 1:
        yield from map(run_seed, draws)
        return
    context = multiprocessing.get_context("spawn")
    with context.Pool(processes) as pool:
        yield from pool.imap(run_seed, draws, chunksize=2)


def _table(title: str, counts: Counter[str]) -> str:
    """As many counts to a line as fit; none is broken over two."""
    items = [f"{name} {count}".replace(" ", _NO_BREAK) for name, count in sorted(counts.items())]
    indent = " " * len("operations: ")
    text = f"{title + ':':<{len(indent)}}{', '.join(items)}"
    filled = textwrap.fill(text, TABLE_COLUMNS, subsequent_indent=indent, break_on_hyphens=False)
    return filled.replace(_NO_BREAK, " ")
