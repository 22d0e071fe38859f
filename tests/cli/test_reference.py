"""docs/cli.md says what the commands say."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.reference import reference

PAGE = Path(__file__).resolve().parents[2] / "docs/cli.md"


def test_the_page_is_what_the_commands_say(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("QUORATE_BOOTSTRAP", "QUORATE_OUTPUT"):
        monkeypatch.setenv(name, "elsewhere:1" if name.endswith("P") else "json")
    monkeypatch.setenv("COLUMNS", "40")
    written = PAGE.read_text(encoding="utf-8")
    assert reference() == written, "run: python -m cli.reference > docs/cli.md"
    for command in ("log dump", "group reset-offsets", "cluster health", "completion"):
        assert f"quorate {command}\n" in written
