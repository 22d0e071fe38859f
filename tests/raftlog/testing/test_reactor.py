"""Virtual time: order, cancellation, crashes, pauses, clocks and storage lanes."""

from __future__ import annotations

from random import Random

import pytest

from raftlog.testing.reactor import VirtualReactor


def test_callbacks_run_in_order_of_time_then_of_scheduling() -> None:
    reactor, seen = VirtualReactor(1), list[str]()
    reactor.call_at(20, lambda: seen.append("late"))
    reactor.call_at(10, lambda: seen.append("first"))
    reactor.call_at(10, lambda: seen.append("second"))
    assert reactor.run_until(15)
    assert (seen, reactor.now_us()) == (["first", "second"], 15)
    reactor.run_until(20)
    assert seen[-1] == "late"


def test_call_soon_runs_after_what_is_due() -> None:
    reactor, seen = VirtualReactor(1), list[str]()

    def first() -> None:
        reactor.call_soon(lambda: seen.append("soon"))

    reactor.call_at(5, first)
    reactor.call_at(5, lambda: seen.append("due"))
    reactor.run_until(5)
    assert seen == ["due", "soon"]


def test_a_cancelled_timer_does_not_run() -> None:
    reactor, seen = VirtualReactor(1), list[int]()
    timer = reactor.call_at(5, lambda: seen.append(1))
    timer.cancel()
    timer.cancel()
    reactor.run_until(10)
    assert seen == []


def test_a_crash_ends_timers_deferrals_and_jobs() -> None:
    reactor, seen = VirtualReactor(1), list[str]()
    process = reactor.process("a")
    other = reactor.process("b")
    process.call_at(50, lambda: seen.append("timer"))
    process.call_soon(lambda: seen.append("soon"))
    process.offload(lambda: seen.append("job"), lambda _: seen.append("done"))
    other.call_at(50, lambda: seen.append("other"))
    process.crash()
    reactor.run_until(10_000)
    assert seen == ["other"]


def test_a_pause_defers_in_order_and_loses_nothing() -> None:
    reactor, seen = VirtualReactor(1), list[tuple[str, int]]()
    process = reactor.process("a")
    for name, when in (("x", 10), ("y", 20), ("z", 200)):
        process.call_at(when, lambda n=name: seen.append((n, reactor.now_us())))  # type: ignore[misc]
    process.pause(100)
    assert process.paused
    reactor.run_until(300)
    assert seen == [("x", 100), ("y", 100), ("z", 200)]


def test_a_clock_whose_rate_changes_does_not_jump() -> None:
    reactor = VirtualReactor(1)
    process = reactor.process("a", clock_offset_us=12_345, drift_ppm=200_000)
    reactor.run_until(1_000_000)
    assert process.now_us() == 1_212_345
    process.set_drift(-200_000)
    assert process.now_us() == 1_212_345
    reactor.run_until(1_500_000)
    assert process.now_us() == 1_612_345


@pytest.mark.parametrize("drift_ppm", [-300_000, -7, 0, 13, 500_000])
def test_a_timer_never_fires_before_its_own_clock_says_so(drift_ppm: int) -> None:
    reactor, seen = VirtualReactor(1), list[tuple[int, int]]()
    process = reactor.process("a", clock_offset_us=12_345, drift_ppm=drift_ppm)
    for when in (12_345, 12_346, 20_000, 99_999):
        process.call_at(when, lambda w=when: seen.append((w, process.now_us())))  # type: ignore[misc]
    reactor.run_until(1_000_000)
    assert len(seen) == 4
    for wanted, shown in seen:
        assert wanted <= shown <= wanted + 2


def test_storage_jobs_of_a_lane_run_one_after_another() -> None:
    reactor, seen = VirtualReactor(1), list[tuple[str, int]]()
    latencies = iter([100, 10, 1])
    process = reactor.process("a", latency=lambda _random, _background: next(latencies))

    def note(name: str) -> None:
        seen.append((name, reactor.now_us()))

    process.offload(lambda: note("one"), lambda _: note("one done"))
    process.offload(lambda: note("two"), lambda _: note("two done"))
    process.offload(lambda: note("segment"), lambda _: None, background=True)
    reactor.run_until(1000)
    assert seen == [
        ("segment", 1),
        ("one", 100),
        ("one done", 100),
        ("two", 110),
        ("two done", 110),
    ]


def test_a_failed_job_hands_its_error_to_done() -> None:
    reactor, errors = VirtualReactor(1), list[BaseException | None]()

    def fail() -> None:
        raise OSError(5, "input/output error")

    reactor.process("a").offload(fail, errors.append)
    reactor.run_until(10_000)
    assert isinstance(errors[0], OSError)


def test_run_until_a_condition_and_its_limit() -> None:
    reactor, seen = VirtualReactor(1), list[int]()
    for when in range(10, 100, 10):
        reactor.call_at(when, lambda w=when: seen.append(w))  # type: ignore[misc]
    assert reactor.run_until(lambda: len(seen) == 3)
    assert reactor.now_us() == 30
    assert not reactor.run_until(lambda: len(seen) == 9, limit_us=60)
    assert len(seen) == 6
    assert not reactor.run_until(lambda: False)


def test_the_same_seed_gives_the_same_numbers_and_another_incarnation_others() -> None:
    def draw(seed: int, incarnation: int) -> list[float]:
        random: Random = VirtualReactor(seed).process("n", incarnation=incarnation).random
        return [random.random() for _ in range(3)]

    assert draw(1, 0) == draw(1, 0)
    assert draw(1, 0) != draw(1, 1)
    assert draw(1, 0) != draw(2, 0)
