"""The list itself. Numbers are the project's; 0 is what the list calls also known."""

from __future__ import annotations

from tests.scenarios import first, second
from tests.scenarios.case import Case

CASES: tuple[Case, ...] = first.CASES + second.CASES
