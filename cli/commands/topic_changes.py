"""`quorate topic alter`, `add-partitions` and `trim`: changing a topic that exists."""

from __future__ import annotations

import click

from cli import clients
from cli.completing import complete_assignments, complete_settings, complete_topics
from cli.context import Setting, Target, output_option, target_options
from cli.exits import CommandFailed, ExitCode
from cli.output import emit_rows


@click.command(epilog="Example: quorate topic alter orders --config retention.ms=3600000")
@click.argument("name", shell_complete=complete_topics)
@click.option(
    "--config",
    "-c",
    "configs",
    type=Setting(),
    multiple=True,
    shell_complete=complete_assignments,
    help="A setting to give the topic.",
)
@click.option(
    "--delete-config",
    "-d",
    "deleted",
    multiple=True,
    metavar="SETTING",
    shell_complete=complete_settings,
    help="A setting to take away: the broker's, or the default, is in force again.",
)
@click.option("--validate-only", is_flag=True, help="Say whether it could be done; change nothing.")
@output_option
@target_options
def alter(
    name: str,
    configs: tuple[tuple[str, str], ...],
    deleted: tuple[str, ...],
    validate_only: bool,
    output: str,
    target: Target,
) -> None:
    """Change a topic's settings, all of them or none. `quorate config list --topic` shows them."""
    from cli.commands.config import alter_and_tell
    from cli.configs import TOPIC, Change, Owner

    changes = [Change("set", key, value) for key, value in configs]
    changes += [Change("unset", key) for key in deleted]
    alter_and_tell(Owner(TOPIC, name), changes, target, output, validate_only)


@click.command("add-partitions", epilog="Example: quorate topic add-partitions orders --total 12")
@click.argument("name", shell_complete=complete_topics)
@click.option(
    "--total",
    required=True,
    type=click.IntRange(min=1, max=100_000),
    help="The number of partitions to have afterwards.",
)
@output_option
@target_options
def add_partitions(name: str, total: int, output: str, target: Target) -> None:
    """Give a topic more partitions. They cannot be taken away again.

    Records that have a key may go to another partition than before. Clients notice when they next
    refresh their metadata (metadata.max.age.ms, five minutes unless set).
    """
    from confluent_kafka.admin import NewPartitions

    client = clients.admin(target)
    future = client.create_partitions(
        [NewPartitions(name, total)],
        request_timeout=target.timeout_s,
        operation_timeout=target.timeout_s,
    )[name]
    clients.result_of(future, target, f"adding partitions to topic {name!r}")
    rows = [{"topic": name, "partitions": total}]
    emit_rows(output, rows, {"topic": "TOPIC", "partitions": "PARTITIONS"})


@click.command(epilog="Example: quorate topic trim orders --partition 0 --before 1500")
@click.argument("name", shell_complete=complete_topics)
@click.option(
    "--partition",
    "-p",
    "partitions",
    type=click.IntRange(min=0),
    multiple=True,
    help="A partition to trim. May be repeated. [default: all]",
)
@click.option("--before", type=click.IntRange(min=0), help="Delete records below this offset.")
@click.option("--everything", is_flag=True, help="Delete all records that there are now.")
@output_option
@target_options
def trim(
    name: str,
    partitions: tuple[int, ...],
    before: int | None,
    everything: bool,
    output: str,
    target: Target,
) -> None:
    """Delete the oldest records of a topic's partitions. There is no way back.

    Each partition gets an outcome, also when others fail.
    """
    from confluent_kafka import OFFSET_END, TopicPartition

    from cli.commands.topic import failed_of, partition_rows

    if (before is None) is not everything:
        raise CommandFailed("give --before OFFSET, or --everything", ExitCode.USAGE)
    client = clients.admin(target)
    there = [row["partition"] for row in partition_rows(client, [name], target)]
    for number in partitions:
        if number not in there:
            raise clients.no_partition(name, number, len(there))
    offset = OFFSET_END if before is None else before
    wanted = [TopicPartition(name, number, offset) for number in partitions or there]
    futures = client.delete_records(
        wanted, request_timeout=target.timeout_s, operation_timeout=target.timeout_s
    )
    rows, failures = [], []
    for place, future in sorted(futures.items(), key=lambda item: item[0].partition):
        row = {"topic": name, "partition": place.partition, "first_offset": None, "error": None}
        doing = f"trimming {name} {place.partition}"
        try:
            row["first_offset"] = clients.result_of(future, target, doing).low_watermark
        except CommandFailed as error:
            failures.append(error)
            row["error"] = error.message
        rows.append(row)
    columns = {"topic": "TOPIC", "partition": "PARTITION", "first_offset": "FIRST"}
    if failures and len(rows) > 1:
        columns["error"] = "ERROR"
    emit_rows(output, rows, columns)
    if failures:
        raise failed_of(failures, len(rows))
