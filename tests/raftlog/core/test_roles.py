"""The table of role changes: complete, true to what the core does, and what the docs show."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path

import pytest

from raftlog.core import replica
from raftlog.core.roles import IMPOSSIBLE, TRANSITIONS, Event, diagram, next_role
from raftlog.testing.options import Options
from raftlog.testing.runner import run_seed
from raftlog.types import Role

from .script import run_file

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "raft-roles.md"
TRANSCRIPTS = Path(__file__).parent / "transcripts"
SEEDS_MAX = 60


def test_every_role_and_event_is_a_transition_or_impossible_never_both() -> None:
    assert set(TRANSITIONS) | set(IMPOSSIBLE) == set(product(Role, Event))
    assert not set(TRANSITIONS) & set(IMPOSSIBLE)
    assert all(IMPOSSIBLE.values())


def test_only_a_candidate_becomes_leader() -> None:
    elected = [role for role, event in TRANSITIONS if TRANSITIONS[role, event] is Role.LEADER]
    assert elected == [Role.CANDIDATE]


@pytest.mark.parametrize("pair", IMPOSSIBLE, ids=lambda pair: f"{pair[0].name}-{pair[1].name}")
def test_what_is_impossible_is_refused_with_its_reason(pair: tuple[Role, Event]) -> None:
    role, event = pair
    sentence = f"{event.name} cannot happen to a {role.name}: {IMPOSSIBLE[pair]}"
    with pytest.raises(AssertionError, match=re.escape(sentence)):
        next_role(role, event)


def test_every_transition_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row that the core never takes would be a promise of the table, not a fact."""
    missing = set(TRANSITIONS)

    def noting(role: Role, event: Event) -> Role:
        missing.discard((role, event))
        return next_role(role, event)

    monkeypatch.setattr(replica, "next_role", noting)
    for path in sorted(TRANSCRIPTS.glob("*.txt")):
        run_file(path, rewrite=False)
    for seed in range(1, SEEDS_MAX + 1):
        if missing:
            run_seed(Options.draw(seed, seconds=3, disk="model"))
    assert not missing


def test_the_docs_show_the_diagram_of_the_table() -> None:
    (block,) = re.findall(r"```mermaid\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    assert block == diagram(), f"put the output of raftlog.core.roles.diagram() into {PAGE.name}"


def test_the_docs_list_every_impossibility() -> None:
    rows = [f"| {r.name} | {e.name} | {reason} |" for (r, e), reason in IMPOSSIBLE.items()]
    shown = [line for line in PAGE.read_text().splitlines() if re.match(r"\| [A-Z_]+ \|", line)]
    assert [line for line in shown if line.count("|") == 4] == rows
