"""Results as tables and as JSON, and the templates of `quorate consume --format`."""

from __future__ import annotations

import io
import json
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.exits import ExitCode
from cli.output import emit_record, emit_rows
from cli.rendering import formatter
from tests.cli.conftest import Runner

ROWS: list[dict[str, Any]] = [
    {"name": "a", "replicas": [1, 2], "leader": None, "hidden": 1},
    {"name": "a long name " * 10, "replicas": [], "leader": 3, "hidden": 2},
]
COLUMNS = {"name": "NAME", "leader": "LEADER", "replicas": "REPLICAS"}


class FakeMessage:
    """What a formatter looks at."""

    def __init__(self, key: bytes | None, value: bytes | None) -> None:
        self._key, self._value = key, value

    def topic(self) -> str:
        return "t"

    def partition(self) -> int:
        return 3

    def offset(self) -> int:
        return 44

    def key(self) -> bytes | None:
        return self._key

    def value(self) -> bytes | None:
        return self._value

    def timestamp(self) -> tuple[int, int]:
        return 1, 555


def test_json_carries_every_key(capsys: pytest.CaptureFixture[str]) -> None:
    emit_rows("json", ROWS, COLUMNS)
    assert json.loads(capsys.readouterr().out) == ROWS


def test_a_table_that_is_piped_is_aligned_and_never_cut(capsys: pytest.CaptureFixture[str]) -> None:
    emit_rows("table", ROWS, COLUMNS)
    header, first, second = capsys.readouterr().out.splitlines()
    assert header.split() == ["NAME", "LEADER", "REPLICAS"]
    assert first.split() == ["a", "-", "1,2"]
    assert second.startswith(ROWS[1]["name"])
    assert header.index("LEADER") == first.index("-") == second.index("3")


def test_an_empty_table_is_its_header(capsys: pytest.CaptureFixture[str]) -> None:
    emit_rows("table", [], COLUMNS)
    assert capsys.readouterr().out.split() == ["NAME", "LEADER", "REPLICAS"]


def test_a_terminal_gets_the_same_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("COLUMNS", "200")
    emit_rows("table", [{"name": "[red]a[/red]", "leader": 1, "replicas": [1]}], COLUMNS)
    shown = terminal.getvalue()
    assert "REPLICAS" in shown
    assert "[red]a[/red]" in shown, "names from the cluster are not markup"


def test_a_record_is_an_object_or_lines(capsys: pytest.CaptureFixture[str]) -> None:
    record = {"cluster_id": "x", "healthy": True}
    emit_record("json", record)
    assert json.loads(capsys.readouterr().out) == record
    emit_record("table", record)
    assert capsys.readouterr().out.splitlines() == ["cluster id: x", "healthy:    yes"]


@pytest.mark.parametrize(
    ("template", "shown"),
    [
        (r"%s\n", b"v\n"),
        (r"%t-%p@%o %k=%s %T\t|", b"t-3@44 k=v 555\t|"),
        ("100%%%%", b"100%%"),
        (r"\\n\q", rb"\n\q"),
        ("", b""),
        ("ü%s", "üv".encode()),
    ],
)
def test_templates(template: str, shown: bytes) -> None:
    message: Any = FakeMessage(b"k", b"v")
    assert formatter(template)(message) == shown


@pytest.mark.parametrize(("template", "token"), [("%s %q", "%q"), ("100%", "%"), ("% s", "% ")])
def test_letters_that_mean_nothing_are_refused(quorate: Runner, template: str, token: str) -> None:
    result = quorate("consume", "t", "--format", template, "-b", "127.0.0.1:1")
    assert result.code == ExitCode.USAGE
    assert f"--format: {token} is not known; %t topic, %p partition" in result.err


@given(st.binary(), st.binary())
def test_what_a_record_holds_is_never_read_as_a_template(key: bytes, value: bytes) -> None:
    message: Any = FakeMessage(key, value)
    assert formatter("%k%s")(message) == key + value


def test_a_missing_key_or_value_shows_as_nothing() -> None:
    message: Any = FakeMessage(None, None)
    assert formatter("[%k|%s]")(message) == b"[|]"
