"""Writes docs/cli.md from the commands themselves: `python -m cli.reference > docs/cli.md`."""

from __future__ import annotations

from collections.abc import Iterator

import click

from cli.exits import ExitCode
from cli.main import COMMANDS, cli

WIDTH = 100
_HEAD = """# The command line

Made from the commands by `python -m cli.reference > docs/cli.md`; a test holds it equal. What
`quorate COMMAND --help` says is what stands here.
"""


def reference() -> str:
    """The whole page."""
    parts = [_HEAD, *_exit_codes()]
    for name, entry in COMMANDS.items():
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        parts.append(f"## quorate {name}\n\n{entry.summary}\n")
        parts += _sections(
            (name,), command, click.Context(cli, info_name="quorate", **cli.context_settings)
        )
    return "\n".join(parts)


def _exit_codes() -> Iterator[str]:
    yield "| Exit code | Name |\n|---|---|"
    for code in ExitCode:
        yield f"| {code.value} | {code.name.lower().replace('_', ' ')} |"
    yield ""


def _sections(path: tuple[str, ...], command: click.Command, above: click.Context) -> Iterator[str]:
    """A command's help, then those of the commands in it."""
    context = click.Context(command, info_name=path[-1], parent=above)
    # Not the terminal's width, nor what this machine's environment sets.
    context.terminal_width = context.max_content_width = WIDTH
    if len(path) > 1:
        yield f"### quorate {' '.join(path)}\n"
    lines = (line.rstrip() for line in command.get_help(context).splitlines())
    yield "```text\n" + "\n".join(lines) + "\n```\n"
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            if inner is not None and not inner.hidden:
                yield from _sections((*path, name), inner, context)


if __name__ == "__main__":
    click.echo(reference(), nl=False)
