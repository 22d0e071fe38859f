"""`quorate topic`: create, list, describe, delete; see also `topic_changes`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from cli import clients
from cli.commands.topic_changes import add_partitions, alter, trim
from cli.completing import complete_assignments, complete_topics
from cli.context import Setting, Target, output_option, target_options
from cli.exits import CommandFailed, ExitCode
from cli.output import emit_rows, note
from cli.places import Place, positions

if TYPE_CHECKING:
    from confluent_kafka.admin import AdminClient

Outcome = tuple[str, str, "str | None"]
"""A topic's name, what became of it in a word, and why that failed."""


@click.group()
def topic() -> None:
    """Create, list, describe, change and delete topics."""


topic.add_command(alter)
topic.add_command(add_partitions)
topic.add_command(trim)


@topic.command(epilog="Example: quorate topic create orders --partitions 6 --replication-factor 3")
@click.argument("name")
@click.option(
    "--partitions",
    "-p",
    type=click.IntRange(min=1, max=100_000),
    default=None,
    help="Number of partitions. [default: the cluster's num.partitions]",
)
@click.option(
    "--replication-factor",
    "-r",
    type=click.IntRange(min=1, max=32767),
    default=None,
    help="Copies of each partition. [default: the cluster's default.replication.factor]",
)
@click.option(
    "--config",
    "-c",
    "configs",
    type=Setting(),
    multiple=True,
    shell_complete=complete_assignments,
    help="A setting of the topic, for example retention.ms=3600000. May be repeated.",
)
@click.option("--if-not-exists", is_flag=True, help="Succeed when the topic is already there.")
@output_option
@target_options
def create(
    name: str,
    partitions: int | None,
    replication_factor: int | None,
    configs: tuple[tuple[str, str], ...],
    if_not_exists: bool,
    output: str,
    target: Target,
) -> None:
    """Create a topic; returns when the cluster has accepted it."""
    from confluent_kafka import KafkaError
    from confluent_kafka.admin import NewTopic

    client = clients.admin(target)
    new = NewTopic(
        name,
        num_partitions=-1 if partitions is None else partitions,
        replication_factor=-1 if replication_factor is None else replication_factor,
        config=dict(configs),
    )
    future = client.create_topics(
        [new], request_timeout=target.timeout_s, operation_timeout=target.timeout_s
    )[name]
    ignored = KafkaError.TOPIC_ALREADY_EXISTS if if_not_exists else None
    created = settle(future, target, f"creating topic {name!r}", ignored)
    _emit_outcomes(output, [(name, "created" if created else "exists already", None)])


@topic.command("list", epilog="Example: quorate topic list --output json")
@click.option("--internal", is_flag=True, help="Also topics whose name starts with '__'.")
@output_option
@target_options
def list_topics(internal: bool, output: str, target: Target) -> None:
    """List topics with their number of partitions and copies."""
    found = clients.metadata(clients.admin(target), target)
    rows = [
        {
            "name": name,
            "partitions": len(about.partitions),
            "replication_factor": max(
                (len(p.replicas) for p in about.partitions.values()), default=0
            ),
        }
        for name, about in sorted(found.topics.items())
        if internal or not name.startswith("__")
    ]
    columns = {"name": "TOPIC", "partitions": "PARTITIONS", "replication_factor": "REPLICAS"}
    emit_rows(output, rows, columns)


@topic.command(epilog="Example: quorate topic describe orders --offsets")
@click.argument("names", nargs=-1, required=True, metavar="NAME...", shell_complete=complete_topics)
@click.option("--offsets", is_flag=True, help="Also ask leaders for their first and next offset.")
@output_option
@target_options
@click.pass_context
def describe(
    ctx: click.Context, names: tuple[str, ...], offsets: bool, output: str, target: Target
) -> None:
    """Show leader, replicas and in-sync replicas of every partition.

    Exits with 1 when a leader could not be asked for its offsets, which are `-` then.
    """
    client = clients.admin(target)
    failures: list[str] = []
    rows = partition_rows(client, names, target)
    columns = {
        "topic": "TOPIC",
        "partition": "PARTITION",
        "leader": "LEADER",
        "replicas": "REPLICAS",
        "in_sync": "IN SYNC",
    }
    if offsets:
        failures = _add_offsets(client, rows, target)
        columns |= {"first_offset": "FIRST", "next_offset": "NEXT"}
    emit_rows(output, rows, columns)
    for text in failures:
        note(f"quorate: {text}")
    if failures:
        ctx.exit(ExitCode.FAILED)


