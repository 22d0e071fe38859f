"""The lines of a broker's log."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import structlog

from cli.logs import configure


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    before = structlog.get_config()
    yield
    structlog.configure(**before)


def say() -> None:
    secret = "a client's data"
    try:
        raise ValueError(f"{len(secret)} characters")
    except ValueError as error:
        structlog.get_logger().error("it failed", peer="10.0.0.1:5\n6", exc_info=error)


def test_json_is_one_object_a_line_tracebacks_included(capsys: pytest.CaptureFixture[str]) -> None:
    configure("json")
    with structlog.contextvars.bound_contextvars(node=3):
        say()
        structlog.get_logger().info("odd", value={b"\xff": object}, raw=b"\xff")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["event"], line["level"], line["node"]) for line in lines] == [
        ("it failed", "error", 3),
        ("odd", "info", 3),
    ]
    assert "ValueError: 15 characters" in lines[0]["exception"]
    assert lines[0]["timestamp"].endswith("Z")


def test_text_shows_no_values_of_variables(capsys: pytest.CaptureFixture[str]) -> None:
    configure("text")
    say()
    out = capsys.readouterr().out
    first, *_ = out.splitlines()
    assert "it failed" in first and "peer='10.0.0.1:5\\n6'" in first
    assert "ValueError: 15 characters" in out
    assert "a client's data" not in out
    assert "\x1b" not in out
