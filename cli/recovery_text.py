"""What `quorate cluster recover` says to people: every warning is here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from cli.output import emit_record, emit_rows
from partitions.recover import LOG_NAME, Comparison, Copy, Directory, Following, Forced, Report
from raftlog.core.membership import voters_of
from raftlog.disk.properties import Properties
from raftlog.types import METADATA_GROUP, ReplicaId

COLUMNS = {
    "group": "GROUP",
    "name": "NAME",
    "voter": "VOTER",
    "voters": "VOTERS",
    "last_term": "LAST TERM",
    "last_index": "LAST INDEX",
    "end_offset": "END OFFSET",
    "state": "STATE",
}


def show(
    data: Path,
    here: Directory,
    alone: Sequence[Copy],
    plan: Forced | None,
    compared: Sequence[Comparison],
    report: str | None,
) -> None:
    """The whole output; `report` names the file that was written when the plan was carried out."""
    _show_directory(data, here)
    for each in compared:
        click.echo(_compared_line(each))
    for copy in alone:
        click.echo(f"\n{copy.name}: nothing to do, this copy is the only voter already.")
    if plan is None:
        if not alone:
            click.echo(_WHAT_TO_DO)
        return
    _show_copies(plan, here.properties.replica, done=report is not None)
    _show_left_out(here, plan)
    _show_split(here.properties.replica, plan)
    if report is None:
        click.echo(
            "\nNothing was changed. Repeat this with --force-unclean-recovery to do it, on this "
            "broker only."
        )
    else:
        _show_next(data, plan, report)


_WHAT_TO_DO = """
Nothing is named, and nothing was changed. If a majority of a group's voters can still be started,
start them: it goes on by itself. If it is lost for good:
  1. On every survivor: quorate cluster recover --config BROKER.toml -o json > BROKER.json
  2. On one, name what is lost (--metadata, --partition TOPIC:N, --all-partitions-of TOPIC), with
     --compare for each of the others' files: it says whose copy has the highest (term, index).
  3. On the broker with the best copy: the same with --force-unclean-recovery.
