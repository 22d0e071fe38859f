"""`quorate log`: what brokers keep on their disks."""

from __future__ import annotations

from typing import Any

import click

from cli.commands.log_dump import dump
from cli.completing import complete_topics
from cli.context import Target, output_option, target_options
from cli.exits import CommandFailed, ExitCode
from cli.output import emit_json, emit_rows, note

_BROKERS = {
    "id": "BROKER",
    "directory": "DIRECTORY",
    "replicas": "REPLICAS",
    "offline": "OFFLINE",
    "bytes": "BYTES",
    "free_bytes": "FREE BYTES",
    "total_bytes": "TOTAL BYTES",
}
_COPIES = {
    "id": "BROKER",
    "topic": "TOPIC",
    "partition": "PARTITION",
    "bytes": "BYTES",
    "offline": "OFFLINE",
}


@click.group()
def log() -> None:
    """See what brokers keep on their disks."""


log.add_command(dump)


@log.command(epilog="Example: quorate log dirs --topic orders --partitions")
@click.option(
    "--topic",
    "topics",
    multiple=True,
    shell_complete=complete_topics,
    help="Count this topic only. May be repeated.",
)
@click.option("--partitions", is_flag=True, help="List every partition's copy.")
@output_option
@target_options
@click.pass_context
def dirs(
    ctx: click.Context, topics: tuple[str, ...], partitions: bool, output: str, target: Target
) -> None:
    """Ask every broker for its data directory: copies, their bytes, and the room that is left.

    A copy that is out of service is counted under OFFLINE; its files are kept, so they count too.
    JSON always lists every copy. Exits with 1 unless all brokers answer and no copy is offline.
    """
    from cli.clients import refuse_client_settings
    from cli.commands.cluster import first_answer
    from cli.logdirs import brokers, collect, without_copies
    from cli.survey import ASK_S

    refuse_client_settings(target, "log dirs")
    rows = collect(first_answer(target, brokers), topics, min(ASK_S, target.timeout_s))
    if output == "json":
        emit_json(rows)
    else:
        _emit_tables(rows, partitions)
    for name in without_copies(rows, topics):
        raise CommandFailed(f"no such topic: {name}; `quorate topic list` shows what there is")
    if any(row["reason"] or row["offline"] for row in rows):
        ctx.exit(ExitCode.FAILED)


def _emit_tables(rows: list[dict[str, Any]], partitions: bool) -> None:
    emit_rows("table", rows, _BROKERS)
    if partitions:
        click.echo()
        copies = [{"id": row["id"], **copy} for row in rows for copy in row["partitions"]]
        emit_rows("table", copies, _COPIES)
    for row in rows:
        if row["reason"]:
            note(f"broker {row['id']} ({row['address']}): {row['reason']}")
