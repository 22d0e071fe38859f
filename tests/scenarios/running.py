"""Running a test of the table by its name, inside this process."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from inspect import isclass
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from raftlog.errors import RaftError
from tests.raftlog.core.script import run_file
from tests.scenarios.case import TRANSCRIPTS

ROOT = Path(__file__).resolve().parents[2]
FAILURES = (AssertionError, RaftError, pytest.fail.Exception)
"""What a test fails by. Any other exception is a mistake of the mutant or of the table."""


def failure(file: str, name: str) -> BaseException | None:
    """Why the test fails, of several parameters the first that does; None: it passes."""
    try:
        if file == TRANSCRIPTS:
            expected, happened = run_file(ROOT / file / f"{name}.txt", rewrite=False)
            assert happened == expected
        else:
            _call(file, name)
    except FAILURES as error:
        return error
    return None


def _call(file: str, name: str) -> None:
    target: Any = import_module(file.removesuffix(".py").replace("/", "."))
    for part in name.split("::"):
        target = getattr(target, part)
        target = target() if isclass(target) else target
    for arguments in _parameters(target):
        target(**arguments)


def _parameters(test: Any) -> Iterator[dict[str, Any]]:
    marks = [mark for mark in getattr(test, "pytestmark", ()) if mark.name == "parametrize"]
    choices = []
    for mark in marks:
        names = mark.args[0]
        names = [part.strip() for part in names.split(",")] if isinstance(names, str) else names
        rows = [row if len(names) > 1 else (row,) for row in mark.args[1]]
        choices.append([dict(zip(names, row, strict=True)) for row in rows])
    for chosen in product(*choices):
        yield {name: value for part in chosen for name, value in part.items()}
