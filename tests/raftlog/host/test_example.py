"""docs/examples/counter.py as a reader runs it: three nodes in one process, and as three."""

from __future__ import annotations

import os
import queue
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from raftlog.host import format_quorum
from tests.live.waiting import wait_for

ROOT = Path(__file__).resolve().parents[3]
EXAMPLE = ROOT / "docs" / "examples" / "counter.py"
PAGE = ROOT / "docs" / "embedding-raftlog.md"
LINES_BELOW = 60
PATIENCE_S = 30.0
LOG_LINE = re.compile(r"\d{4}-\d\d-\d\d .*\[(info|warning) *\]")


class Example:
    """A running `counter.py` and what it has printed."""

    def __init__(self, directory: Path, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(EXAMPLE), *arguments],
            cwd=directory,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if not LOG_LINE.match(line):  # the mesh says who comes and goes
                self._lines.put(line.strip())

    def line(self) -> str:
        """The next line of its own; queue.Empty after PATIENCE_S."""
        return self._lines.get(timeout=PATIENCE_S)

    def ask(self, request: str) -> str:
        """The answer to one request."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{request}\n")
        self.process.stdin.flush()
        return self.line()

    def end(self) -> None:
        """Close its input: it stops by itself."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        assert self.process.wait(PATIENCE_S) == 0
        self._reader.join()

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait(PATIENCE_S)
        self._reader.join()


@contextmanager
def ended(examples: dict[int, Example]) -> Iterator[None]:
    """Nothing that a test started outlives it."""
    try:
        yield
    finally:
        for example in examples.values():
            example.kill()
            for pipe in (example.process.stdin, example.process.stdout):
                assert pipe is not None
                pipe.close()


def use_free_ports(directory: Path) -> None:
    """Format the nodes beforehand, so that they do not listen on the example's own ports."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
    ports = [sock.getsockname()[1] for sock in sockets]
    for sock in sockets:
        sock.close()
    addresses = {node: ("127.0.0.1", port) for node, port in enumerate(ports, 1)}
    format_quorum(directory / "counter-data", "counter", addresses)


def led_by(nodes: dict[int, Example]) -> int:
    """The leader, as the nodes themselves say: it adds, the others name it."""

    def look() -> int | None:
        for node, example in nodes.items():
            answer = example.ask(f"{node}?")
            if answer.startswith("the count is"):
                return node
            assert answer.startswith("NotLeader: group 1"), answer
        return None

    return wait_for(look, PATIENCE_S, "a leader")


def test_three_nodes_in_one_process(tmp_path: Path) -> None:
    use_free_ports(tmp_path)
    example = Example(tmp_path)
    with ended({1: example}):
        assert [example.line() for _ in range(3)] == [
            f"node {node} runs in process {example.process.pid}" for node in (1, 2, 3)
        ]
        leader = led_by(dict.fromkeys((1, 2, 3), example))
        assert example.ask(f"{leader}+") == "added, now 1"
        other = leader % 3 + 1
        refused = re.escape(f"NotLeader: group 1 is led by node {leader} (directory ")
        assert re.match(refused, example.ask(f"{other}+"))
        assert example.ask(f"{leader}?") == "the count is 1"
        example.end()
    again = Example(tmp_path)
    with ended({1: again}):
        assert [again.line() for _ in range(3)]
        leader = led_by(dict.fromkeys((1, 2, 3), again))
        assert again.ask(f"{leader}?") == "the count is 1"
        again.end()


def test_three_processes_keep_the_count_when_the_leader_is_killed(tmp_path: Path) -> None:
    use_free_ports(tmp_path)
    nodes = {node: Example(tmp_path, str(node)) for node in (1, 2, 3)}
    with ended(nodes):
        for node, example in nodes.items():
            assert example.line() == f"node {node} runs in process {example.process.pid}"
        killed = led_by(nodes)
        for count in (1, 2, 3):
            assert nodes[killed].ask(f"{killed}+") == f"added, now {count}"
        nodes[killed].kill()
        left = {node: example for node, example in nodes.items() if node != killed}
        leader = led_by(left)
        assert nodes[leader].ask(f"{leader}?") == "the count is 3"
        assert nodes[leader].ask(f"{killed}?") == "not here"
        assert nodes[leader].ask(f"{leader}+") == "added, now 4"
        back = Example(tmp_path, str(killed))
        with ended({killed: back}):
            assert back.line() == f"node {killed} runs in process {back.process.pid}"
            nodes[leader].kill()
            rest = {node: example for node, example in left.items() if node != leader}
            rest[killed] = back
            leader = led_by(rest)
            assert rest[leader].ask(f"{leader}?") == "the count is 4"


def test_the_example_is_short() -> None:
    assert len(EXAMPLE.read_text().splitlines()) < LINES_BELOW
