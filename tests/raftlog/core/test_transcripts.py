"""Runs every transcript: tests/raftlog/core/transcripts/*.txt."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from .script import run_file

TRANSCRIPTS = sorted((Path(__file__).parent / "transcripts").glob("*.txt"))


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)
def test_transcript(path: Path) -> None:
    expected, happened = run_file(path, rewrite=os.environ.get("QUORATE_REWRITE") == "1")
    assert happened == expected


def test_there_are_transcripts() -> None:
    assert len(TRANSCRIPTS) >= 14
