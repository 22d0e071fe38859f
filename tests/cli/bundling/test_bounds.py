"""Brokers that name others without end, or take their time, cost a bounded time."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from cli.bundling import asking
from cli.bundling.collecting import BROKERS_MAX, Wish, collect
from cli.bundling.contents import Contents
from cli.connection import Silence
from cli.context import Address, Target
from cli.survey import View, survey

FIRST = Address("10.0.0.1", 9092)
NAMED = 1_000


def naming(address: Address) -> View:
    """Itself and as many others, which no other answer names."""
    brokers = {n: Address(f"{address.host}.{n}", 9092) for n in range(1, NAMED)}
    return View("c", None, {0: address, **brokers}, (), None)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Address]:
    """Whom the survey asked, of a cluster without an end."""
    addresses: list[Address] = []

    def ask(address: Address, limit_s: float) -> View:
        addresses.append(address)
        return naming(address)

    def silent(*_: Any) -> Silence:
        return Silence("gone", connected=False)

    monkeypatch.setattr("cli.survey.ask", ask)
    monkeypatch.setattr("cli.bundling.asking.attempt", silent)
    monkeypatch.setattr("cli.bundling.collecting.attempt", silent)
    monkeypatch.setattr("cli.bundling.grouping.collect", lambda *_: pytest.fail("asked for groups"))
    return addresses


def bundled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, timeout_s: float) -> dict[str, str]:
    """What is missing, and why."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    contents = Contents(1 << 30)
    collect(contents, Wish(Target((FIRST,), timeout_s)))
    status = next(each for each in contents.members if each.name == "cluster/status.json")
    assert status.data.count(b'"address"') <= BROKERS_MAX
    return {each["what"]: each["why"] for each in contents.missing}


def test_as_many_brokers_are_asked_as_there_may_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: list[Address]
) -> None:
    missing = bundled(tmp_path, monkeypatch, 10)
    assert asked[0] == FIRST
    assert len(asked) == len(set(asked)) == BROKERS_MAX
    left_out = BROKERS_MAX * (NAMED - 1) + 1 - BROKERS_MAX
    assert "at most 128 are asked" in missing[f"{left_out} more brokers"]
    assert missing["cluster/groups.json"] == "not asked: too many brokers are named"


def test_nobody_is_asked_when_the_time_for_all_is_over(
    monkeypatch: pytest.MonkeyPatch, asked: list[Address]
) -> None:
    now = time.monotonic()
    assert survey([FIRST], 10, BROKERS_MAX, now - 1) == {}
    assert asked == []
    (answers,) = asking.ask_all({FIRST: naming(FIRST)}, 10, now - 1)
    assert set(answers.missing.values()) == {"not asked: the time for all brokers is over"}
    assert answers.missing.keys() == asking.QUESTIONS.keys()


def test_a_fenced_broker_is_asked_though_nobody_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: list[Address]
) -> None:
    fenced = Address("10.0.0.2", 9092)
    monkeypatch.setattr("tests.cli.bundling.test_bounds.NAMED", 1)
    monkeypatch.setattr("cli.bundling.collecting.attempt", lambda *_: {0: FIRST, 1: fenced})
    monkeypatch.setattr("cli.bundling.grouping.collect", lambda *_: [])
    missing = bundled(tmp_path, monkeypatch, 10)
    assert asked == [FIRST, fenced]
    assert not [what for what in missing if "more" in what]
