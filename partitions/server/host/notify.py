"""Telling a service manager how the broker is: systemd's protocol of sd_notify(3).

A datagram of `NAME=value` lines to the socket that $NOTIFY_SOCKET names; a leading @ stands for
the zero byte of an abstract one. Without the variable nothing is sent. A manager that does not
take a message gets the next one: a broker does not depend on it.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping

import structlog

from raftlog.seams import Reactor

log = structlog.get_logger()

SEND_LIMIT_S = 0.1
"""A manager that takes nothing holds up the loop for this long at most."""
PINGS_PER_WATCHDOG_TIME = 3


class Notifier:
    """Of this process, as its environment says."""

    def __init__(self, environment: Mapping[str, str], pid: int) -> None:
        name = environment.get("NOTIFY_SOCKET", "")
        self._address = "\0" + name[1:] if name.startswith("@") else name
        self._complained = False
        meant = environment.get("WATCHDOG_PID", str(pid)) == str(pid)
        self._watchdog_us = _whole(environment.get("WATCHDOG_USEC", "")) if meant else 0

    def ready(self, status: str) -> None:
        """Clients are served."""
        self._send(f"READY=1\nSTATUS={status}")

    def status(self, status: str) -> None:
        """One line for people."""
        self._send(f"STATUS={status}")

    def stopping(self, status: str) -> None:
        """The end has begun."""
        self._send(f"STOPPING=1\nSTATUS={status}")

    def watch(self, reactor: Reactor) -> None:
        """Ping the manager from the loop, if it asked for that: a stuck loop sends none."""
        if self._watchdog_us:
            self._send("WATCHDOG=1")
            due_us = reactor.now_us() + self._watchdog_us // PINGS_PER_WATCHDOG_TIME
            reactor.call_at(due_us, lambda: self.watch(reactor))

    def _send(self, text: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
                sock.settimeout(SEND_LIMIT_S)
                sock.connect(self._address)
                sock.send(text.encode())
        except OSError as error:
            if not self._complained:
                self._complained = True
                where = self._address.replace("\0", "@")
                log.warning("cannot tell the service manager", socket=where, reason=str(error))


def _whole(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() else 0
