"""`quorate group`: consumer groups, their members, and how far they have read."""

from __future__ import annotations

from typing import Any

import click

from cli import clients
from cli.commands.group_changes import delete, delete_offsets
from cli.commands.group_reset import reset_offsets
from cli.completing import complete_groups
from cli.context import Target, output_option, target_options
from cli.exits import CommandFailed, ExitCode
from cli.output import emit_json, emit_record, emit_rows, note

STATES = ("Stable", "Empty", "Dead", "PreparingRebalance", "CompletingRebalance")
_OFFSETS = {
    "topic": "TOPIC",
    "partition": "PARTITION",
    "offset": "OFFSET",
    "end": "END",
    "lag": "LAG",
    "member": "MEMBER",
    "host": "HOST",
    "client_id": "CLIENT",
}
_MEMBERS = {
    "member": "MEMBER",
    "host": "HOST",
    "client_id": "CLIENT",
    "instance_id": "INSTANCE",
    "partitions": "PARTITIONS",
    "assigned": "ASSIGNMENT",
}


@click.group()
def group() -> None:
    """List, describe and delete consumer groups; move their offsets."""


group.add_command(reset_offsets)
group.add_command(delete)
group.add_command(delete_offsets)


@group.command("list", epilog="Example: quorate group list --state Stable")
@click.option(
    "--state",
    "states",
    type=click.Choice(STATES, case_sensitive=False),
    multiple=True,
    help="Only groups in this state. May be repeated.",
)
@output_option
@target_options
@click.pass_context
def list_groups(ctx: click.Context, states: tuple[str, ...], output: str, target: Target) -> None:
    """List consumer groups with their state.

    Each broker knows the groups that it coordinates. Exits with 1 when one could not be asked.
    """
    from cli.groups import listing

    rows, failures = listing(clients.admin(target), target)
    if states:
        rows = [row for row in rows if row["state"] in states]
    emit_rows(output, rows, {"group": "GROUP", "state": "STATE", "type": "TYPE"})
    for failure in _who_failed(target, failures) if failures else ():
        note(f"quorate: a broker's groups are missing: {failure}")
    if failures:
        ctx.exit(ExitCode.FAILED)


def _who_failed(target: Target, failures: list[str]) -> list[str]:
    """Which brokers are silent: the library tells how it failed, and not with which."""
    from cli.commands.cluster import first_answer
    from cli.grouplists import silent
    from cli.logdirs import brokers
    from cli.survey import ASK_S

    try:
        places = first_answer(target, brokers)
    except CommandFailed:
        return failures
    return silent(places, min(ASK_S, target.timeout_s)) or failures


@group.command(epilog="Example: quorate group describe billing --members")
@click.argument(
    "names", nargs=-1, required=True, metavar="GROUP...", shell_complete=complete_groups
)
@click.option("--members", is_flag=True, help="List members with what they are assigned.")
@output_option
@target_options
@click.pass_context
def describe(
    ctx: click.Context, names: tuple[str, ...], members: bool, output: str, target: Target
) -> None:
    """Show a group's state, its committed offsets, and how far they are behind the end (lag).

    JSON has the members always. `-` is for what is not there: no commit yet, no member, or a
    partition that exists no more. Exits with 1 when a group does not exist, or the end of a
    partition could not be asked for: the group's lag is `-` then, not the sum of the rest.
    """
    from cli.groups import describe as described

    client = clients.admin(target)
    found = []
    failures: list[CommandFailed] = []
    for name in names:
        try:
            found.append(described(client, name, target))
        except CommandFailed as failure:
            failures.append(failure)
    if output == "json":
        emit_json(found)
    else:
        for document in found:
            _emit(document, members)
    notes = [text for document in found for text in document["failures"]]
    if len(names) > 1:
        notes += [failure.message for failure in failures]
    for text in notes:
        note(f"quorate: {text}")
    if failures and len(names) == 1:
        raise failures[0]
    if notes:
        ctx.exit(ExitCode.FAILED)


def _emit(document: dict[str, Any], members: bool) -> None:
    lists = ("offsets", "members", "failures")
    record = {key: value for key, value in document.items() if key not in lists}
    emit_record("table", {**record, "members": len(document["members"])})
    click.echo()
    if not members:
        emit_rows("table", document["offsets"], _OFFSETS)
    else:
        rows = [{**row, "assigned": _assigned(row)} for row in document["members"]]
        emit_rows("table", rows, _MEMBERS)
    click.echo()


def _assigned(row: dict[str, Any]) -> str | None:
    parts = (f"{topic}:{','.join(map(str, n))}" for topic, n in row["assignment"].items())
    return " ".join(parts) or None
