"""docs/scenarios.md, from the table."""

from __future__ import annotations

from collections import Counter

from tests.scenarios.case import Case
from tests.scenarios.running import ROOT
from tests.scenarios.table import CASES

PAGE = ROOT / "docs" / "scenarios.md"

_HEAD = """\
# What broke other engines

Mistakes that consensus engines in production have made, where they were found, the tests that
hold them off here, and the mutant that takes our fix out. Every test of this page fails with its
mutant: `pytest tests/scenarios` shows it, with `-k` and a mutant's name for one row. A transcript
(`.txt`) is run by `pytest tests/raftlog/core/test_transcripts.py -k` and its name. "copycat#265" is
issue 265 of that project; S1 to S3 are the ways in which PySyncObj loses acknowledged writes. The
mutants' modules are below `tests`; those of `raftlog.sim.mutants` are tried in simulation as well
(`make mutants`). This page is written from `tests/scenarios/table.py`: `python -m tests.scenarios`.

| | What went wrong elsewhere | Our tests | Without the fix |
|---|---|---|---|
"""


def render() -> str:
    """The page's text."""
    totals = Counter(case.number for case in CASES)
    seen: Counter[int] = Counter()
    lines = []
    for case in CASES:
        letter = chr(ord("a") + seen[case.number]) if totals[case.number] > 1 else ""
        seen[case.number] += 1
        number = f"{case.number or 'also '}{letter}"
        lines.append(f"| {number} | {case.what} | {_tests(case)} | {_mutant(case)} |\n")
    return _HEAD + "".join(lines)


def _tests(case: Case) -> str:
    return "<br>".join(f"`{name}`" for name in case.names)


def _mutant(case: Case) -> str:
    sentence = " ".join((case.mutant.__doc__ or "").split("\n\n")[0].split())
    module = case.mutant.__module__.removeprefix("tests.")
    return f"{sentence} `{module}.{case.mutant.__name__}`"
