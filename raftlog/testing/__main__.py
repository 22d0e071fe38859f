"""`python -m raftlog.testing`: simulate groups from seeds; exit code 1 when an invariant breaks.

The first failure is shrunk: to the options that matter and, where that can be, to a short
schedule, which --save keeps and --replay plays.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from raftlog.errors import Misconfigured
from raftlog.testing.cluster import SimCluster
from raftlog.testing.options import Options
from raftlog.testing.overrides import add_to, count, overridden, override
from raftlog.testing.player import play
from raftlog.testing.probes import SWEEP_SEEDS, missing
from raftlog.testing.progress import Progress
from raftlog.testing.runner import Failure, Summary, failure, run_many
from raftlog.testing.schedule import parse
from raftlog.testing.shrink import shrink

MONTH_S = 30 * 24 * 3600


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line and run; the exit code."""
    parser = _parser()
    given = parser.parse_args(arguments)
    if given.trace and given.seed is None:
        parser.error("--trace is of one --seed")
    if given.state is not None and (given.seed is not None or given.replay is not None):
        parser.error("--state is of many --seeds")
    if given.replay is not None:
        return _replay(given.replay)
    if given.seed is not None:
        try:
            drawn = Options.draw(given.seed, seconds=given.seconds, disk=given.disk)
            options = override(drawn, given)
        except (ValueError, Misconfigured) as error:
            parser.error(str(error))
        return _run_one(options, given)
    if overridden(given):
        parser.error("options of a run are given for one --seed")
    try:
        return _run_many(given)
    except Misconfigured as error:
        parser.error(str(error))


def _run_many(given: argparse.Namespace) -> int:
    progress = None
    if given.state is not None:
        sweep = {"first": given.first, "seconds": given.seconds, "disk": given.disk}
        progress = Progress(given.state, sweep)

    def on_progress(summary: Summary) -> None:
        if summary.seeds % 25 == 0:
            print(f"... {summary.seeds} seeds, {summary.commits} entries committed", flush=True)
            if progress is not None and not summary.failures:
                progress.save()

    summary = progress.summary if progress is not None else Summary()
    run_many(
        range(given.first + summary.seeds, given.first + given.seeds),
        seconds=given.seconds,
        disk=given.disk,
        processes=given.processes or os.cpu_count() or 1,
        on_progress=on_progress,
        summary=summary,
    )
    if progress is not None and not summary.failures:
        progress.save()
    for line in summary.lines():
        print(line)
    for failed in summary.failures:
        print(failed.report, file=sys.stderr)
    for failed in summary.failures[:1]:
        drawn = Options.draw(failed.seed, seconds=given.seconds, disk=given.disk)
        _shrink(drawn, failed, given)
    if summary.failures:
        return 1
    return _unreached(summary, given.disk)


def _unreached(summary: Summary, disk: str) -> int:
    """1 when so many seeds should have taken every rare path and did not."""
    never = missing(summary.probes, disk=disk)
    if not never or summary.seeds < SWEEP_SEEDS:
        return 0
    print(f"never reached in {summary.seeds} seeds: {', '.join(never)}", file=sys.stderr)
    return 1


def _run_one(options: Options, given: argparse.Namespace) -> int:
    cluster = SimCluster(options, whole_trace=True)
    failed: Failure | None = None
    try:
        result = cluster.run()
    except Exception as error:
        failed = failure(cluster, error)
    if given.trace:
        sys.stdout.writelines(line + "\n" for line in cluster.trace.lines())
    if failed is not None:
        print(failed.report, file=sys.stderr)
    else:
        summary = Summary()
        summary.add(result)
        for line in summary.lines():
            print(line)
    print(f"trace {cluster.trace.digest()}")
    if failed is not None and not given.trace:
        _shrink(options, failed, given)
    return 1 if failed else 0


def _shrink(options: Options, failed: Failure, given: argparse.Namespace) -> None:
    """Show what is left of the failure, and keep it where --save says."""
    if given.no_shrink:
        return
    print(f"shrinking seed {failed.seed} ...", file=sys.stderr, flush=True)
    shrunk = shrink(options, failed)
    print(shrunk.text, end="")
    if given.save is not None:
        given.save.write_text(shrunk.text)
        print(f"kept in {given.save}; again: python -m raftlog.testing --replay {given.save}")


def _replay(path: Path) -> int:
    """Play a kept schedule: 1 when it breaks something, 2 when it is none."""
    try:
        schedule = parse(path.read_text())
    except (OSError, UnicodeDecodeError, Misconfigured) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        print(f"{path}: {reason}", file=sys.stderr)
        return 2
    played = play(schedule)
    done = f"{len(played.events)} of {len(schedule.events)} events had something to do"
    if played.invariant:
        print(f"{path}: broken: {played.detail} ({done})", file=sys.stderr)
        return 1
    print(f"{path}: holds ({done})")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m raftlog.testing", description=__doc__)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--seeds", type=count, default=100, help="how many seeds to run (100)")
    what.add_argument("--seed", type=int, help="run this one seed and print its trace's hash")
    what.add_argument("--replay", type=Path, help="play a kept schedule instead of seeds")
    parser.add_argument("--first", type=int, default=1, help="the first of the seeds (1)")
    parser.add_argument(
        "--seconds", type=_seconds, default=10.0, help="fault phase of each, virtual seconds (10)"
    )
    parser.add_argument("--processes", type=count, help="how many to use (one per core)")
    parser.add_argument(
        "--disk",
        choices=("mixed", "model", "wal"),
        default="mixed",
        help="storage model, real write-ahead log, or (mixed, unless told) every third seed on it",
    )
    parser.add_argument(
        "--state",
        type=Path,
        help="for long runs: go on from what this file keeps, and keep it up to date",
    )
    parser.add_argument(
        "--trace",
        action="store_true",
        help="with --seed: print every event: virtual microseconds, node, what happened",
    )
    parser.add_argument("--no-shrink", action="store_true", help="leave a failure as it is")
    parser.add_argument("--save", type=Path, help="write what a failure shrinks to into this file")
    add_to(parser)
    return parser


def _seconds(text: str) -> float:
    number = float(text)
    if not 0 < number < MONTH_S:
        raise argparse.ArgumentTypeError(f"{text}: more than 0, less than {MONTH_S}")
    return number


if __name__ == "__main__":
    sys.exit(main())
