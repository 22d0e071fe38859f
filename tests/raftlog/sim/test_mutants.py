"""The simulation convicts every broken Raft it is shown, by the right invariant, and soon."""

from __future__ import annotations

import pytest

from raftlog.testing.__main__ import main
from raftlog.testing.options import Options
from raftlog.testing.runner import Failure, run_many, run_seed
from tests.raftlog.sim.mutants import MUTANTS, Mutant
from tests.raftlog.sim.mutants.hosts import answers_clients_before_commit
from tests.raftlog.sim.mutants.logs import acks_before_durable

SEEDS = range(1, 121)
KNOWN = {
    "tries_a_failed_sync_again": 14,
    "trusts_bytes_without_their_checksum": 18,
    "goes_on_on_a_full_disk": 9,
    "pledges_nothing": 16,
    "takes_all_clocks_for_equal": 6,
    "keeps_its_lease_while_it_hands_over": 16,
    "believes_old_acks": 14,
    "believes_completions_of_what_was_cut": 42,
}
"""Seeds that convict, where it takes more than a few to come upon one: tried before the others."""


def first_failure(mutant: Mutant) -> Failure | None:
    known = KNOWN.get(mutant.name)
    for seed in sorted(SEEDS, key=lambda seed: seed != known):
        outcome = run_seed(mutant.options(seed))
        if isinstance(outcome, Failure):
            return outcome
    return None


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=lambda mutant: mutant.name)
def test_mutant_is_caught(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    mutant.patch(monkeypatch)
    failure = first_failure(mutant)
    assert failure is not None, f"{mutant.name} survived"
    assert failure.invariant in mutant.catches, failure.report


def test_known_seeds_are_of_mutants_there_are() -> None:
    assert set(KNOWN) <= set(MUTANTS)
    assert set(KNOWN.values()) <= set(SEEDS)


def test_every_fault_of_the_suite_that_concerns_raft_has_a_mutant() -> None:
    assert {mutant.fault for mutant in MUTANTS.values()} == {0, *range(1, 10), 16, 17, 18}


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
