"""What a service manager is told, on a socket of the test's own."""

from __future__ import annotations

import configparser
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from cli.exits import ExitCode
from partitions.server.host.ending import ANSWERS_LIMIT_S, HAND_OVER_LIMIT_S
from partitions.server.host.notify import PINGS_PER_WATCHDOG_TIME, Notifier
from raftlog.testing.reactor import VirtualReactor

PID = 77
WATCHDOG_US = 30_000_000


@contextmanager
def manager(name: str) -> Iterator[socket.socket]:
    """A socket bound as $NOTIFY_SOCKET says."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind("\0" + name[1:] if name.startswith("@") else name)
        sock.settimeout(10)
        yield sock


def received(sock: socket.socket) -> list[str]:
    """What has come; datagrams of this machine are there once they are sent."""
    sock.setblocking(False)
    found = []
    while True:
        try:
            found.append(sock.recv(4096).decode())
        except BlockingIOError:
            return found


@pytest.fixture(params=["path", "abstract"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "path":
        return str(tmp_path / "notify")
    return f"@quorate-test-{os.getpid()}-{tmp_path.name}"


def test_the_states_of_a_broker(address: str) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": address}, PID)
    with manager(address) as sock:
        notifier.status("waiting")
        notifier.ready("serving")
        notifier.stopping("handing over")
        assert received(sock) == [
            "STATUS=waiting",
            "READY=1\nSTATUS=serving",
            "STOPPING=1\nSTATUS=handing over",
        ]


def pings(environment: dict[str, str], address: str) -> int:
    """In one watchdog's time of a loop that runs; then none while it does not."""
    reactor = VirtualReactor(1)
    notifier = Notifier({"NOTIFY_SOCKET": address, **environment}, PID)
    with manager(address) as sock:
        notifier.watch(reactor.process("broker"))
        reactor.run_until(reactor.now_us() + WATCHDOG_US - 1)
        found = received(sock)
        assert set(found) <= {"WATCHDOG=1"}
        assert received(sock) == [], "the loop stands still"
        return len(found)


def test_the_watchdog_is_pinged_from_the_loop(address: str) -> None:
    usec = {"WATCHDOG_USEC": str(WATCHDOG_US)}
    assert pings(usec, address) == PINGS_PER_WATCHDOG_TIME > 2


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"WATCHDOG_USEC": "0"},
        {"WATCHDOG_USEC": "soon"},
        {"WATCHDOG_USEC": str(WATCHDOG_US), "WATCHDOG_PID": str(PID + 1)},
    ],
)
def test_nobody_is_pinged_who_did_not_ask(environment: dict[str, str], tmp_path: Path) -> None:
    assert pings(environment, str(tmp_path / "notify")) == 0


def test_the_watchdog_of_this_very_process(tmp_path: Path) -> None:
    usec = {"WATCHDOG_USEC": str(WATCHDOG_US), "WATCHDOG_PID": str(PID)}
    assert pings(usec, str(tmp_path / "notify")) > 0


def test_without_a_manager_nothing_is_sent_nor_said() -> None:
    with capture_logs() as lines:
        Notifier({}, PID).ready("serving")
    assert lines == []


def test_a_manager_that_is_gone_is_complained_of_once(tmp_path: Path) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")}, PID)
    with capture_logs() as lines:
        notifier.ready("serving")
        notifier.stopping("handing over")
    assert len(lines) == 1
    assert str(tmp_path / "gone") in lines[0]["socket"]


UNIT = Path(__file__).resolve().parents[4] / "docs" / "examples" / "quorate@.service"


def test_the_example_unit_fits_the_broker() -> None:
    unit = configparser.ConfigParser(strict=True, interpolation=None)
    unit.read_string(UNIT.read_text(encoding="utf-8"))
    service = unit["Service"]
    assert service["Type"] == "notify"
    assert int(service["WatchdogSec"]) > 0
    assert int(service["TimeoutStopSec"]) > HAND_OVER_LIMIT_S + ANSWERS_LIMIT_S
    for code in (ExitCode.USAGE, ExitCode.PRECONDITION):
        assert str(int(code)) in service["RestartPreventExitStatus"].split()
    _, *arguments = service["ExecStart"].split()
    assert arguments[:3] == ["broker", "start", "--config"]


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_systemd_understands_the_example_unit(tmp_path: Path) -> None:
    text = UNIT.read_text(encoding="utf-8")
    program = text.partition("ExecStart=")[2].split()[0]
    unit = tmp_path / "quorate@1.service"
    unit.write_text(text.replace(program, sys.executable), encoding="utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--recursive-errors=no", str(unit)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "quorate@1.service" not in done.stderr
