"""A broker under a service manager that waits for READY=1 and watches its loop."""

from __future__ import annotations

import os
import socket
from functools import partial

import pytest

from tests.live.cluster import Cluster
from tests.live.waiting import wait_for

pytestmark = pytest.mark.live

WATCHDOG_USEC = 600_000
"""Pinged every 0.2 s."""


class Manager:
    """The manager's socket, and what has come over it."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        sock.setblocking(False)
        self.lines: list[str] = []

    def look(self, *wanted: str) -> bool:
        """Take what is there; have all of `wanted` come?"""
        try:
            while True:
                self.lines += self._sock.recv(4096).decode().split("\n")
        except BlockingIOError:
            return set(wanted) <= set(self.lines)

    def pings(self) -> int:
        """How many have come by now."""
        self.look()
        return self.lines.count("WATCHDOG=1")


def test_a_broker_says_when_it_serves_that_it_lives_and_that_it_stops(cluster: Cluster) -> None:
    name = f"quorate-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(f"\0{name}")
        manager = Manager(sock)
        for broker in (1, 2, 3):
            cluster.terminate(broker)
        environment = {"NOTIFY_SOCKET": f"@{name}", "WATCHDOG_USEC": str(WATCHDOG_USEC)}
        cluster.start(1, environment)
        look = partial(manager.look, "STATUS=waiting for the metadata quorum")
        wait_for(look, 60, "the status of a broker that is alone")
        assert "READY=1" not in manager.lines
        cluster.start(2)
        wait_for(partial(manager.look, "READY=1", "STATUS=serving clients"), 60, "READY")
        seen = manager.lines.count("WATCHDOG=1")
        wait_for(lambda: manager.pings() > seen + 2, 60, "pings")
        assert "STOPPING=1" not in manager.lines
        cluster.terminate(1)
        assert manager.look("STOPPING=1")
