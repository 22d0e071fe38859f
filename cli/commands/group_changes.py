"""`quorate group delete` and `delete-offsets`: what a group remembers is forgotten."""

from __future__ import annotations

import click

from cli import clients
from cli.completing import complete_groups, complete_topics
from cli.context import Target, output_option, target_options
from cli.exits import CommandFailed, ExitCode
from cli.output import emit_rows
from cli.places import Place, PlaceType, Wanted

_OUTCOME = {"outcome": "OUTCOME"}


@click.command(epilog="Example: quorate group delete billing")
@click.argument(
    "names", nargs=-1, required=True, metavar="GROUP...", shell_complete=complete_groups
)
@click.option("--if-exists", is_flag=True, help="Succeed when a group is not there.")
@output_option
@target_options
def delete(names: tuple[str, ...], if_exists: bool, output: str, target: Target) -> None:
    """Delete groups that have no members, with all their offsets. There is no way back.

    Each gets an outcome, also when others fail.
    """
    from confluent_kafka import KafkaError

    from cli.commands.topic import failed_of, settle

    client = clients.admin(target)
    futures = client.delete_consumer_groups(list(names), request_timeout=target.timeout_s)
    ignored = KafkaError.GROUP_ID_NOT_FOUND if if_exists else None
    rows, failures = [], []
    for name in names:
        row: dict[str, str | None] = {"group": name, "outcome": "deleted", "error": None}
        try:
            if not settle(futures[name], target, f"deleting group {name!r}", ignored):
                row["outcome"] = "did not exist"
        except CommandFailed as failure:
            failures.append(failure)
            row |= {"outcome": "failed", "error": failure.message}
        rows.append(row)
    columns = (
        {"group": "GROUP"} | _OUTCOME | ({"error": "ERROR"} if failures and len(rows) > 1 else {})
    )
    emit_rows(output, rows, columns)
    if failures:
        raise failed_of(failures, len(names))


@click.command(
    "delete-offsets", epilog="Example: quorate group delete-offsets billing --topic orders:0,1"
)
@click.argument("group", shell_complete=complete_groups)
@click.option(
    "--topic",
    "wanted",
    type=PlaceType(),
    multiple=True,
    required=True,
    shell_complete=complete_topics,
    help="Whose offsets: a topic, or some of its partitions. May be repeated.",
)
@output_option
@target_options
def delete_offsets(group: str, wanted: tuple[Wanted, ...], output: str, target: Target) -> None:
    """Forget what a group has committed for a topic, which no member may be subscribed to.

    Its consumers begin there as if for the first time. Each partition gets an outcome, also when
    others fail.
    """
    clients.refuse_client_settings(target, "group delete-offsets")
    from cli.codes import code_name
    from cli.commands.cluster import first_answer
    from cli.connection import Silence, Unavailable
    from cli.offsetdeletion import coordinator
    from cli.offsetdeletion import delete as ask
    from partitions.errors import ErrorCode

    places = _places(group, wanted, target)
    address = first_answer(target, lambda connection: coordinator(connection, group))
    doing = f"deleting offsets of group {group!r}"
    try:
        found = ask(address, group, places, target.timeout_s)
    except Unavailable as error:
        raise CommandFailed(f"{doing}: {error} ({address})") from error
    if isinstance(found, Silence):
        code = ExitCode.TIMED_OUT if found.connected else ExitCode.UNREACHABLE
        raise CommandFailed(f"{doing}: its coordinator, {address}: {found.reason}", code)
    rows = [
        {
            "topic": topic,
            "partition": partition,
            "outcome": "failed" if error else "deleted",
            "error": code_name(error) if error else None,
        }
        for (topic, partition), error in sorted(found.items())
    ]
    failed = [row for row in rows if row["error"]]
    columns = {"topic": "TOPIC", "partition": "PARTITION"} | _OUTCOME
    emit_rows(output, rows, columns | ({"error": "ERROR"} if failed else {}))
    if failed:
        subscribed = any(row["error"] == ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC.name for row in failed)
        advice = "; stop the consumers of that topic first" if subscribed else ""
        raise CommandFailed(f"{doing}: {len(failed)} of {len(rows)} failed{advice}")


def _places(group: str, wanted: tuple[Wanted, ...], target: Target) -> list[Place]:
    """Partitions that were named, or for a whole topic those that the group has offsets of.

    The topic may be gone already: it is not asked for.
    """
    from cli.groups import committed

    whole = {topic for topic, partitions in wanted if not partitions}
    places = {(topic, number) for topic, partitions in wanted for number in partitions}
    if whole:
        known = committed(clients.admin(target), group, target)
        places |= {place for place in known if place[0] in whole}
        nothing = whole - {topic for topic, _ in places}
        if nothing:
            raise CommandFailed(
                f"group {group!r} has committed nothing for {', '.join(sorted(nothing))}; "
                f"`quorate group describe {group}` shows what it has"
            )
    return sorted(places)
