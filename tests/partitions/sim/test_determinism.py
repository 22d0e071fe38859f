"""A seed's trace is the same bytes every time, in one process and under any hash seed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from partitions.testing import Options, Run
from partitions.testing.runner import quiet_logs

ROOT = Path(__file__).resolve().parents[3]


def trace(scenario: str, seed: int) -> list[str]:
    run = Run(Options.draw(seed, scenario))
    with quiet_logs():
        run.run()
    return list(run.cluster.trace.lines())


def test_twice_in_one_process() -> None:
    first, again, other = trace("leader", 4), trace("leader", 4), trace("leader", 5)
    assert len(first) > 1000
    assert first == again
    assert first != other


def test_the_trace_names_what_happened() -> None:
    words = {line.split()[2] for line in trace("rolling", 2)}
    assert {"start", "leader", "control", "bulk", "request", "response", "peer-up"} <= words
    assert words & {"crash", "kill"}


@pytest.mark.sim
@pytest.mark.parametrize("scenario", ["storm", "power", "restarts", "groups"])
def test_in_processes_with_different_hash_seeds(scenario: str) -> None:
    def output(hash_seed: str) -> bytes:
        command = [sys.executable, "-m", "partitions.testing", "--scenario", scenario]
        done = subprocess.run(
            [*command, "--seed", "7", "--trace"],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            check=True,
        )
        return done.stdout

    first = output("1")
    assert len(first) > 50_000
    assert first == output("2")
