"""Shell completion: commands, and names from the cluster in bounded time."""

from __future__ import annotations

import re
import socket
import time
from typing import Any

import pytest
from click.shell_completion import BashComplete

from cli import completing
from cli.context import Address
from cli.main import COMMANDS, VARIABLE, cli
from tests.cli.conftest import Runner
from tests.cli.mock_cluster import MockCluster


def complete(*words: str) -> list[str]:
    """What is offered for the last word."""
    found = BashComplete(cli, {}, "quorate", VARIABLE).get_completions(list(words[:-1]), words[-1])
    return [each.value for each in found]


def test_commands_and_options_are_completed() -> None:
    assert complete("") == list(COMMANDS)
    assert complete("co") == ["consume", "config", "completion"]
    assert complete("--ver") == ["--version"]
    assert complete("group", "de") == ["delete", "delete-offsets", "describe"]
    assert complete("consume", "t", "--output", "") == ["table", "json"]
    assert complete("consume", "t", "--offset", "") == ["earliest", "latest"]


def test_settings_are_those_of_their_owner() -> None:
    assert complete("config", "set", "--topic", "t", "retention.b") == ["retention.bytes="]
    assert complete("config", "unset", "--topic", "t", "retention.b") == ["retention.bytes"]
    assert complete("config", "get", "--broker", "1", "log.retention.b") == ["log.retention.bytes"]
    assert complete("topic", "create", "t", "-c", "retention.b") == ["retention.bytes="]
    assert complete("topic", "alter", "t", "--delete-config", "retention.b") == ["retention.bytes"]
    assert complete("broker", "start", "--set", "node.i") == ["node.id="]
    assert complete("config", "set", "--cluster", "node.i") == [], "it is in the broker's file only"


def test_topics_are_those_of_the_cluster(mock: MockCluster) -> None:
    for name in ("red-one", "red-two", "blue", "__own"):
        mock.create(name)
    at = ("-b", mock.bootstrap)
    assert complete("topic", "describe", *at, "red") == ["red-one", "red-two"]
    assert complete("consume", *at, "bl") == ["blue"]
    assert "__own" not in complete("topic", "describe", *at, "")
    assert complete("topic", "describe", *at, "__o") == ["__own"]


def test_ids_of_brokers_are_those_of_the_cluster(mock: MockCluster) -> None:
    at = ("-b", mock.bootstrap)
    assert complete("config", "list", *at, "--broker", "") == ["1", "2", "3"]
    assert complete("broker", "drain", *at, "2") == ["2"]


def test_groups_are_asked_of_every_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {Address("a", 1): ["alpha", "beta"], Address("b", 2): ["alps"]}

    def view(address: Address, limit_s: float) -> Any:
        from cli.survey import View

        return View("c", 1, dict(enumerate(known)), (), None)

    monkeypatch.setattr("cli.survey.ask", view)
    monkeypatch.setattr(completing, "_groups_of", known.__getitem__)
    assert complete("group", "describe", "al") == ["alpha", "alps"]


@pytest.mark.parametrize("listening", [False, True])
def test_a_cluster_that_does_not_answer_completes_nothing_soon(
    capfd: pytest.CaptureFixture[str], listening: bool
) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        if listening:
            server.listen()
        began = time.monotonic()
        assert (
            complete("group", "describe", "-b", f"127.0.0.1:{server.getsockname()[1]}", "x") == []
        )
        assert complete("consume", "-b", f"127.0.0.1:{server.getsockname()[1]}", "x") == []
        assert time.monotonic() - began < 10 * completing.PATIENCE_S
    assert complete("consume", "-b", "nonsense", "x") == []
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_a_script(quorate: Runner, shell: str) -> None:
    result = quorate("completion", shell)
    assert result.code == 0
    assert re.search(f"{VARIABLE}[= ]{shell}_complete", result.out)
