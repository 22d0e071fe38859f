"""The group survives whatever a seed can think of, and every run can be had again."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from raftlog.testing.__main__ import main
from raftlog.testing.cluster import SimCluster
from raftlog.testing.options import Options
from raftlog.testing.probes import missing
from raftlog.testing.runner import Failure, Summary, run_many, run_seed

ROOT = Path(__file__).resolve().parents[3]


def show(summary: Summary) -> None:
    if summary.seeds % 25 == 0:
        print(f"{summary.seeds} seeds, {summary.commits} entries committed", flush=True)


def sweep(seeds: int, disk: str) -> Summary:
    summary = run_many(
        range(1, seeds + 1),
        seconds=10,
        disk=disk,
        processes=os.cpu_count() or 1,
        on_progress=show,
    )
    print("\n".join(summary.lines()))
    for failure in summary.failures:
        pytest.fail(failure.report, pytrace=False)
    return summary


@pytest.mark.sim
def test_300_seeds_hold_every_invariant() -> None:
    summary = sweep(300, "model")
    assert missing(summary.probes, disk="model") == []


@pytest.mark.sim
def test_150_seeds_on_the_real_write_ahead_log() -> None:
    summary = sweep(150, "wal")
    assert missing(summary.probes, disk="wal") == []


@pytest.mark.parametrize("disk", ["model", "wal"])
def test_a_few_seeds_hold_every_invariant(disk: str) -> None:
    for seed in range(5001, 5006):
        outcome = run_seed(Options.draw(seed, seconds=3, disk=disk))
        assert not isinstance(outcome, Failure), outcome.report
        assert outcome.operations["write ok"] > 0


@pytest.mark.parametrize("disk", ["model", "wal"])
def test_a_seed_gives_the_same_trace_twice(disk: str) -> None:
    def digest(seed: int) -> str:
        cluster = SimCluster(Options.draw(seed, seconds=2, disk=disk), whole_trace=True)
        cluster.run()
        return cluster.trace.digest()

    assert digest(11) == digest(11)
    assert digest(11) != digest(12)


@pytest.mark.sim
@pytest.mark.parametrize("disk", ["model", "wal"])
def test_the_trace_does_not_depend_on_hash_seeds(disk: str) -> None:
    """Two processes with different PYTHONHASHSEED print the same bytes."""

    def trace(hash_seed: str) -> bytes:
        command = [sys.executable, "-m", "raftlog.testing", "--seed", "9", "--seconds", "2"]
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        done = subprocess.run(
            [*command, "--disk", disk, "--trace"],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            check=True,
        )
        return done.stdout

    first = trace("1")
    assert len(first) > 10_000
    assert first == trace("2")


def test_without_faults_nothing_is_lost_and_nothing_repeats() -> None:
    result = SimCluster(Options(seed=1, fault_phase_us=2_000_000)).run()
    assert result.terms == 1
    assert result.operations["write ok"] > 50
    assert set(result.operations) <= {"write ok", "read ok"}


def test_the_command_line_runs_a_seed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seed", "3", "--seconds", "1"]) == 0
    assert "entries committed" in capsys.readouterr().out
    assert main(["--seeds", "2", "--seconds", "1", "--processes", "1"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("every invariant held\n2 seeds, ")
    assert max(map(len, said.splitlines())) <= 100
    totals = said[said.index("operations:") :].splitlines()
    assert all(re.search(r" \d+,?$", line) for line in totals), "a count is broken over two lines"


def test_a_sweep_goes_on_where_it_was_interrupted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    short = ["--seconds", "0.5", "--processes", "1"]
    kept = ["--state", str(tmp_path / "state.json")]
    assert main(["--seeds", "6", *short]) == 0
    at_once = capsys.readouterr().out.splitlines()
    assert main(["--seeds", "4", *short, *kept]) == 0
    assert main(["--seeds", "6", *short, *kept]) == 0
    assert capsys.readouterr().out.splitlines()[-4:] == at_once[-4:]
    with pytest.raises(SystemExit) as refused:
        main(["--seeds", "6", "--seconds", "1", *kept])
    assert refused.value.code == 2
    assert "another sweep" in capsys.readouterr().err
