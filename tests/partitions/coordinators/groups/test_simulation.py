"""Many histories of one group with all that can go wrong, and mistakes that they must show."""

from __future__ import annotations

import pytest

from tests.partitions.coordinators.groups.mutants import MUTANTS, Mutant
from tests.partitions.coordinators.groups.oracle import Violation
from tests.partitions.coordinators.groups.world import World

SECONDS = 240
MUTANT_SEEDS = 60


@pytest.mark.parametrize("seed", range(100))
def test_a_history(seed: int) -> None:
    World(seed).play(SECONDS)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant[2].__name__)
def test_a_mistake_is_noticed(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(*mutant)
    with pytest.raises((Violation, LookupError)):
        for seed in range(MUTANT_SEEDS):
            World(seed).play(SECONDS)
