"""`quorate completion`: what a shell has to read so that it completes `quorate`."""

from __future__ import annotations

import click


@click.command(
    epilog="Example: quorate completion bash > ~/.local/share/bash-completion/completions/quorate"
    "    or, for zsh in ~/.zshrc, after compinit: source <(quorate completion zsh)"
    "    or: quorate completion fish > ~/.config/fish/completions/quorate.fish"
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script for a shell.

    Commands, options, their values and settings are completed; topics, groups and ids of brokers
    too, when the cluster of --bootstrap or QUORATE_BOOTSTRAP answers in less than a second.
    """
    from cli.main import VARIABLE
    from cli.shells import Bash, Fish, Zsh

    kind = {"bash": Bash, "zsh": Zsh, "fish": Fish}[shell]
    click.echo(kind(ctx.find_root().command, {}, "quorate", VARIABLE).source(), nl=False)
