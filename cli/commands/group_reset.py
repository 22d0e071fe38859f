"""`quorate group reset-offsets`: shown first, done with --execute."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cli import clients
from cli.completing import complete_groups, complete_topics
from cli.context import Target, output_option, target_options
from cli.exits import CommandFailed, ExitCode
from cli.output import emit_rows, note
from cli.places import Place, PlaceType, Wanted
from cli.resets import Duration, Goal, Moment, ago

if TYPE_CHECKING:
    from confluent_kafka.admin import AdminClient

    from cli.groups import Committed
    from cli.resets import Move

_COLUMNS = {"topic": "TOPIC", "partition": "PARTITION", "old": "OFFSET", "new": "NEW OFFSET"}


@click.command(
    "reset-offsets",
    epilog="Example: quorate group reset-offsets billing --topic orders:0,1 --shift-by -100"
    "    and then the same with --execute",
)
@click.argument("group", shell_complete=complete_groups)
@click.option(
    "--topic",
    "wanted",
    type=PlaceType(),
    multiple=True,
    shell_complete=complete_topics,
    help="A topic, or some of its partitions. May be repeated.",
)
@click.option("--all-topics", is_flag=True, help="All partitions that the group has offsets of.")
@click.option("--to-earliest", is_flag=True, help="To the first record.")
@click.option("--to-latest", is_flag=True, help="To the end.")
@click.option("--to-current", is_flag=True, help="Commit again what is committed; else the end.")
@click.option("--to-offset", type=click.IntRange(0, 2**63 - 1), help="To this offset.")
@click.option("--shift-by", type=int, help="By so many offsets; back when negative.")
@click.option("--to-datetime", type=Moment(), help="To the first record at or after this time.")
@click.option("--by-duration", type=Duration(), help="The same, so long before now.")
@click.option("--execute/--dry-run", default=False, help="Do it. [default: show it only]")
@output_option
@target_options
def reset_offsets(
    group: str,
    wanted: tuple[Wanted, ...],
    all_topics: bool,
    to_earliest: bool,
    to_latest: bool,
    to_current: bool,
    to_offset: int | None,
    shift_by: int | None,
    to_datetime: int | None,
    by_duration: int | None,
    execute: bool,
    output: str,
    target: Target,
) -> None:
    """Move what a group has committed, while it has no members.

    Without --execute nothing is changed: what would be is shown. An offset that lies outside of
    the partition becomes the nearest that does not. A time without a zone is UTC. A group that does
    not exist is made, and it is said that it is new.
    """
    goals = [
        Goal("earliest") if to_earliest else None,
        Goal("latest") if to_latest else None,
        Goal("current") if to_current else None,
        None if to_offset is None else Goal("offset", to_offset),
        None if shift_by is None else Goal("shift", shift_by),
        None if to_datetime is None else Goal("time", to_datetime),
        None if by_duration is None else ago(by_duration),
    ]
    goal = _only([each for each in goals if each is not None])
    if bool(wanted) is all_topics:
        raise CommandFailed("give --topic, or --all-topics", ExitCode.USAGE)
    _reset(group, wanted, goal, execute, output, target)


def _only(goals: list[Goal]) -> Goal:
    if len(goals) != 1:
        raise CommandFailed(
            "say where to, once: --to-earliest, --to-latest, --to-current, --to-offset, "
            "--shift-by, --to-datetime or --by-duration",
            ExitCode.USAGE,
        )
    return goals[0]


def _reset(
    group: str, wanted: tuple[Wanted, ...], goal: Goal, execute: bool, output: str, target: Target
) -> None:
    from cli.groups import DEAD, committed, require_inactive
    from cli.resets import moves

    client = clients.admin(target)
    state = require_inactive(client, group, target)
    current = committed(client, group, target)
    new = state == DEAD and not current
    found = moves(client, goal, _places(client, group, wanted, current, target), current, target)
    failures = _carry_out(client, group, found, target) if execute else {}
    rows = [
        {
            "topic": topic,
            "partition": partition,
            "old": move.old,
            "new": move.new,
            "remark": move.remark,
            "error": failures.get((topic, partition)),
            "new_group": new,
        }
        for (topic, partition), move in sorted(found.items())
    ]
    more = {key: key.upper() for key in ("remark", "error") if any(row[key] for row in rows)}
    emit_rows(output, rows, _COLUMNS | more)
    if failures:
        raise CommandFailed(
            f"resetting offsets of group {group!r}: {len(failures)} of {len(rows)} failed"
        )
    if new:
        made = "did not exist: it is new now" if execute else "does not exist: it would be new"
        note(f"group {group!r} {made}")
    if not execute:
        note("nothing was changed; repeat this with --execute to do it")


def _places(
    client: AdminClient,
    group: str,
    wanted: tuple[Wanted, ...],
    current: dict[Place, Committed],
    target: Target,
) -> list[Place]:
    from cli.places import existing

    if wanted:
        return existing(client, wanted, target)
    if not current:
        raise CommandFailed(
            f"group {group!r} has committed nothing: name a topic with --topic, or see "
            "`quorate group list`"
        )
    return sorted(current)


def _carry_out(
    client: AdminClient, group: str, found: dict[Place, Move], target: Target
) -> dict[Place, str]:
    """Commit; returns what was refused, and why."""
    from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition

    offsets = [TopicPartition(*place, move.new) for place, move in found.items()]
    future = client.alter_consumer_group_offsets(
        [ConsumerGroupTopicPartitions(group, offsets)], request_timeout=target.timeout_s
    )[group]
    answer = clients.result_of(future, target, f"resetting offsets of group {group!r}")
    return {
        (each.topic, each.partition): clients.told(each.error)
        for each in answer.topic_partitions
        if each.error is not None
    }
