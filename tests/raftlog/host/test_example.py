"""docs/examples/counter.py as a reader runs it: three nodes in one process, and as three."""

from __future__ import annotations

import os
import queue
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cli.dev import ports
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
    addresses = {node: ("127.0.0.1", port) for node, port in enumerate(ports.pick(3), 1)}
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


class Ones:
    """Adds ones through whoever leads, and knows what the count may be.

    A leader that stood still for too long on a busy machine is replaced.
    """

    def __init__(self) -> None:
        self.added = self.unknown = 0

    def add(self, nodes: dict[int, Example]) -> None:
        """Ask until one more is acknowledged."""

        def ask() -> str | None:
            leader = led_by(nodes)
            answer = nodes[leader].ask(f"{leader}+")
            if answer.startswith("OutcomeUnknown"):
                self.unknown += 1
            elif not answer.startswith("NotLeader"):
                return answer
            return None

        answer = wait_for(ask, PATIENCE_S, "an acknowledgement")
        self.added += 1
        self._check(answer, "added, now")

    def check(self, nodes: dict[int, Example]) -> None:
        """What a leader reads is what was added."""

        def ask() -> str | None:
            leader = led_by(nodes)
            answer = nodes[leader].ask(f"{leader}?")
            return None if answer.startswith("NotLeader") else answer

        self._check(wait_for(ask, PATIENCE_S, "a read"), "the count is")

    def ask_a_follower(self, nodes: dict[int, Example]) -> None:
        """Until one that is asked to add names the leader instead."""

        def ask() -> bool:
            leader = led_by(nodes)
            other = leader % 3 + 1
            answer = nodes[other].ask(f"{other}+")
            self.unknown += not answer.startswith("NotLeader")  # it leads by now
            return answer.startswith(f"NotLeader: group 1 is led by node {leader} (directory ")

        wait_for(ask, PATIENCE_S, "a follower that names the leader")

    def _check(self, answer: str, words: str) -> None:
        allowed = range(self.added, self.added + self.unknown + 1)
        assert answer in [f"{words} {count}" for count in allowed]


def test_three_nodes_in_one_process(tmp_path: Path) -> None:
    use_free_ports(tmp_path)
    example = Example(tmp_path)
    ones, nodes = Ones(), dict.fromkeys((1, 2, 3), example)
    with ended({1: example}):
        assert [example.line() for _ in range(3)] == [
            f"node {node} runs in process {example.process.pid}" for node in (1, 2, 3)
        ]
        ones.add(nodes)
        ones.check(nodes)
        ones.ask_a_follower(nodes)
        example.end()
    again = Example(tmp_path)
    with ended({1: again}):
        assert [again.line() for _ in range(3)]
        ones.check(dict.fromkeys((1, 2, 3), again))
        again.end()


def test_three_processes_keep_the_count_when_the_leader_is_killed(tmp_path: Path) -> None:
    use_free_ports(tmp_path)
    nodes = {node: Example(tmp_path, str(node)) for node in (1, 2, 3)}
    ones = Ones()
    with ended(nodes):
        for node, example in nodes.items():
            assert example.line() == f"node {node} runs in process {example.process.pid}"
        for _ in range(3):
            ones.add(nodes)
        killed = led_by(nodes)
        nodes[killed].kill()
        left = {node: example for node, example in nodes.items() if node != killed}
        ones.check(left)
        ones.add(left)
        assert next(iter(left.values())).ask(f"{killed}?") == "not here"
        back = Example(tmp_path, str(killed))
        with ended({killed: back}):
            assert back.line() == f"node {killed} runs in process {back.process.pid}"
            leader = led_by(left)
            nodes[leader].kill()
            rest = {node: example for node, example in left.items() if node != leader}
            rest[killed] = back
            ones.check(rest)


def test_the_example_is_short() -> None:
    assert len(EXAMPLE.read_text().splitlines()) < LINES_BELOW
