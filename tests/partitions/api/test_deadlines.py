"""Coarse time-outs and byte budgets."""

from __future__ import annotations

from random import Random

import pytest

from partitions.api import ByteBudget, Deadlines
from partitions.api.deadlines import SLICE_US
from tests.partitions.api.fakes import ManualReactor


def test_a_deadline_is_never_early_and_hardly_late() -> None:
    random = Random(5)
    reactor = ManualReactor()
    deadlines = Deadlines(reactor)
    late: list[int] = []
    for _ in range(200):
        when = reactor.now_us() + random.randrange(5_000_000)
        deadlines.add(when, lambda when=when: late.append(reactor.now_us() - when))  # type: ignore[misc]
    reactor.advance(6_000_000)
    assert len(late) == 200
    assert min(late) >= 0
    assert max(late) < SLICE_US
    assert len(deadlines) == 0


def test_cancelled_deadlines_are_gone_at_once() -> None:
    reactor = ManualReactor()
    deadlines = Deadlines(reactor)
    due = reactor.now_us() + 30_000_000
    added = [deadlines.add(due, pytest.fail) for _ in range(1000)]
    assert reactor.armed == 1, "they share a timer"
    for deadline in added:
        deadline.cancel()
    assert len(deadlines) == 0
    reactor.advance(31_000_000)
    added[0].cancel()


def test_a_callback_may_cancel_and_add() -> None:
    reactor = ManualReactor()
    deadlines = Deadlines(reactor)
    due = reactor.now_us() + 100
    ran: list[str] = []

    def first() -> None:
        ran.append("first")
        second.cancel()
        deadlines.add(reactor.now_us() + 100, lambda: ran.append("third"))

    deadlines.add(due, first)
    second = deadlines.add(due, lambda: ran.append("second"))
    reactor.advance(1_000_000)
    assert ran == ["first", "third"]


def test_a_budget_wakes_who_waits_when_there_is_room() -> None:
    budget = ByteBudget(10)
    woken: list[str] = []
    budget.take(25)
    assert budget.available == -15
    budget.watch(lambda: woken.append("a"))
    forget = budget.watch(lambda: woken.append("b"))
    forget()
    budget.give_back(15)
    assert woken == [], "full is not room"
    budget.give_back(1)
    assert woken == ["a"]
    budget.give_back(1)
    assert woken == ["a"], "once"
