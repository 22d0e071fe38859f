"""The simulation convicts every broken Raft it is shown, by the right invariant, and soon."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from raftlog.testing.__main__ import main
from raftlog.testing.network import LinkQuality
from raftlog.testing.options import Options
from raftlog.testing.runner import Failure, run_many, run_seed
from tests.raftlog.sim.mutants import (
    CATCHES,
    STORAGE_CATCHES,
    Mutant,
    acks_before_durable,
    answers_clients_before_commit,
    believes_old_acks,
    counts_votes_of_other_terms,
    reads_without_a_quorum,
)

SEEDS = range(1, 121)

STALE_READS = {"faults": ("pause", "isolate_leader"), "read_share": 0.6, "fault_every_us": 300_000}
"""Leaders of the past, and clients that ask them."""

LATE_PACKETS = {
    "faults": ("isolate_leader", "transfer", "campaign"),
    "fault_every_us": 200_000,
    "quality": LinkQuality(100, 10_000, duplicate=0.1, slow=0.1, slow_factor=200),
}
"""Answers that arrive when their term is long over."""

CIRCUMSTANCES: dict[Mutant, dict[str, Any]] = {
    believes_old_acks: LATE_PACKETS,
    counts_votes_of_other_terms: LATE_PACKETS,
    reads_without_a_quorum: STALE_READS,
}
"""What brings a mutant to light soon; most seeds have something else in mind."""


def first_failure(overrides: dict[str, Any], disk: str = "model") -> Failure | None:
    for seed in SEEDS:
        outcome = run_seed(replace(Options.draw(seed, disk=disk), **overrides))
        if isinstance(outcome, Failure):
            return outcome
    return None


@pytest.mark.parametrize("mutant", CATCHES, ids=lambda mutant: mutant.__name__)
def test_mutant_is_caught(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    mutant(monkeypatch)
    failure = first_failure(CIRCUMSTANCES.get(mutant, {}))
    assert failure is not None, f"{mutant.__name__} survived"
    assert failure.invariant in CATCHES[mutant], failure.report


@pytest.mark.parametrize("mutant", STORAGE_CATCHES, ids=lambda mutant: mutant.__name__)
def test_storage_mutant_is_caught(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    mutant(monkeypatch)
    failure = first_failure({}, disk="wal")
    assert failure is not None, f"{mutant.__name__} survived"
    assert failure.invariant in STORAGE_CATCHES[mutant], failure.report


def test_a_failure_tells_how_to_see_it_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    acks_before_durable(monkeypatch)
    failure = run_seed(Options.draw(1, seconds=2))
    assert isinstance(failure, Failure)
    assert "nothing is acknowledged before it is durable" in failure.report
    assert "python -m raftlog.testing --seed 1 --seconds 2 --disk model --trace" in failure.report
    assert failure.report.count("\n") > 20
    assert main(["--seed", "1", "--seconds", "2"]) == 1
    assert "nothing is acknowledged before it is durable" in capsys.readouterr().err


def test_the_sweep_stops_at_the_first_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    answers_clients_before_commit(monkeypatch)
    assert run_many(SEEDS, seconds=1).seeds < 20
