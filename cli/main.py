"""Entry point: `quorate`, or `python -m cli.main`."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from typing import NamedTuple

import click
from click.shell_completion import CompletionItem

from cli.exits import ExitCode
from cli.output import flush_stdout, is_of_output, output_failed

VARIABLE = "_QUORATE_COMPLETE"
"""Where the scripts of `quorate completion` tell that a completion is wanted."""


class Entry(NamedTuple):
    """Where a command is, and its line in the overview."""

    module: str
    attribute: str
    summary: str


COMMANDS = {
    "dev": Entry("cli.commands.dev", "dev", "Run a whole cluster on this machine."),
    "topic": Entry(
        "cli.commands.topic", "topic", "Create, list, describe, change and delete topics."
    ),
    "produce": Entry("cli.commands.produce", "produce", "Send lines to a topic."),
    "consume": Entry("cli.commands.consume", "consume", "Print a topic's records."),
    "group": Entry(
        "cli.commands.group", "group", "Consumer groups: members, lag, moving their offsets."
    ),
    "config": Entry("cli.commands.config", "config", "Look at settings, change them, check files."),
    "cluster": Entry(
        "cli.commands.cluster", "cluster", "Look at the cluster; recover it by force."
    ),
    "log": Entry("cli.commands.log", "log", "See what brokers keep on their disks."),
    "broker": Entry("cli.commands.broker", "broker", "Run one broker."),
    "storage": Entry("cli.commands.storage", "storage", "Prepare a broker's data directory."),
    "debug": Entry("cli.commands.debug", "debug", "Collect what a report of a problem needs."),
    "completion": Entry(
        "cli.commands.completion", "completion", "Completion for bash, zsh and fish."
    ),
}


def version(ctx: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    """Answer `--version`; a source tree that was not installed has none."""
    if not wanted:
        return
    from importlib import metadata

    try:
        click.echo(f"quorate {metadata.version('quorate')}")
    except metadata.PackageNotFoundError:
        click.echo("quorate, run from a source tree that is not installed")
    ctx.exit()


class LazyGroup(click.Group):
    """A group whose commands are imported when they are named, not to list them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of the table: what newcomers need first comes first."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command's module."""
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        command = getattr(importlib.import_module(entry.module), entry.attribute)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, which knows no name to suggest: none is imported yet."""
        wanted = args[0]
        if wanted not in COMMANDS and not ctx.resilient_parsing:
            from difflib import get_close_matches

            near = get_close_matches(wanted, COMMANDS, n=1)
            if near:
                ctx.fail(f"No such command '{wanted}'. Did you mean '{near[0]}'?")
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Names from the table alone, then the options that every command has."""
        names = [name for name in COMMANDS if name.startswith(incomplete)]
        items = [CompletionItem(name, help=COMMANDS[name].summary) for name in names]
        return items + click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands from the table alone."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in COMMANDS.items()])


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 done, 1 failed, 2 wrong arguments, 3 cluster unreachable, "
    "4 no answer in time, 5 this machine is not as needed (port taken, wrong directory), "
    "6 a part of the cluster cannot be used (cluster health).",
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=version,
    help="Show the version and exit.",
)
def cli() -> None:
    """A Kafka-protocol message broker with Raft inside.

    Start with `quorate dev`: it runs three brokers on this machine and says what to try.
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code (see ExitCode)."""
    code = _run(arguments)
    problem = flush_stdout()
    if problem is not None and code == ExitCode.OK:
        output_failed(problem).show()
        return ExitCode.FAILED
    return code


def _run(arguments: Sequence[str] | None) -> int:
    if VARIABLE in os.environ:
        importlib.import_module("cli.shells")  # click finds them there
    try:
        result = cli.main(args=arguments, prog_name="quorate", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        # The reader of our output left (`| head`): nobody is there to be told.
        flush_stdout()
        return ExitCode.FAILED
    except OSError as error:
        if not is_of_output(error):
            raise
        flush_stdout()
        output_failed(error).show()
        return ExitCode.FAILED
    return result if isinstance(result, int) else ExitCode.OK


if __name__ == "__main__":
    sys.exit(main())
