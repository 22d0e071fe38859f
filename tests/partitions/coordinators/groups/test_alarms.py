"""Deadlines of groups: on time, and not remembered for longer than they matter."""

from __future__ import annotations

from partitions.coordinators.groups import ClassicGroup, GroupSettings, JoinAsk
from partitions.coordinators.groups.alarms import STALE_MAX, Alarms
from tests.partitions.api.fakes import ManualReactor


def pending(now_us: int, session_ms: int) -> ClassicGroup:
    """A group that has handed out a member id, and waits for it that long."""
    group = ClassicGroup("g", GroupSettings())
    ask = JoinAsk("", "m", None, "c", "/h", session_ms, session_ms, "consumer", (("r", b""),))
    group.join(now_us, "ticket", ask)
    assert group.deadline is not None
    return group


def test_each_group_is_called_when_it_is_due() -> None:
    reactor, called = ManualReactor(), list[int]()
    groups = [pending(reactor.now_us(), session_ms) for session_ms in (9_000, 7_000, 8_000)]

    def tick(group: ClassicGroup) -> None:
        called.append(groups.index(group))
        group.tick(reactor.now_us())

    alarms = Alarms(reactor, tick)
    for group in groups:
        alarms.update(group)
    assert reactor.armed == 1, "one timer for all of them"
    reactor.advance(7_500_000)
    assert called == [1]
    reactor.advance(10_000_000)
    assert called == [1, 2, 0]
    assert reactor.armed == 0


def test_groups_that_come_and_go_are_not_kept() -> None:
    reactor, called = ManualReactor(), list[ClassicGroup]()

    def tick(group: ClassicGroup) -> None:
        called.append(group)
        group.tick(reactor.now_us())

    alarms = Alarms(reactor, tick)
    kept = pending(reactor.now_us(), 1_700_000)
    alarms.update(kept)
    for _ in range(5 * STALE_MAX):
        group = pending(reactor.now_us(), 1_800_000)
        alarms.update(group)
        alarms.forget(group)
    assert len(alarms) <= STALE_MAX + 10
    reactor.advance(1_700_000_000)
    assert called == [kept]
