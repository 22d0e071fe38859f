"""Whole brokers keep their promises through every scenario."""

from __future__ import annotations

import os
from collections.abc import Iterator
from multiprocessing.pool import Pool

import pytest

from partitions.testing import SCENARIOS, Failure, Result, run_many, run_seed, workers
from partitions.testing.__main__ import main

SEEDS = 6
UNAVAILABLE_US_MAX = 8_000_000
"""While a majority is up, no batch takes longer: elections, and clients that find the leader."""
MAJORITY_LOST = ("power", "storm", "behind")


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool | None]:
    """Processes for the seeds of all scenarios."""
    with workers(os.cpu_count() or 1) as processes:
        yield processes


def good(outcome: Result | Failure) -> Result:
    if isinstance(outcome, Failure):
        pytest.fail(outcome.report, pytrace=False)
    return outcome


@pytest.mark.parametrize("scenario", ["leader", "power", "restarts"])
def test_one_seed_of_the_plainest_scenarios(scenario: str) -> None:
    result = good(run_seed(scenario, 1))
    assert result.acknowledged > 20
    assert result.records > result.acknowledged


@pytest.mark.sim
@pytest.mark.parametrize("scenario", list(SCENARIOS))
def test_many_seeds_of_each_scenario(scenario: str, pool: Pool | None) -> None:
    results = [good(outcome) for outcome in run_many(scenario, range(1, SEEDS + 1), pool)]
    assert sorted(result.seed for result in results) == list(range(1, SEEDS + 1))
    assert len({result.digest for result in results}) == SEEDS
    if scenario not in MAJORITY_LOST:
        assert max(result.longest_us for result in results) < UNAVAILABLE_US_MAX


def test_without_faults_every_batch_is_acknowledged_and_read_once() -> None:
    result = good(run_seed("quiet", 3))
    assert result.records >= result.acknowledged > 50


def test_the_command_line_runs_seeds(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--scenario", "quiet", "--seed", "2", "--seeds", "2", "--processes", "1"]) == 0
    assert "quiet 3: " in capsys.readouterr().out


@pytest.mark.parametrize("seeds", ["0", "-3"])
def test_a_run_of_nothing_is_refused(seeds: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--seeds", seeds])
    assert "at least 1" in capsys.readouterr().err
