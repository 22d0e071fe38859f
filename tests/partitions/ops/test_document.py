"""docs/metrics.md is the table."""

from __future__ import annotations

from pathlib import Path

from partitions.ops.document import document
from partitions.ops.table import METRICS, SECTIONS

PAGE = Path(__file__).resolve().parents[3] / "docs" / "metrics.md"


def test_the_page_is_what_the_table_makes() -> None:
    again = "python -m partitions.ops.document > docs/metrics.md"
    assert PAGE.read_text(encoding="utf-8") == document(), f"run {again}"


def test_no_name_comes_twice() -> None:
    assert len(METRICS) == sum(len(section.metrics) for section in SECTIONS)