def partition_rows(
    client: AdminClient, names: Sequence[str], target: Target
) -> list[dict[str, Any]]:
    """One row per partition of the named topics; CommandFailed names those that do not exist."""
    found = clients.metadata(client, target)
    missing = [name for name in names if name not in found.topics]
    if missing:
        raise CommandFailed(
            f"no such topic: {', '.join(missing)}; `quorate topic list` shows what there is"
        )
    return [
        {
            "topic": name,
            "partition": number,
            "leader": about.leader if about.leader >= 0 else None,
            "replicas": list(about.replicas),
            "in_sync": list(about.isrs),
        }
        for name in names
        for number, about in sorted(found.topics[name].partitions.items())
    ]


def _add_offsets(client: AdminClient, rows: list[dict[str, Any]], target: Target) -> list[str]:
    """None where there is no answer; returns why. Who did not answer is not asked again."""
    from confluent_kafka.admin import OffsetSpec

    failures: dict[Place, str] = {}
    for key, spec in (
        ("first_offset", OffsetSpec.earliest()),
        ("next_offset", OffsetSpec.latest()),
    ):
        wanted = [(row["topic"], row["partition"]) for row in rows]
        asked = [place for place in wanted if place not in failures]
        found = positions(client, dict.fromkeys(asked, spec), target)
        for row, place in zip(rows, wanted, strict=True):
            row[key] = found.offsets.get(place)
        failures |= {place: failure.message for place, failure in found.failures.items()}
    return [text for _, text in sorted(failures.items())]


@topic.command(epilog="Example: quorate topic delete orders")
@click.argument("names", nargs=-1, required=True, metavar="NAME...", shell_complete=complete_topics)
@click.option("--if-exists", is_flag=True, help="Succeed when a topic is not there.")
@output_option
@target_options
def delete(names: tuple[str, ...], if_exists: bool, output: str, target: Target) -> None:
    """Delete topics and all their records. There is no way back.

    Each gets an outcome, also when others fail.
    """
    from confluent_kafka import KafkaError

    client = clients.admin(target)
    futures = client.delete_topics(
        list(names), request_timeout=target.timeout_s, operation_timeout=target.timeout_s
    )
    ignored = KafkaError.UNKNOWN_TOPIC_OR_PART if if_exists else None
    outcomes: list[Outcome] = []
    failures = []
    for name in names:
        try:
            done = settle(futures[name], target, f"deleting topic {name!r}", ignored)
            outcomes.append((name, "deleted" if done else "did not exist", None))
        except CommandFailed as error:
            failures.append(error)
            outcomes.append((name, "failed", error.message))
    _emit_outcomes(output, outcomes)
    if failures:
        raise failed_of(failures, len(names))


def failed_of(failures: list[CommandFailed], asked: int) -> CommandFailed:
    """One failure for those of some things: its own words for the only one, else how many."""
    if asked == 1:
        return failures[0]
    codes = {ExitCode(failure.exit_code) for failure in failures}
    code = codes.pop() if len(failures) == asked and len(codes) == 1 else ExitCode.FAILED
    return CommandFailed(f"{len(failures)} of {asked} failed; the outcomes say why", code)


def settle(future: Any, target: Target, doing: str, ignored: int | None) -> bool:
    """True when done, False when the `ignored` error code says there was nothing to do."""
    from confluent_kafka import KafkaException

    error = None
    if ignored is not None:
        try:
            error = future.exception(target.timeout_s + 5)
        except TimeoutError:
            error = None
    if isinstance(error, KafkaException) and error.args[0].code() == ignored:
        return False
    clients.result_of(future, target, doing)
    return True


def _emit_outcomes(output: str, outcomes: list[Outcome]) -> None:
    rows = [
        {"topic": name, "outcome": outcome, "error": error} for name, outcome, error in outcomes
    ]
    columns = {"topic": "TOPIC", "outcome": "OUTCOME"}
    # The error of the only one is told on stderr.
    if len(outcomes) > 1 and any(error for _, _, error in outcomes):
        columns["error"] = "ERROR"
    emit_rows(output, rows, columns)
