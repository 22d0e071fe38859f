"""`quorate consume` when the whole cluster goes away under it."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from cli.exits import ExitCode

PATIENCE_S = 30
CLUSTER = """
import sys
from confluent_kafka import Producer
from tests.cli.mock_cluster import mock_cluster
with mock_cluster() as cluster:
    cluster.fill("t", 0, [b"first"])
    print(cluster.bootstrap, flush=True)
    sys.stdin.read()
"""


@contextmanager
def process(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A Python process with pipes, killed at the end if it still runs."""
    with subprocess.Popen(
        [sys.executable, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as started:
        try:
            yield started
        finally:
            started.kill()


def test_it_says_so_and_ctrl_c_ends_it_cleanly() -> None:
    with process("-c", CLUSTER) as cluster:
        assert cluster.stdout is not None
        bootstrap = cluster.stdout.readline().strip()
        arguments = ("consume", "t", "-b", bootstrap)
        with process("-m", "cli.main", *arguments) as consume:
            assert consume.stdout is not None
            assert consume.stderr is not None
            assert consume.stdout.readline() == "first\n"
            cluster.kill()
            assert "no broker is reachable" in consume.stderr.readline()
            consume.send_signal(signal.SIGINT)
            assert consume.wait(PATIENCE_S) == ExitCode.INTERRUPTED
            assert consume.stderr.read().strip() == ""
