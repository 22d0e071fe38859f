"""What is said while a command waits, and when Ctrl-C comes in the middle."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from typing import Any

import pytest

from cli import patience
from cli.commands.produce import Tally, send_all
from cli.context import Address
from cli.exits import ExitCode
from cli.interrupts import Interrupts, Terminated
from cli.patience import Reachability, waiting

LONG_S = 120.0
PLACES = (Address("127.0.0.1", 1), Address("127.0.0.1", 2))


def test_losing_every_broker_is_said_once_and_so_is_the_return(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    up: set[Address] = set()
    monkeypatch.setattr(patience, "LOOK_S", 0.0)
    there = Reachability(PLACES[:1], up.__contains__)
    there.also(PLACES)
    there.look()
    assert capsys.readouterr().err == ""
    for _ in range(3):
        there.suspect()
        there.look()
    said = capsys.readouterr().err
    assert said.count("no broker is reachable (127.0.0.1:1, 127.0.0.1:2)") == 1
    assert "again" not in said
    up.add(PLACES[1])
    for _ in range(3):
        there.look()
    assert capsys.readouterr().err.count("a broker is reachable again") == 1
    there.suspect()
    there.look()
    assert capsys.readouterr().err == "", "one listens: the client will find it"


def test_a_short_wait_is_silent_and_a_long_one_says_what_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with waiting("waiting for a leader", after_s=3600):
        pass
    assert capsys.readouterr().err == ""
    with waiting("waiting for a leader", after_s=0) as timer:
        timer.join()
    assert capsys.readouterr().err == "quorate: waiting for a leader\n"


def test_the_first_ctrl_c_waits_for_a_check_and_the_second_does_not() -> None:
    before = signal.getsignal(signal.SIGINT)
    with Interrupts() as interrupts:
        interrupts.check()
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            interrupts.check()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_sigterm_ends_a_command_in_order_and_the_second_at_once() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with Interrupts() as interrupts:
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(Terminated) as ended:
            interrupts.check()
        assert ended.value.exit_code == ExitCode.TERMINATED == 128 + signal.SIGTERM
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert signal.getsignal(signal.SIGTERM) is before


class Unanswered:
    """In place of a producer: its records have no fate, and a SIGTERM comes while that is so."""

    def __init__(self) -> None:
        self.flushes: list[float] = []

    def __len__(self) -> int:
        return 1

    def flush(self, limit_s: float) -> int:
        self.flushes.append(limit_s)
        if len(self.flushes) == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return 1


def test_sigterm_does_not_wait_for_records_without_a_fate(
    capsys: pytest.CaptureFixture[str],
) -> None:
    client: Any = Unanswered()
    with pytest.raises(Terminated):
        send_all(client, "t", -1, [], [], Tally(sent=1), LONG_S, "table")
    assert len(client.flushes) == 2
    assert "0 records acknowledged" in capsys.readouterr().err


@pytest.mark.parametrize("command", [("topic", "list"), ("consume", "t")])
def test_ctrl_c_does_not_wait_for_an_answer_that_does_not_come(command: tuple[str, ...]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(LONG_S)
        where = f"127.0.0.1:{silent.getsockname()[1]}"
        process = subprocess.Popen(
            [sys.executable, "-m", "cli.main", *command, "-b", where, "--timeout", f"{LONG_S:g}"],
            stderr=subprocess.PIPE,
        )
        try:
            silent.accept()[0].close()  # to see whether anybody is there
            asking, _ = silent.accept()
            with asking:
                asking.settimeout(LONG_S)
                assert asking.recv(1)
                assert process.stderr is not None
                assert b"waiting for an answer" in process.stderr.readline()
                process.send_signal(signal.SIGINT)
                assert process.wait(LONG_S / 4) == ExitCode.INTERRUPTED
        finally:
            process.kill()
            process.communicate()
