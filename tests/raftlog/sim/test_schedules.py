"""Schedules: kept ones hold; recorded ones play as they ran; any part of one is a fair run."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from raftlog.core.timing import Timing
from raftlog.errors import Misconfigured
from raftlog.testing.cluster import SimCluster
from raftlog.testing.options import Options
from raftlog.testing.player import Player, play
from raftlog.testing.recording import RecordedCluster
from raftlog.testing.schedule import DASHES, WORDS, Event, Schedule, command, opening, parse
from raftlog.testing.shrink import transcript
from tests.raftlog.sim.mutants import MUTANTS

KEPT = sorted((Path(__file__).parent / "schedules").glob("*.txt"))
"""What failures have shrunk to; those named after a mutant were made with it, and tell what it
does: QUORATE_REWRITE=1 rewrites that, read the difference before you keep it."""

RECORDED = (1, 2, 5, 7, 11, 14, 44)
"""Seeds whose faults and settings differ."""


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_a_kept_schedule_holds(path: Path) -> None:
    schedule = parse(path.read_text())
    played = play(schedule)
    assert not played.invariant, f"broken: {played.detail}"
    assert len(played.events) > len(schedule.events) // 2, "too little of it happens any more"


@pytest.mark.parametrize(
    "path", [path for path in KEPT if path.stem in MUTANTS], ids=lambda path: path.stem
)
def test_a_kept_schedule_breaks_what_it_was_made_with(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    MUTANTS[path.stem].patch(monkeypatch)
    text = path.read_text()
    schedule = parse(text)
    invariant = text.splitlines()[0].removeprefix("# ")
    assert invariant in MUTANTS[path.stem].catches
    assert play(schedule).invariant == invariant
    comments = [line for line in text.splitlines() if line.startswith("#")]
    happened = "\n".join([*comments, *transcript(schedule)]) + "\n"
    if os.environ.get("QUORATE_REWRITE") == "1":
        path.write_text(happened)
    else:
        assert text == happened


def test_schedules_are_kept() -> None:
    assert len([path for path in KEPT if path.stem in MUTANTS]) >= 3


def record(seed: int) -> tuple[RecordedCluster, tuple[Event, ...]]:
    cluster = RecordedCluster(Options.draw(seed, seconds=2, disk="model"))
    cluster.run()
    return cluster, cluster.events()


@pytest.mark.parametrize("seed", RECORDED)
def test_a_recorded_run_plays_as_it_ran(seed: int) -> None:
    cluster, events = record(seed)
    player = Player(cluster.options)
    played = player.play(events)
    assert not played.invariant, played.detail
    assert player.checker.history.committed == cluster.checker.history.committed
    assert player.checker.history.leaders.keys() == cluster.checker.history.leaders.keys()
    for replica in cluster.replicas.values():
        twin = player.replicas[replica.id]
        assert twin.incarnation == replica.incarnation
        assert twin.machine.operations == replica.machine.operations


def test_recording_changes_nothing() -> None:
    options = Options.draw(7, seconds=2, disk="model")
    plain, recorded = SimCluster(options), RecordedCluster(options)
    plain.run()
    recorded.run()
    assert plain.trace.digest() == recorded.trace.digest()


@pytest.mark.parametrize("seed", RECORDED)
def test_any_part_of_a_run_is_a_fair_run(seed: int) -> None:
    """The right code breaks nothing, whatever is left out: what shrinking finds is a defect."""
    cluster, events = record(seed)
    random = Random(seed)
    committed = 0
    for loss in (0.002, 0.02, 0.1, 0.3, 0.6):
        some = [event for event in events if random.random() >= loss]
        player = Player(cluster.options)
        played = player.play(some)
        assert not played.invariant, f"{loss}: {played.detail}"
        committed += player.checker.history.commit
        assert Player(cluster.options).play(played.events).events == played.events
    assert committed, "nothing was left to break"


def test_the_text_says_all_of_a_schedule() -> None:
    timing = Timing(heartbeat_us=25_000, election_min_us=100_000, lease_reads=True)
    options = Options(seed=0, nodes=4, spares=1, pass_us=200, write_first=False, timing=timing)
    events = (
        Event("start", 1, 1_500, draws=(123_456, 200_000)),
        Event("trip", 1, number=3, survive=2),
        Event("deliver", 2, 250, 1, "append term=1 after=0/0 commit=0 [1/1 noop, 2/1 op7]"),
        Event("tick", 1, 1),
        Event("drain", 1),
        Event("sync", 1),
        Event("write", 1, number=7, span=5),
        Event("read", 2, number=8),
        Event("snapshot", 1),
        Event("chunk", 1, peer=3),
        Event("transfer", 1, peer=2),
        Event("campaign", 3),
        Event("change", 1, voters=(1, 2), learners=(4,)),
        Event("change", 1, voters=(1,)),
        Event("crash", 1, survive=1),
    )
    assert {event.word for event in events} == set(WORDS)
    lines = ["# comment", *opening(options), "", *map(command, events), DASHES, "n1 is down"]
    assert parse("\n".join(lines)) == Schedule(options, events)


@pytest.mark.parametrize(
    "line",
    [
        "dance n1",
        "tick",
        "tick nobody",
        "crash n1 survive=all",
        "write n1 op1 spin=1",
        "sync n1 n2",
    ],
)
def test_a_line_that_cannot_be_read_is_named(line: str) -> None:
    with pytest.raises(Misconfigured, match=r"line 3 cannot be read: '"):
        parse(f"# a comment\ngroup nodes=3\n{line}\n")


def test_what_makes_no_sense_is_passed_over() -> None:
    options = Options(seed=0)
    events = [
        Event("tick", 1),
        Event("start", 9),
        Event("start", 1),
        Event("start", 1),
        Event("sync", 1),
        Event("deliver", 1, peer=2, message="timeout now term=4"),
        Event("write", 1, number=1, span=1),
        Event("chunk", 1, peer=2),
        Event("change", 1, voters=(1, 7)),
        Event("transfer", 1, peer=2),
        Event("snapshot", 1),
        Event("drain", 1),
    ]
    assert Player(options).play(events).events == [Event("start", 1)]


def test_a_trip_ends_the_process_inside_what_follows() -> None:
    """A candidate writes its vote, and is gone before that is synced."""
    events = [
        Event("start", 1),
        Event("trip", 1, number=2, survive=1),
        Event("tick", 1),
        Event("start", 1),
    ]
    player = Player(replace(Options(seed=0), nodes=1), tell=True)
    played = player.play(events)
    assert not played.invariant, played.detail
    assert played.events == events
    assert "n1 is down" in played.traces[2]
    assert played.traces[3][0] == "n1 is up, log [], term 1"
