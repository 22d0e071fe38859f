"""Writes docs/scenarios.md."""

from __future__ import annotations

from tests.scenarios.page import PAGE, render

PAGE.write_text(render(), encoding="utf-8")
