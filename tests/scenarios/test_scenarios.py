"""Every test of the table fails when its fix is taken out, and the list is complete."""

from __future__ import annotations

import ast

import pytest

from tests.scenarios.case import LOG, MEMBERS, OTHERS, Case
from tests.scenarios.page import PAGE, render
from tests.scenarios.running import ROOT, failure
from tests.scenarios.table import CASES

PAIRS = [(case, file, name) for case in CASES for file, name in case.tests]


@pytest.mark.parametrize(
    ("case", "file", "name"),
    PAIRS,
    ids=[f"{case.number}-{case.mutant.__name__}-{name.split('::')[-1]}" for case, _, name in PAIRS],
)
def test_it_fails_without_the_fix(
    case: Case, file: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    case.mutant(monkeypatch)
    assert failure(file, name) is not None, f"{case.mutant.__name__} goes unnoticed"


@pytest.mark.parametrize(("file", "name"), sorted({pair[1:] for pair in PAIRS}))
def test_it_passes_with_it(file: str, name: str) -> None:
    """Run as the mutants are, so that what fails there is not the way of running it."""
    assert failure(file, name) is None


def test_all_seventeen_are_there() -> None:
    assert {case.number for case in CASES} == set(range(18))
    assert all(case.mutant.__doc__ for case in CASES)


@pytest.mark.parametrize("file", [LOG, OTHERS, MEMBERS])
def test_no_scenario_is_left_out_of_the_table(file: str) -> None:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    written = {
        f"{group.name}::{test.name}"
        for group in tree.body
        if isinstance(group, ast.ClassDef)
        for test in group.body
        if isinstance(test, ast.FunctionDef) and test.name.startswith("test_")
    }
    assert written - {name for _, at, name in PAIRS if at == file} == set()


def test_the_page_is_the_table() -> None:
    assert PAGE.read_text(encoding="utf-8") == render(), "run python -m tests.scenarios"