docs/recovery.md has the whole way."""


def _show_directory(data: Path, here: Directory) -> None:
    properties = here.properties
    record = {
        "directory": str(data),
        "broker": properties.node_id,
        "directory_id": properties.directory_id.hex(),
        "cluster_id": properties.cluster_id,
        "recovery": properties.recovery or "none",
        "voters": [voter.node_id for voter in properties.voters],
        "refused": [replica.node for replica in properties.abandoned],
    }
    emit_record("table", record)
    click.echo()
    rows = [
        {
            "group": copy.group,
            "name": copy.name,
            "voter": None if copy.offline else copy.votes(properties.replica),
            "voters": [voter.node for voter in voters_of(copy.configuration)],
            "last_term": copy.last.term,
            "last_index": copy.last.index,
            "end_offset": copy.last.offset,
            "state": f"OFFLINE: {copy.offline}" if copy.offline else "intact",
        }
        for copy in here.copies
    ]
    emit_rows("table", rows, COLUMNS)


def compared_row(each: Comparison) -> dict[str, Any]:
    """One comparison, for JSON."""
    return {
        "group": each.copy.group,
        "name": each.copy.name,
        "best_nodes": list(each.best),
        "best_term": each.best_rank[0],
        "best_index": each.best_rank[1],
        "worse": each.worse,
        "voters_compared": [replica.node for replica in each.present],
        "voters_needed": each.needed,
        "majority": each.majority,
    }


def _compared_line(each: Comparison) -> str:
    term, index = each.best_rank
    nodes = ", ".join(map(str, each.best))
    if each.majority:
        what = "a majority of its copies exists: START THOSE BROKERS, FORCE NOTHING"
    elif each.worse:
        what = f"this copy is worse (term {each.copy.last.term}, index {each.copy.last.index})"
    else:
        what = "this copy is as good as any that was compared"
    return f"\n{each.copy.name}: best is (term {term}, index {index}), on broker {nodes}; {what}."


def _show_copies(plan: Forced, me: ReplicaId, *, done: bool) -> None:
    """One paragraph per group, then what holds for all of them, once."""
    click.echo()
    for copy, term in zip(plan.copies, plan.terms, strict=True):
        _show_copy(copy, term, me, done=done)
    became = "became" if done else "would become"
    click.echo(
        "\nMAY BE LOST: whatever the other voters acknowledged beyond what is kept. How much that"
    )
    click.echo("  is, nothing here can tell; producers and operators were told that it was safe.")
    click.echo(
        "MAY COME TRUE: the last entries kept, of which nobody knows how many were committed. They"
    )
    click.echo(f"  {became} committed, also those whose producers were told that they failed.")


def _show_copy(copy: Copy, term: int, me: ReplicaId, *, done: bool) -> None:
    became, kept = ("became", "kept") if done else ("would become", "would be kept")
    last = copy.last
    nodes = _nodes(voter for voter in voters_of(copy.configuration) if voter != me)
    offsets = f" (offsets below {last.offset})" if copy.topic is not None else ""
    click.echo(f"{copy.name}: this copy {became} the only voter, without {nodes}.")
    click.echo(
        f"  All up to term {last.term}, index {last.index}{offsets} {kept}; then comes entry "
        f"{last.index + 1} in term {term}."
    )
    if not copy.votes(me):
        click.echo("  THIS COPY IS NO VOTER: no commit waited for it, it may lack much.")


def _show_left_out(here: Directory, plan: Forced) -> None:
    """Groups that will have no majority either."""
    gone = set(plan.properties.abandoned)
    forced = {copy.group for copy in plan.copies}
    names = [
        copy.name
        for copy in here.copies
        if copy.group not in forced and not copy.offline and _without_majority(copy, gone)
    ]
    if names:
        click.echo(f"\nNot named, and without a majority when these are lost: {', '.join(names)}.")


def _without_majority(copy: Copy, gone: set[ReplicaId]) -> bool:
    return any(
        sum(voter in gone for voter in voters) * 2 >= len(voters)
        for voters in (copy.configuration.voters, copy.configuration.outgoing)
        if voters
    )


def _show_split(me: ReplicaId, plan: Forced) -> None:
    nodes = _nodes(plan.properties.abandoned)
    if not plan.properties.abandoned:
        return
    click.echo(f"\nLeft for lost: the present directories of {nodes}. This broker refuses them.")
    click.echo(
        "NEVER START A BROKER ON ONE OF THOSE DIRECTORIES AGAIN. TWO OF THEM CAN STILL ELECT A"
    )
    click.echo(
        "LEADER AMONG THEMSELVES, OUT OF THIS BROKER'S REACH; CLIENTS THAT FIND THEM WOULD WRITE"
    )
    click.echo("INTO A CLUSTER THAT THIS ONE KNOWS NOTHING OF, AND ALL OF THAT WOULD BE LOST.")


def _show_next(data: Path, plan: Forced, report: str) -> None:
    properties = plan.properties
    click.echo(f"\nDone, durably. {data / LOG_NAME} tells what was forced;")
    click.echo(f"the report is {data / report}.")
    click.echo("Next:")
    click.echo("  1. On every other survivor, before it starts:")
    click.echo(f"       quorate cluster recover --config BROKER.toml --follow {report} \\")
    click.echo("           --force-unclean-recovery")
    click.echo("  2. Start this broker, then the other survivors.")
    if any(copy.group == METADATA_GROUP for copy in plan.copies):
        click.echo("  3. A broker whose directory is lost joins with a new one, without a vote:")
        click.echo(f"       {_format_command(properties)}")
    click.echo(
        "  Partitions that were forced have one copy now, and are shown as under-replicated;"
    )
    click.echo("  min.insync.replicas above 1 keeps acks=all producers out of them.")


def _format_command(properties: Properties) -> str:
    voters = " ".join(f"--voter {voter}" for voter in properties.voters)
    recovery = f" --recovery {properties.recovery}" if properties.recovery else ""
    return (
        "quorate storage format --config BROKER.toml \\\n"
        f"           --cluster-id {properties.cluster_id}{recovery} \\\n"
        f"           {voters}"
    )


def followed(here: Directory, plan: Following, leader: Report, *, done: bool) -> dict[str, Any]:
    """The JSON of `--follow`."""
    return {
        "followed": done,
        "node_id": here.properties.node_id,
        "follows_node": leader.properties.node_id,
        "recovery": plan.properties.recovery,
        "voters": [str(voter) for voter in plan.properties.voters],
        "abandoned": [f"{node}:{directory.hex()}" for node, directory in plan.properties.abandoned],
        "retired": [copy.name for copy in plan.retired],
    }


def show_followed(here: Directory, plan: Following, leader: Report, *, done: bool) -> None:
    """The same for people."""
    properties = plan.properties
    will = "now" if done else "would from then on"
    click.echo(f"Broker {here.properties.node_id} {will}:")
    if properties.recovery != here.properties.recovery:
        voters = ", ".join(str(voter.node_id) for voter in properties.voters)
        click.echo(f"  belong to recovery {properties.recovery}, with the voters {voters};")
    click.echo(f"  refuse the former directories of {_nodes(properties.abandoned)};")
    for copy in plan.retired:
        what = "gone" if copy.topic is None else "out of service, its files kept"
        click.echo(
            f"  have its copy of {copy.name} (term {copy.last.term}, index {copy.last.index})"
            f" {what}"
            f": broker {leader.properties.node_id} went on without it;"
        )
    click.echo("  keep everything else.")
    if not done:
        click.echo("\nNothing was changed. Repeat this with --force-unclean-recovery to do it.")


def _nodes(replicas: Any) -> str:
    nodes = sorted({replica.node for replica in replicas})
    return f"broker{'s' if len(nodes) != 1 else ''} {', '.join(map(str, nodes)) or 'none'}"
