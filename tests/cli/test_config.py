"""`quorate config` without a cluster: files, wrong arguments, nobody there."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cli.draining import Leads
from cli.exits import ExitCode
from partitions import wire
from partitions.errors import ErrorCode
from tests.cli.conftest import Runner
from tests.live.waiting import wait_for

GOOD = 'node.id = 1\nlog.dirs = "/data"\n"max.connections" = 100\n'


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a server that accepts connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        host, port = listener.getsockname()
        yield f"{host}:{port}"


@pytest.fixture
def rude() -> Iterator[str]:
    """The address of a server that closes every connection after the first request."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            try:
                while True:
                    connection, _ = listener.accept()
                    with connection:
                        connection.recv(4096)
            except OSError:
                return  # the test is over

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        host, port = listener.getsockname()
        yield f"{host}:{port}"
        listener.shutdown(socket.SHUT_RDWR)
        wait_for(lambda: not thread.is_alive(), 10, "the server to end")


def test_a_good_file_has_nothing_wrong(quorate: Runner, tmp_path: Path) -> None:
    file = tmp_path / "broker.toml"
    file.write_text(GOOD)
    result = quorate("config", "lint", str(file))
    assert (result.code, result.out) == (ExitCode.OK, f"{file}: 3 settings, nothing wrong\n")


def test_every_problem_of_every_file_is_told(quorate: Runner, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.toml", tmp_path / "bad.toml"
    good.write_text(GOOD)
    bad.write_text('lgo.dirs = "/data"\nnode.id = -1\n')
    result = quorate("config", "lint", str(good), str(bad), "--output", "json")
    assert result.code == ExitCode.FAILED
    assert "1 of 2 files cannot be used" in result.err
    first, second = json.loads(result.out)
    assert first == {"file": str(good), "settings": 3, "problems": []}
    text = "\n".join(second["problems"])
    assert "Did you mean log.dirs?" in text
    assert "node.id = '-1' is not a whole number" in text
    assert "log.dirs is not set" in text
    shown = quorate("config", "lint", str(bad)).out
    told = [problem.removeprefix(f"{bad}: ") for problem in second["problems"]]
    assert shown.splitlines() == [f"{bad}:", *(f"- {problem}" for problem in told)]


def test_the_environment_counts_when_asked_for(
    quorate: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "broker.toml"
    file.write_text("node.id = 1\n")
    monkeypatch.setenv("QUORATE_LOG_DIRS", "/data")
    assert quorate("config", "lint", str(file)).code == ExitCode.FAILED
    result = quorate("config", "lint", str(file), "--environment")
    assert (result.code, result.out) == (ExitCode.OK, f"{file}: 1 settings, nothing wrong\n")


def test_a_file_that_is_no_text_is_a_wrong_argument(quorate: Runner, tmp_path: Path) -> None:
    file = tmp_path / "broker.toml"
    file.write_bytes(b"\xff\xfe")
    result = quorate("config", "lint", str(file))
    assert (result.code, str(file) in result.err) == (ExitCode.USAGE, True)
    assert quorate("config", "lint", str(tmp_path / "none")).code == ExitCode.USAGE


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("config", "list"), "say whose settings"),
        (("config", "list", "--cluster", "--topic", "t"), "say whose settings"),
        (("config", "set", "--cluster"), "nothing to change"),
        (("config", "set", "--cluster", "a"), "not key=value"),
        (("config", "set", "--broker", "x", "a=b"), "not a valid integer"),
        (("config", "get", "--cluster", "a", "-X", "a=b"), "no --client-setting"),
        (("topic", "alter", "t"), "nothing to change"),
        (("topic", "trim", "t"), "--before OFFSET, or --everything"),
        (("topic", "trim", "t", "--before", "1", "--everything"), "--before OFFSET"),
    ],
)
def test_wrong_arguments_are_told_before_anything_is_asked(
    quorate: Runner, arguments: tuple[str, ...], said: str
) -> None:
    result = quorate(*arguments)
    assert (result.code, said in result.err) == (ExitCode.USAGE, True), result


@pytest.mark.parametrize(
    "command",
    [
        ("config", "list", "--broker", "9"),
        ("config", "set", "--broker", "9", "a=b"),
        ("broker", "drain", "9"),
        ("broker", "drain", "9", "--undo"),
    ],
    ids=" ".join,
)
def test_a_broker_that_there_is_not(
    quorate: Runner, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    def call(places: Any, target: Any, key: wire.ApiKey, *_: Any) -> Any:
        if key is wire.ApiKey.DESCRIBE_CLUSTER:
            brokers = [SimpleNamespace(broker_id=n, host="host", port=n) for n in (2, 1, 3)]
            return SimpleNamespace(error_code=0, brokers=brokers)
        assert key is wire.ApiKey.INCREMENTAL_ALTER_CONFIGS
        refused = SimpleNamespace(error_code=ErrorCode.INVALID_REQUEST, error_message="clumsy")
        return SimpleNamespace(responses=[refused])

    monkeypatch.setattr("cli.configs._call", call)
    leads = Leads((1, 2), controller=False, partitions=())
    monkeypatch.setattr("cli.commands.cluster.first_answer", lambda target, work: leads)
    result = quorate(*command)
    assert result.code == ExitCode.FAILED
    assert result.err == "quorate: there is no broker 9; the brokers of this cluster are 1, 2, 3\n"


def test_nobody_there(quorate: Runner) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        host, port = taken.getsockname()
    for command in (("list",), ("set", "a=b"), ("unset", "a")):
        result = quorate("config", *command, "--topic", "t", "-b", f"{host}:{port}")
        assert (result.code, "connection refused" in result.err) == (ExitCode.UNREACHABLE, True)


def test_no_answer_in_time(quorate: Runner, silent: str) -> None:
    result = quorate("config", "list", "--topic", "t", "-b", silent, "--timeout", "0.2")
    assert (result.code, "gives no answer within 0.2 s" in result.err) == (ExitCode.TIMED_OUT, True)


def test_a_change_without_an_answer_may_still_happen(quorate: Runner, silent: str) -> None:
    """And one address that is connected to has all the time there is."""
    twice = ("-b", f"{silent},{silent}", "--timeout", "0.2")
    change = quorate("config", "set", "--topic", "t", "retention.ms=5", *twice)
    assert (change.code, "gives no answer within 0.2 s" in change.err) == (ExitCode.TIMED_OUT, True)
    assert "it may still happen" in change.err
    assert "may still happen" not in quorate("config", "list", "--topic", "t", *twice).err


def test_a_server_that_does_not_know_the_request(quorate: Runner, rude: str) -> None:
    result = quorate("config", "list", "--topic", "t", "-b", rude)
    assert result.code == ExitCode.FAILED
    assert "the connection was closed instead of an answer" in result.err
