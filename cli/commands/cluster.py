"""`quorate cluster`: who is there, who leads, what is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cli import clients
from cli.context import Target, output_option, target_options
from cli.exits import ExitCode
from cli.output import emit_json, emit_record, emit_rows

if TYPE_CHECKING:
    from confluent_kafka.admin import ClusterMetadata


@click.group()
def cluster() -> None:
    """Look at brokers and partitions."""


@cluster.command(
    epilog="Example: quorate cluster status --check && echo healthy",
)
@click.option(
    "--check",
    is_flag=True,
    help="Exit with 1 unless there is a controller and every partition has all its replicas.",
)
@output_option
@target_options
@click.pass_context
def status(ctx: click.Context, check: bool, output: str, target: Target) -> None:
    """Show brokers, controller, and partitions without leader or with lagging replicas."""
    summary = summarize(clients.metadata(clients.admin(target), target))
    if output == "json":
        emit_json(summary)
    else:
        _emit_table(summary)
    if check and not summary["healthy"]:
        ctx.exit(ExitCode.FAILED)


def summarize(found: ClusterMetadata) -> dict[str, Any]:
    """What one broker's metadata says about the whole cluster."""
    partitions = [
        (topic, partition)
        for topic, about in sorted(found.topics.items())
        for partition in about.partitions.values()
    ]
    leaderless = [_place(topic, p.id) for topic, p in partitions if p.leader < 0]
    under = [_place(topic, p.id) for topic, p in partitions if len(p.isrs) < len(p.replicas)]
    controller = found.controller_id if found.controller_id >= 0 else None
    return {
        "cluster_id": found.cluster_id,
        "controller": controller,
        "healthy": controller is not None and not leaderless and not under,
        "topics": len(found.topics),
        "partitions": len(partitions),
        "leaderless": leaderless,
        "under_replicated": under,
        "brokers": [
            {
                "id": broker.id,
                "address": f"{broker.host}:{broker.port}",
                "controller": broker.id == controller,
                "leads": sum(p.leader == broker.id for _, p in partitions),
                "replicas": sum(broker.id in p.replicas for _, p in partitions),
            }
            for _, broker in sorted(found.brokers.items())
        ],
    }


def _place(topic: str, partition: int) -> str:
    return f"{topic}-{partition}"


def _emit_table(summary: dict[str, Any]) -> None:
    some = 20
    record = {key: value for key, value in summary.items() if key != "brokers"}
    for key in ("leaderless", "under_replicated"):
        places = summary[key]
        rest = f" and {len(places) - some} more" if len(places) > some else ""
        record[key] = f"{len(places)} {', '.join(places[:some])}{rest}".strip()
    emit_record("table", record)
    click.echo()
    columns = {
        "id": "BROKER",
        "address": "ADDRESS",
        "controller": "CONTROLLER",
        "leads": "LEADS",
        "replicas": "REPLICAS",
    }
    emit_rows("table", summary["brokers"], columns)
