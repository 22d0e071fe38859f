"""The overview, exit codes, laziness, and that every command explains itself."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest

from cli.exits import ExitCode
from cli.main import COMMANDS, cli
from tests.cli.conftest import Runner


def commands() -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """(path, command) of every command that does something."""
    context = click.Context(cli)
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from (((name, each), command.commands[each]) for each in sorted(command.commands))
        else:
            yield (name,), command


ALL = list(commands())


@pytest.mark.parametrize(("path", "command"), ALL, ids=[" ".join(path) for path, _ in ALL])
def test_help_has_an_example_that_names_the_command(
    path: tuple[str, ...], command: click.Command
) -> None:
    assert command.help
    assert command.epilog is not None
    assert command.epilog.startswith("Example: ")
    assert f"quorate {' '.join(path)}" in command.epilog


def test_examples_use_options_that_there_are() -> None:
    by_path = dict(ALL)
    seen, offenders = 0, []
    for path, command in ALL:
        for words in examples(command.epilog or ""):
            named = by_path.get(tuple(words[:2])) or by_path.get(tuple(words[:1]))
            if named is None:
                offenders.append(f"{' '.join(path)}: no command {' '.join(words[:2])}")
                continue
            seen += 1
            known = {option for parameter in named.params for option in parameter.opts}
            wrong = [word for word in words if OPTION.fullmatch(word) and word not in known]
            offenders += [f"{' '.join(path)}: {named.name} has no {word}" for word in wrong]
    assert seen >= len(ALL)
    assert not offenders


OPTION = re.compile(r"--?[a-z][a-z-]*")


def examples(epilog: str) -> Iterator[list[str]]:
    """The words after each `quorate` that begins a command."""
    words = shlex.split(epilog.replace(";", " ; "))
    for first in (number for number, word in enumerate(words) if word == "quorate"):
        rest = words[first + 1 :]
        ends = [
            n for n, word in enumerate(rest) if word in (";", "|", "||", "&&", "or:", "quorate")
        ]
        yield rest[: ends[0] if ends else len(rest)]


@pytest.mark.parametrize(("path", "command"), ALL, ids=[" ".join(path) for path, _ in ALL])
def test_every_command_with_a_result_takes_output(
    path: tuple[str, ...], command: click.Command
) -> None:
    options = {option for parameter in command.params for option in parameter.opts}
    has_none = path in (("broker", "start"), ("completion",))
    assert ("--output" in options) is not has_none


def test_overview_lists_every_command(quorate: Runner) -> None:
    result = quorate("--help")
    assert result.code == ExitCode.OK
    for name, entry in COMMANDS.items():
        assert name in result.out
        assert entry.summary in result.out


def test_the_overview_imports_neither_client_nor_trio() -> None:
    script = (
        "import sys; from cli.main import main; main(['--help']);"
        "heavy = {'confluent_kafka', 'trio', 'rich', 'partitions'} & set(sys.modules);"
        "sys.exit(' '.join(sorted(heavy)) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert done.returncode == 0


def test_version(quorate: Runner) -> None:
    result = quorate("--version")
    assert result.code == ExitCode.OK
    assert result.out.startswith("quorate")


def test_an_unknown_command_is_a_usage_error(quorate: Runner) -> None:
    result = quorate("tropic")
    assert result.code == ExitCode.USAGE
    assert "tropic" in result.err
    assert "Did you mean 'topic'?" in result.err
    assert "Did you mean" not in quorate("xyzzy").err


def test_an_unreachable_cluster_is_named_with_the_reason(quorate: Runner) -> None:
    result = quorate("topic", "list", "--bootstrap", "127.0.0.1:1")
    assert result.code == ExitCode.UNREACHABLE
    assert result.err.startswith("quorate: cannot reach the cluster: 127.0.0.1:1 (")
    assert result.err.count("\n") == 1


def test_the_environment_names_the_cluster(
    quorate: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUORATE_BOOTSTRAP", "127.0.0.1:2,[::1]:3")
    result = quorate("cluster", "status")
    assert result.code == ExitCode.UNREACHABLE
    assert "127.0.0.1:2 (" in result.err
    assert "[::1]:3 (" in result.err


@pytest.mark.parametrize("address", ["nonsense", ":9092", "host:0", "host:65536", "host:x", " , "])
def test_a_malformed_address_is_a_usage_error(quorate: Runner, address: str) -> None:
    result = quorate("topic", "list", "--bootstrap", address)
    assert result.code == ExitCode.USAGE
    assert "host:port" in result.err


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    "arguments", [("--help",), ("storage", "random-id"), ("storage", "random-id", "-o", "json")]
)
def test_output_that_cannot_be_written_is_one_line_and_a_failure(
    arguments: tuple[str, ...], unbuffered: str
) -> None:
    with open("/dev/full", "wb") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "cli.main", *arguments],
            env={"PATH": "/usr/bin:/bin", "PYTHONUNBUFFERED": unbuffered},
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert ended.returncode == ExitCode.FAILED
    assert ended.stderr == b"quorate: cannot write the output: No space left on device\n"


def test_a_reader_that_left_is_not_complained_about() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        ended = subprocess.run(
            [sys.executable, "-m", "cli.main", "storage", "random-id"],
            stdout=writer,
            stderr=subprocess.PIPE,
            check=False,
        )
    finally:
        os.close(writer)
    assert (ended.returncode, ended.stderr) == (ExitCode.FAILED, b"")
