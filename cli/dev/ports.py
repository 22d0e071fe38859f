"""Are the ports free, who has them if not, and which others would do."""

from __future__ import annotations

import errno
import os
import random
import socket
from collections.abc import Iterable
from pathlib import Path

from cli.context import Address
from cli.exits import CommandFailed, ExitCode

LOWEST_PICKED = 10_000
ATTEMPTS_MAX = 10_000
_LISTENING = "0A"


def check(addresses: Iterable[Address]) -> None:
    """CommandFailed (PRECONDITION) naming the first address that cannot be listened on."""
    for address in addresses:
        problem = try_to_listen(address)
        if problem is None:
            continue
        if problem.errno == errno.EADDRINUSE:
            raise CommandFailed(
                f"port {address.port} is in use{_by_whom(address.port)}, or use other ports: "
                '--port 0 picks free ones (`make quorum ARGS="--port 0"`; a directory kept with '
                "--data stays with its ports)",
                ExitCode.PRECONDITION,
            )
        raise CommandFailed(
            f"cannot listen on {address}: {problem.strerror}", ExitCode.PRECONDITION
        )


def try_to_listen(address: Address) -> OSError | None:
    """None when a broker could listen there now, otherwise why not."""
    with socket.socket() as probe:
        # As the broker does: connections of a former run that are in TIME_WAIT do not matter.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address.host, address.port))
            probe.listen(1)
        except OSError as error:
            return error
    return None


def pick(count: int) -> list[int]:
    """Ports that are free now and that no outgoing connection will be given.

    A port from the kernel's ephemeral range could be taken by some connection while its broker
    is down, and the broker could then not come back.
    """
    highest = _ephemeral_low() - 1
    picked: list[int] = []
    for _ in range(ATTEMPTS_MAX):
        port = random.randint(LOWEST_PICKED, highest)
        if port not in picked and try_to_listen(Address("127.0.0.1", port)) is None:
            picked.append(port)
            if len(picked) == count:
                return picked
    raise CommandFailed(
        f"found no {count} free ports between {LOWEST_PICKED} and {highest}", ExitCode.PRECONDITION
    )


def _by_whom(port: int) -> str:
    """Who has the port, and whom to stop."""
    pid = holder(port)
    if pid is None:
        return "; stop what listens there"
    who = f" by {_name(Path('/proc') / str(pid))} (pid {pid})"
    dev = supervisor_of(pid)
    if dev is None:
        return f"{who}; stop that"
    return (
        f"{who}, a broker of the `quorate dev` with pid {dev}, which would start it again; stop "
        f"that one (Ctrl-C, or kill {dev})"
    )


def supervisor_of(pid: int) -> int | None:
    """The `quorate dev` whose child `pid` is, None when it is nobody's."""
    try:
        # After the name, which may hold anything, in parentheses: state, then the parent.
        stat = (Path("/proc") / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
        parent = int(stat.rpartition(")")[2].split()[1])
        line = (Path("/proc") / str(parent) / "cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError, IndexError):
        return None
    runs_us = any(word == b"cli.main" or word.endswith(b"quorate") for word in line)
    return parent if runs_us and b"dev" in line else None


def holder(port: int) -> int | None:
    """The pid of the process that listens on `port`; None where /proc does not tell."""
    inodes = _listening_inodes(port)
    if not inodes:
        return None
    wanted = {f"socket:[{inode}]" for inode in inodes}
    for process in sorted(Path("/proc").glob("[0-9]*"), key=lambda path: int(path.name)):
        if any(_link(descriptor) in wanted for descriptor in _entries(process / "fd")):
            return int(process.name)
    return None


def _ephemeral_low() -> int:
    try:
        text = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii")
        return max(int(text.split()[0]), LOWEST_PICKED + 1000)
    except (OSError, ValueError, IndexError):
        return 32768


def _listening_inodes(port: int) -> list[str]:
    inodes = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == _LISTENING and int(fields[1].rsplit(":", 1)[1], 16) == port:
                inodes.append(fields[9])
    return inodes


def _entries(directory: Path) -> list[Path]:
    try:
        return list(directory.iterdir())
    except OSError:  # another user's process, or one that just ended
        return []


def _link(path: Path) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


def _name(process: Path) -> str:
    try:
        return (process / "comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return "a process"
