"""Run the project's checks and say at the end what passed and what was left out.

Usage: checks.py [step ...]; without arguments every step. Exit code 1 when any step failed.
A run is called partial when a step was not asked for, or when tests were skipped.

Steps that only compute run two at a time on two cores. They are shown one after the other all the
same: the first as it prints, the next from its beginning when its turn has come. Live tests depend
on how soon brokers answer: they come last, with the machine to themselves.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from threading import Lock

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
PYTEST = [sys.executable, "-m", "pytest", "-q"]
NOTHING_COLLECTED = 5

STEPS: dict[str, list[str]] = {
    "format": [str(BIN / "ruff"), "format", "--check", "."],
    "lint": [str(BIN / "ruff"), "check", "."],
    "types": [sys.executable, "-m", "mypy"],
    "imports": [str(BIN / "lint-imports"), "--no-logo"],
    "unit": [*PYTEST, "-m", "not sim and not live"],
    "sim": [*PYTEST, "-m", "sim"],
    "live": [*PYTEST, "-m", "live"],
}
ALONE = ("live",)
AT_ONCE = min(2, len(os.sched_getaffinity(0)))


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one step went."""

    name: str
    passed: bool
    seconds: float
    note: str


class Interrupted(Exception):
    """A step that is not to begin any more."""


class Run:
    """The steps of one call."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._processes: list[subprocess.Popen[str]] = []
        self._stopped = False

    def steps(self, names: list[str], at_once: int) -> list[Outcome]:
        """Run these, so many at a time, and show what they print in this order."""
        with ThreadPoolExecutor(at_once) as pool:
            printed: dict[str, SimpleQueue[str]] = {name: SimpleQueue() for name in names}
            running = [pool.submit(self._step, name, lines) for name, lines in printed.items()]
            try:
                for name, lines in printed.items():
                    print(f"\n=== {name}: {' '.join(STEPS[name][-4:])}", flush=True)
                    for line in iter(lines.get, ""):
                        print(line, end="", flush=True)
            except BaseException:
                self._stop()
                raise
        return [each.result() for each in running]

    def _step(self, name: str, lines: SimpleQueue[str]) -> Outcome:
        """Run one step; an empty line ends what it printed."""
        command = STEPS[name]
        started = time.monotonic()
        last_line = ""
        try:
            with self._start(command) as process:
                assert process.stdout is not None
                for line in process.stdout:
                    lines.put(line)
                    last_line = line.strip() or last_line
        finally:
            lines.put("")
        seconds = time.monotonic() - started
        if command[: len(PYTEST)] != PYTEST:
            return Outcome(name, process.returncode == 0, seconds, "")
        if process.returncode == NOTHING_COLLECTED:
            return Outcome(name, True, seconds, "no such tests: skipped")
        return Outcome(name, process.returncode == 0, seconds, last_line.strip("= "))

    def _start(self, command: list[str]) -> subprocess.Popen[str]:
        with self._lock:
            if self._stopped:
                raise Interrupted
            # Out of reach of a terminal's Ctrl-C: each is interrupted once, by `_stop`. A second
            # time would break off its cleaning up.
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                process_group=0,
            )
            self._processes.append(process)
            return process

    def _stop(self) -> None:
        with self._lock:
            self._stopped = True
            for process in self._processes:
                process.send_signal(signal.SIGINT)


def summarize(outcomes: list[Outcome], seconds: float) -> bool:
    """Print the table; True when all passed. `seconds` is what all took together."""
    print("\n=== summary")
    for outcome in outcomes:
        verdict = "ok" if outcome.passed else "FAILED"
        print(f"  {outcome.name:8} {verdict:7} {outcome.seconds:7.1f} s  {outcome.note}")
    left_out = [name for name in STEPS if name not in {outcome.name for outcome in outcomes}]
    skipped = [outcome.name for outcome in outcomes if re.search(r"\bskipped\b", outcome.note)]
    failed = [outcome.name for outcome in outcomes if not outcome.passed]
    if left_out:
        print(f"partial: not run: {', '.join(left_out)}")
    if skipped:
        print(f"partial: tests skipped in: {', '.join(skipped)}")
    verdict = f"FAILED: {', '.join(failed)}" if failed else "all steps that ran passed"
    print(f"{verdict}, after {seconds:.0f} s")
    return not failed


def main(names: list[str]) -> int:
    """Run the named steps, or all."""
    unknown = [name for name in names if name not in STEPS]
    if unknown:
        print(f"no such step: {', '.join(unknown)}; there are: {', '.join(STEPS)}")
        return 2
    names = names or list(STEPS)
    for ending in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(ending) is not signal.SIG_IGN:
            signal.signal(ending, signal.default_int_handler)
    started = time.monotonic()
    run = Run()
    try:
        outcomes = run.steps([name for name in names if name not in ALONE], AT_ONCE)
        outcomes += run.steps([name for name in names if name in ALONE], 1)
    except KeyboardInterrupt:
        print("\ninterrupted")
        return 128 + signal.SIGINT
    return 0 if summarize(outcomes, time.monotonic() - started) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
