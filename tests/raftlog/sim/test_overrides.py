"""Options on the command line: what is said is what is read."""

from __future__ import annotations

import argparse
from dataclasses import replace

import pytest

from raftlog.core.timing import Timing
from raftlog.testing.__main__ import main
from raftlog.testing.network import LinkQuality
from raftlog.testing.options import Options
from raftlog.testing.overrides import add_to, arguments, override


def read(given: list[str]) -> Options:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--disk")
    add_to(parser)
    parsed = parser.parse_args(given)
    drawn = Options.draw(parsed.seed, seconds=parsed.seconds, disk=parsed.disk)
    return override(drawn, parsed)


def test_what_the_seed_draws_is_not_said() -> None:
    options = Options.draw(5, seconds=2.5, disk="wal")
    assert arguments(options) == ["--seed", "5", "--seconds", "2.5", "--disk", "wal"]


@pytest.mark.parametrize("seed", range(1, 12))
def test_every_difference_is_said(seed: int) -> None:
    drawn = Options.draw(seed, seconds=0.123457, disk="model")
    for options in (
        replace(drawn, faults=(), nodes=3, spares=0, quality=LinkQuality(), timing=Timing()),
        replace(drawn, quality=replace(drawn.quality, loss=0.25), read_share=0.125, wire=True),
        replace(drawn, timing=drawn.timing._replace(lease_reads=True, max_append_bytes=77)),
        replace(drawn, faults=("crash", "weather"), write_first=False, pass_us=123, disk="wal"),
        Options(seed=seed),
    ):
        assert read(arguments(options)) == options


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        (["--faults", "crash,meteor"], "there is no fault 'meteor'"),
        (["--nodes", "few"], "--nodes few: "),
        (["--nodes", "0"], "at least 1"),
        (["--timing", "pulse_us=1"], "'pulse_us' is none of heartbeat_us"),
        (["--timing", "heartbeat_us=999999999"], "heartbeat_us < election_min_us"),
    ],
)
def test_what_cannot_be_is_refused(
    given: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["--seed", "1", *given])
    assert complaint in capsys.readouterr().err


def test_options_belong_to_one_seed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--seeds", "2", "--nodes", "3"])
    assert "one --seed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ("--seeds 0", "--seeds: 0: at least 1"),
        ("--seeds -3", "--seeds: -3: at least 1"),
        ("--seconds 0", "--seconds: 0: more than 0"),
        ("--seconds nan", "--seconds: nan: more than 0"),
        ("--processes 0", "--processes: 0: at least 1"),
        ("--seed 1 --seeds 2", "not allowed with argument"),
        ("--seed 1 --replay kept.txt", "not allowed with argument"),
        ("--trace --seeds 2", "--trace is of one --seed"),
        ("--seed 1 --state sweep.json", "--state is of many --seeds"),
    ],
)
def test_what_would_run_nothing_or_be_ignored_is_refused(
    given: str, complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(given.split())
    assert ended.value.code == 2
    assert complaint in capsys.readouterr().err
