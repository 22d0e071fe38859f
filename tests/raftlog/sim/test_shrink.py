"""A failing seed becomes a short schedule that breaks the same invariant, the same every time."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from raftlog.core import snapshots
from raftlog.messages import SnapshotReply
from raftlog.testing.__main__ import main
from raftlog.testing.minimize import Minimizer
from raftlog.testing.options import Options
from raftlog.testing.player import play
from raftlog.testing.recording import RecordedCluster
from raftlog.testing.runner import Failure, run_seed
from raftlog.testing.schedule import Schedule, parse
from raftlog.testing.shrink import RUNS_MAX, shrink
from tests.raftlog.sim.mutants import MUTANTS
from tests.raftlog.sim.mutants.logs import acks_before_durable
from tests.raftlog.sim.mutants.table import under

ROOT = Path(__file__).resolve().parents[3]
EVENTS_MAX = 80
"""What a person reads in one sitting."""


def acks_a_snapshot_that_is_not_stored(patch: pytest.MonkeyPatch) -> None:
    """The last chunk is answered as soon as it is here."""
    right = snapshots.on_chunk

    def on_chunk(replica: Any, state: Any, sender: Any, chunk: Any) -> None:
        right(replica, state, sender, chunk)
        if chunk.done:
            index = chunk.meta.position.index
            replica.send(sender, SnapshotReply(replica.term, index, 0, True))

    patch.setattr(snapshots, "on_chunk", on_chunk)


@dataclass(frozen=True)
class Case:
    """A mistake, and where the search for a seed that shows it begins."""

    patch: Callable[[pytest.MonkeyPatch], None]
    circumstances: dict[str, Any]
    first_seed: int = 1

    def fail(self) -> tuple[Options, Failure]:
        """The first seed that shows it."""
        for seed in range(self.first_seed, self.first_seed + 100):
            options = under(self.circumstances, Options.draw(seed, disk="model"))
            outcome = run_seed(options)
            if isinstance(outcome, Failure):
                return options, outcome
        pytest.fail("no seed shows it")


def of_table(name: str, first_seed: int = 1) -> Case:
    mutant = MUTANTS[name]
    return Case(mutant.patch, mutant.circumstances, first_seed)


BEHIND = {"faults": ("isolate_leader", "crash"), "snapshot_every": 7, "fault_every_us": 400_000}

CASES = {
    "vote": of_table("votes_twice"),
    "ack": of_table("acks_before_durable"),
    "commit": of_table("commits_old_terms_by_counting"),
    "truncation": of_table("cuts_matching_suffixes"),
    "completion": of_table("believes_completions_of_what_was_cut", 149),
    "members": of_table("keeps_configurations_that_were_cut"),
    "snapshot": Case(acks_a_snapshot_that_is_not_stored, BEHIND),
    "client": of_table("answers_clients_before_commit"),
    "lease": of_table("keeps_its_lease_while_it_hands_over", 40),
}
"""One of every kind of mistake that a schedule can show."""


@pytest.mark.sim
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_failure_shrinks_to_a_short_schedule(
    case: Case, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        case.patch(patch)
        options, failure = case.fail()
        shrunk = shrink(options, failure)
        assert shrunk.schedule is not None, shrunk.text
        assert shrunk.events == len(shrunk.schedule.events) <= EVENTS_MAX, shrunk.text
        assert shrunk.events < shrunk.recorded
        assert shrunk.runs <= RUNS_MAX
        assert play(parse(shrunk.text)).invariant == failure.invariant
        assert f"broken: {failure.invariant}" in shrunk.text
        assert shrink(options, failure).text == shrunk.text
        again = shrunk.text.split("# again: python -m raftlog.testing ")[1].splitlines()[0]
        assert main([*again.split(), "--no-shrink"]) == 1
        assert f"{failure.invariant}: " in capsys.readouterr().err.splitlines()[0]
    assert play(parse(shrunk.text)).invariant == "", "the right code breaks"


def test_nothing_in_a_shrunk_schedule_can_go() -> None:
    with pytest.MonkeyPatch.context() as patch:
        CASES["commit"].patch(patch)
        options, failure = CASES["commit"].fail()
        schedule = shrink(options, failure).schedule
        assert schedule is not None
        for place in range(len(schedule.events)):
            fewer = schedule.events[:place] + schedule.events[place + 1 :]
            assert play(schedule._replace(events=fewer)).invariant != failure.invariant


def test_the_search_ends_when_it_has_played_enough() -> None:
    with pytest.MonkeyPatch.context() as patch:
        CASES["commit"].patch(patch)
        options, failure = CASES["commit"].fail()
        cluster = RecordedCluster(options)
        with pytest.raises(AssertionError):
            cluster.run()
        events = cluster.events()
        search = Minimizer(Schedule(options, events), failure.invariant, 3 * len(events))
        assert search.run()
        assert search.replays <= 10
        assert play(search.schedule).invariant == failure.invariant


def test_of_a_verdict_about_progress_only_the_options_shrink() -> None:
    with pytest.MonkeyPatch.context() as patch:
        case = of_table("never_asks_again")
        case.patch(patch)
        options, failure = case.fail()
        shrunk = shrink(options, failure)
        assert shrunk.schedule is None
        assert set(shrunk.options.faults) < set(options.faults) or not options.faults
        assert "no schedule: the verdict is about what did not happen" in shrunk.text
        outcome = run_seed(shrunk.options)
        assert isinstance(outcome, Failure)
        assert outcome.invariant == failure.invariant


def test_of_a_failure_of_the_disk_code_only_the_options_shrink() -> None:
    mutant = MUTANTS["believes_a_disk_that_does_not_sync"]
    with pytest.MonkeyPatch.context() as patch:
        mutant.patch(patch)
        draws = (Options.draw(seed, disk="wal") for seed in range(1, 30))
        options, failure = next(
            (drawn, found)
            for drawn, found in ((drawn, run_seed(drawn)) for drawn in draws)
            if isinstance(found, Failure)
        )
        shrunk = shrink(options, failure)
        assert shrunk.schedule is None
        assert shrunk.options.disk == "wal"
        assert "the disk code has to be there" in shrunk.text
        assert shrunk.options.fault_phase_us < options.fault_phase_us


def test_a_failing_run_shows_its_schedule_and_keeps_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    kept = tmp_path / "kept.txt"
    with monkeypatch.context() as patch:
        acks_before_durable(patch)
        few = ["--seeds", "3", "--seconds", "1", "--processes", "1", "--disk", "model"]
        assert main([*few, "--save", str(kept)]) == 1
        assert kept.read_text() in capsys.readouterr().out
        assert main(["--replay", str(kept)]) == 1
        assert "broken: nothing is acknowledged before it is" in capsys.readouterr().err
        assert main([*few, "--no-shrink"]) == 1
        assert "group nodes" not in capsys.readouterr().out
    assert main(["--replay", str(kept)]) == 0
    assert "holds" in capsys.readouterr().out
    assert main(["--replay", str(tmp_path / "missing.txt")]) == 2


def test_shrinking_does_not_depend_on_hash_seeds() -> None:
    program = (
        "from pytest import MonkeyPatch\n"
        "from raftlog.testing.options import Options\n"
        "from raftlog.testing.runner import run_seed\n"
        "from raftlog.testing.shrink import shrink\n"
        "from tests.raftlog.sim.mutants import MUTANTS\n"
        "MUTANTS['cuts_matching_suffixes'].patch(MonkeyPatch())\n"
        "options = Options.draw(1, disk='model')\n"
        "print(shrink(options, run_seed(options)).text)\n"
    )

    def text(hash_seed: str) -> bytes:
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        command = [sys.executable, "-c", program]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=True)
        return done.stdout

    first = text("1")
    assert b"broken: a matching suffix is never cut" in first
    assert first == text("2")
