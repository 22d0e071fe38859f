"""`quorate completion`: what a shell has to read so that it completes `quorate`."""

from __future__ import annotations

import click

VARIABLE = "_QUORATE_COMPLETE"
"""Where click's scripts tell this program that a completion is wanted."""


@click.command(
    epilog="Example: quorate completion bash > ~/.local/share/bash-completion/completions/quorate"
    "    or, for zsh in ~/.zshrc: source <(quorate completion zsh)"
    "    or: quorate completion fish > ~/.config/fish/completions/quorate.fish"
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script for a shell.

    Commands, options, their values and settings are completed; names of topics and groups too,
    when the cluster of --bootstrap or QUORATE_BOOTSTRAP answers in less than a second.
    """
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(ctx.find_root().command, {}, "quorate", VARIABLE).source())
