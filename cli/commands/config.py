"""`quorate config`: settings of topics, of brokers, and of the cluster; and of a broker's file."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from cli.completing import (
    complete_assignments,
    complete_brokers,
    complete_settings,
    complete_topics,
)
from cli.context import Setting, Target, output_option, target_options
from cli.exits import CommandFailed, ExitCode
from cli.output import emit_json, emit_record, emit_rows

if TYPE_CHECKING:
    from cli.configs import Change, Owner

Command = TypeVar("Command", bound=Callable[..., Any])

COLUMNS = {"name": "SETTING", "value": "VALUE", "source": "FROM"}


@click.group()
def config() -> None:
    """Look at settings and change them while brokers run; check a broker's file.

    A topic's setting comes from the topic, else from the broker: what is set for that broker, else
    for all brokers (--cluster), else its file, else the default. Settings that need a restart are
    in the broker's file only. docs/configuration.md describes them all.
    """


def owner_options(command: Command) -> Command:
    """Add `--topic`, `--broker` and `--cluster`, of which one is given."""
    for option in (
        click.option("--cluster", is_flag=True, help="Of all brokers that have no own value."),
        click.option(
            "--broker",
            type=click.IntRange(0),
            metavar="ID",
            shell_complete=complete_brokers,
            help="Of one broker.",
        ),
        click.option(
            "--topic", metavar="NAME", shell_complete=complete_topics, help="Of one topic."
        ),
    ):
        command = option(command)
    return command


def owner_of(topic: str | None, broker: int | None, cluster: bool) -> Owner:
    """Whose settings are meant; CommandFailed (USAGE) unless exactly one is."""
    from cli.configs import BROKER, TOPIC, Owner

    if (topic is not None) + (broker is not None) + cluster != 1:
        raise CommandFailed(
            "say whose settings: --topic NAME, --broker ID or --cluster", ExitCode.USAGE
        )
    if topic is not None:
        return Owner(TOPIC, topic)
    return Owner(BROKER, "" if broker is None else str(broker))


@config.command("list", epilog="Example: quorate config list --topic orders --changed")
@owner_options
@click.option("--changed", is_flag=True, help="Only what is given somewhere, not the defaults.")
@output_option
@target_options
def list_configs(
    topic: str | None,
    broker: int | None,
    cluster: bool,
    changed: bool,
    output: str,
    target: Target,
) -> None:
    """Show every setting in force, and what gives it its value.

    With --cluster: what is set for all brokers, and nothing else.
    """
    from cli.configs import describe

    _refuse_client_settings(target)
    rows = describe(owner_of(topic, broker, cluster), target)
    if changed:
        rows = [row for row in rows if row["source"] != "default"]
    emit_rows(output, rows, COLUMNS)


@config.command(epilog="Example: quorate config get --broker 1 message.max.bytes")
@owner_options
@click.argument(
    "names", nargs=-1, required=True, metavar="SETTING...", shell_complete=complete_settings
)
@output_option
@target_options
def get(
    topic: str | None,
    broker: int | None,
    cluster: bool,
    names: tuple[str, ...],
    output: str,
    target: Target,
) -> None:
    """Show settings with everything there is to say of them."""
    from cli.configs import describe

    _refuse_client_settings(target)
    owner = owner_of(topic, broker, cluster)
    found = {row["name"]: row for row in describe(owner, target)}
    rows = [found[name] for name in names if name in found]
    if output == "json":
        emit_json(rows)
    for row in rows if output == "table" else ():
        given = [f"{each['value']} ({each['source']}: {each['name']})" for each in row["given"]]
        emit_record(output, {**row, "given": "; ".join(given)})
        click.echo()
    missing = [name for name in names if name not in found]
    if missing:
        raise CommandFailed(f"{owner} has no {missing[0]}{_hint(missing[0], found, cluster)}")


def _hint(name: str, known: dict[str, Any], cluster: bool) -> str:
    from metadata.configs.table import suggestion

    if cluster:
        return ": it is not set for all brokers; `quorate config list --broker ID` shows what holds"
    return "." + (suggestion(name, known) or " `quorate config list` shows what there is")


@config.command(
    "set",
    epilog="Example: quorate config set --topic orders retention.ms=3600000 segment.bytes=16777216",
)
@owner_options
@click.argument(
    "settings",
    nargs=-1,
    type=Setting(),
    metavar="SETTING=VALUE...",
    shell_complete=complete_assignments,
)
@click.option("--append", type=Setting(), multiple=True, help="Add items to a list: name=item,item")
@click.option("--subtract", type=Setting(), multiple=True, help="Take items away from a list.")
@click.option("--validate-only", is_flag=True, help="Say whether it could be done; change nothing.")
@output_option
@target_options
def set_configs(
    topic: str | None,
    broker: int | None,
    cluster: bool,
    settings: tuple[tuple[str, str], ...],
    append: tuple[tuple[str, str], ...],
    subtract: tuple[tuple[str, str], ...],
    validate_only: bool,
    output: str,
    target: Target,
) -> None:
    """Change settings, all of them or none. Brokers follow within moments, without a restart."""
    from cli.configs import Change

    changes = [
        Change(operation, name, value)
        for operation, given in (("set", settings), ("append", append), ("subtract", subtract))
        for name, value in given
    ]
    alter_and_tell(owner_of(topic, broker, cluster), changes, target, output, validate_only)


@config.command(epilog="Example: quorate config unset --cluster log.retention.ms")
@owner_options
@click.argument(
    "names", nargs=-1, required=True, metavar="SETTING...", shell_complete=complete_settings
)
@click.option("--validate-only", is_flag=True, help="Say whether it could be done; change nothing.")
@output_option
@target_options
def unset(
    topic: str | None,
    broker: int | None,
    cluster: bool,
    names: tuple[str, ...],
    validate_only: bool,
    output: str,
    target: Target,
) -> None:
    """Take values away, so that what is given further down, or the default, is in force again."""
    from cli.configs import Change

    changes = [Change("unset", name) for name in names]
    alter_and_tell(owner_of(topic, broker, cluster), changes, target, output, validate_only)


def alter_and_tell(
    owner: Owner, changes: list[Change], target: Target, output: str, validate_only: bool
) -> None:
    """Change settings and print what became of each."""
    from cli.configs import alter

    if not changes:
        raise CommandFailed("nothing to change is given: see --help", ExitCode.USAGE)
    _refuse_client_settings(target)
    alter(owner, changes, target, validate_only=validate_only)
    rows = [
        {
            "owner": str(owner),
            "name": change.name,
            "change": change.operation,
            "value": change.value,
            "outcome": "would be done" if validate_only else "done",
        }
        for change in changes
    ]
    columns = {"owner": "OF", "name": "SETTING", "change": "CHANGE", "value": "VALUE"}
    emit_rows(output, rows, {**columns, "outcome": "OUTCOME"})


def _refuse_client_settings(target: Target) -> None:
    if target.client_settings:
        raise CommandFailed(
            "config asks the brokers itself: no --client-setting has an effect on it",
            ExitCode.USAGE,
        )


@config.command(epilog="Example: quorate config lint /etc/quorate/broker.toml")
@click.argument(
    "files",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE...",
)
@click.option(
    "--environment",
    is_flag=True,
    help="Count this shell's QUORATE_ variables in, as `broker start` does.",
)
@output_option
def lint(files: tuple[Path, ...], environment: bool, output: str) -> None:
    """Check brokers' files as a start would, without a broker. Exits with 1 if one has problems."""
    rows = [
        {"file": str(file), "settings": count, "problems": problems}
        for file in files
        for count, problems in [_lint(file, environment)]
    ]
    if output == "json":
        emit_json(rows)
    else:
        for row in rows:
            _tell(row)
    wrong = [row for row in rows if row["problems"]]
    if wrong:
        raise CommandFailed(f"{len(wrong)} of {len(files)} files cannot be used")


def _lint(file: Path, environment: bool) -> tuple[int, list[str]]:
    """The number of settings in the file, and one sentence for each that is wrong."""
    from cli.commands.broker import COMMAND_LINE_VARIABLES
    from metadata.configs.loading import InvalidSettings, load_settings

    try:
        settings = load_settings(
            file.read_text(encoding="utf-8"),
            dict(os.environ) if environment else {},
            file_name=str(file),
            ignored_environment=COMMAND_LINE_VARIABLES,
        )
    except InvalidSettings as error:
        return 0, list(error.problems)
    except (OSError, UnicodeDecodeError) as error:
        raise CommandFailed(f"cannot read {file}: {error}", ExitCode.USAGE) from error
    return sum(origin.place == str(file) for origin in settings.origins.values()), []


def _tell(row: dict[str, Any]) -> None:
    if not row["problems"]:
        click.echo(f"{row['file']}: {row['settings']} settings, nothing wrong")
        return
    click.echo(f"{row['file']}:")
    for problem in row["problems"]:
        click.echo(f"- {problem.removeprefix(row['file'] + ': ')}")
