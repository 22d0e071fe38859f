"""Completion in real shells, on a terminal, as a user has it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from tests.cli.mock_cluster import MockCluster
from tests.cli.terminal import Terminal

SHELLS = ("bash", "zsh", "fish")


@pytest.fixture(scope="module", params=SHELLS)
def shell(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, mock: MockCluster
) -> Iterator[Terminal]:
    name: str = request.param
    if shutil.which(name) is None:
        pytest.skip(f"no {name} on this machine: completion in it is not tried")
    for topic in ("red-one", "red-two", "blue"):
        mock.create(topic)
    folder = tmp_path_factory.mktemp(name)
    (folder / "broker.toml").touch()
    terminal = Terminal(name, folder, {"QUORATE_BOOTSTRAP": mock.bootstrap})
    yield terminal
    terminal.close()


def test_commands_and_options(shell: Terminal) -> None:
    assert shell.line_after("quorate gro\t") == "quorate group "
    assert shell.line_after("quorate group res\t") == "quorate group reset-offsets "
    assert shell.line_after("quorate consume t --unt\t") == "quorate consume t --until-end "
    assert shell.line_after("quorate consume 't' --unt\t") == "quorate consume 't' --until-end "


def test_values_of_options(shell: Terminal) -> None:
    assert shell.line_after("quorate consume t --output j\t") == "quorate consume t --output json "
    assert shell.line_after("quorate consume t --output=j\t") == "quorate consume t --output=json "
    assert (
        shell.line_after("quorate consume t --offset e\t") == "quorate consume t --offset earliest "
    )
    assert (
        shell.line_after("quorate broker start --config brok\t")
        == "quorate broker start --config broker.toml "
    )


def test_names_of_the_cluster(shell: Terminal, mock: MockCluster) -> None:
    assert shell.line_after("quorate consume bl\t") == "quorate consume blue "
    assert (
        shell.line_after("quorate topic describe blue re\t") == "quorate topic describe blue red-"
    )
    shown = shell.shown_after("quorate topic describe red-\t\t")
    assert "red-one" in shown and "red-two" in shown
    at = f"-b {mock.bootstrap}"
    assert shell.line_after(f"quorate consume {at} bl\t") == f"quorate consume {at} blue "
    assert shell.line_after("quorate config get --broker 1 log.retention.b\t") == (
        "quorate config get --broker 1 log.retention.bytes "
    )


def test_a_setting_waits_for_its_value(shell: Terminal) -> None:
    create = "quorate topic create t"
    assert shell.line_after(f"{create} -c retention.b\t") == f"{create} -c retention.bytes="
    assert shell.line_after(f"{create} --config=retention.b\t") == (
        f"{create} --config=retention.bytes="
    )
    assert shell.line_after("quorate config set --topic t retention.b\t") == (
        "quorate config set --topic t retention.bytes="
    )
    assert shell.line_after("quorate broker start --set log.retention.b\t") == (
        "quorate broker start --set log.retention.bytes="
    )


def test_lists_say_what_each_is(shell: Terminal) -> None:
    shown = shell.shown_after("quorate co\t\t")
    assert all(name in shown for name in ("consume", "config", "completion"))
    # bash has no place for it.
    assert shell.name == "bash" or "Look at settings, change them, check files." in shown


def test_the_line_is_understood_up_to_the_cursor(shell: Terminal) -> None:
    back = "\x1b[D" * len(" --until-end")
    assert shell.line_after(f"quorate consume bl --until-end{back}\t").startswith(
        "quorate consume blue "
    )
