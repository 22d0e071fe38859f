"""`make test` runs two steps beside each other, shows them in order, and leaves none behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parent.parent / ".ci"

MEET = """
import pathlib, sys, time
mine, other = map(pathlib.Path, sys.argv[1:])
print(mine.name, "begins", flush=True)
mine.touch()
deadline = time.monotonic() + 60
while not other.exists() and time.monotonic() < deadline:
    time.sleep(0.01)
print(mine.name, "has met", other.name if other.exists() else "nobody")
"""
FAIL = "print('no good'); raise SystemExit(3)"
TOUCH_LATE = "import pathlib, sys, time; time.sleep(0.3); pathlib.Path(sys.argv[1]).touch()"
EXPECT = "import pathlib, sys; sys.exit(not pathlib.Path(sys.argv[1]).exists())"
INTERRUPT = """
import os, pathlib, signal, sys, time
mine, other, ending = sys.argv[1:]
pathlib.Path(mine).touch()
try:
    while not pathlib.Path(other).exists():
        time.sleep(0.01)
    if ending:
        os.kill(os.getppid(), signal.Signals[ending])
    time.sleep(60)
except KeyboardInterrupt:
    pathlib.Path(mine).write_text("cleaned up")
"""


def python(code: str, *arguments: Path | str) -> list[str]:
    return [sys.executable, "-c", code, *map(str, arguments)]


def checks(steps: dict[str, list[str]], *names: str) -> subprocess.CompletedProcess[str]:
    """Run the script on two cores with these steps in place of its own."""
    program = (
        f"import sys; sys.path.insert(0, {str(SCRIPTS)!r}); import checks; "
        f"checks.STEPS, checks.AT_ONCE = {steps!r}, 2; sys.exit(checks.main({list(names)!r}))"
    )
    return subprocess.run(
        [sys.executable, "-B", "-c", program], capture_output=True, text=True, check=False
    )


def test_two_steps_run_at_once_and_are_shown_one_after_the_other(tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    steps = {"one": python(MEET, a, b), "two": python(MEET, b, a), "live": python(FAIL)}
    done = checks(steps)
    shown = [line for line in done.stdout.splitlines() if line.startswith(("a ", "b ", "no "))]
    assert shown == ["a begins", "a has met b", "b begins", "b has met a", "no good"], done
    assert done.returncode == 1
    assert "FAILED: live, after " in done.stdout
    one = checks(steps, "two")
    assert one.returncode == 0
    assert "partial: not run: one, live" in one.stdout


def test_live_tests_come_last_and_alone(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    done = checks({"live": python(EXPECT, mark), "unit": python(TOUCH_LATE, mark)})
    assert done.returncode == 0, done


@pytest.mark.parametrize("ending", ["SIGINT", "SIGTERM"])
def test_an_interrupt_ends_both_and_begins_no_other(ending: str, tmp_path: Path) -> None:
    a, b, never = tmp_path / "a", tmp_path / "b", tmp_path / "never"
    steps = {
        "one": python(INTERRUPT, a, b, ""),
        "two": python(INTERRUPT, b, a, ending),
        "three": python(TOUCH_LATE, never),
        "live": python(TOUCH_LATE, never),
    }
    done = checks(steps)
    assert done.returncode == 130, done
    assert done.stdout.splitlines()[-1] == "interrupted"
    assert (a.read_text(), b.read_text()) == ("cleaned up", "cleaned up")
    assert not never.exists()
