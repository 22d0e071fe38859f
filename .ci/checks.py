"""Run the project's checks one after another and say at the end what passed and what was left out.

Usage: checks.py [step ...]; without arguments every step. Exit code 1 when any step failed.
A run is called partial when a step was not asked for, or when tests were skipped.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

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


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one step went."""

    name: str
    passed: bool
    seconds: float
    note: str


def run(name: str) -> Outcome:
    """Run one step, its output passed on line by line."""
    command = STEPS[name]
    print(f"\n=== {name}: {' '.join(command[-4:])}", flush=True)
    started = time.monotonic()
    last_line = ""
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            last_line = line.strip() or last_line
    seconds = time.monotonic() - started
    if command[: len(PYTEST)] != PYTEST:
        return Outcome(name, process.returncode == 0, seconds, "")
    if process.returncode == NOTHING_COLLECTED:
        return Outcome(name, True, seconds, "no such tests: skipped")
    return Outcome(name, process.returncode == 0, seconds, last_line.strip("= "))


def summarize(outcomes: list[Outcome]) -> bool:
    """Print the table; True when all passed."""
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
    print(f"FAILED: {', '.join(failed)}" if failed else "all steps that ran passed")
    return not failed


def main(names: list[str]) -> int:
    """Run the named steps, or all."""
    unknown = [name for name in names if name not in STEPS]
    if unknown:
        print(f"no such step: {', '.join(unknown)}; there are: {', '.join(STEPS)}")
        return 2
    return 0 if summarize([run(name) for name in names or STEPS]) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
