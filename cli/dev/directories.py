"""The brokers' directories before they start: configuration files, and formatting, once ever."""

from __future__ import annotations

from pathlib import Path

from cli.dev import plan as plans
from cli.dev.plan import BrokerPlan, Plan
from cli.exits import CommandFailed
from cli.formatting import format_directory
from raftlog.disk.properties import FILE_NAME, Properties, Voter


def prepare(plan: Plan, kept_in: Path, *, fsync: bool) -> dict[int, str]:
    """Write configuration files, and format the directories that never were.

    Returns why brokers cannot be started, by id. `kept_in` is the plan file, which remembers what
    was formatted: it is written after the directories, so what it says was made was there.
    """
    voters = tuple(
        Voter(broker.id, broker.directory, broker.peer.host, broker.peer.port)
        for broker in plan.voters
    )
    refused = {}
    for broker in plan.brokers:
        broker.config.parent.mkdir(parents=True, exist_ok=True)
        wanted = plans.settings(broker, len(plan.brokers), fsync=fsync)
        broker.config.write_text(plans.toml(wanted), encoding="utf-8")
        identity = Properties(plan.cluster_id, broker.id, broker.directory, voters)
        try:
            _make(broker, identity)
        except CommandFailed as error:
            refused[broker.id] = error.message
    made = [broker.id for broker in plan.brokers if broker.id not in refused]
    plans.save(plan.with_formatted(made), kept_in)
    return refused


def _make(broker: BrokerPlan, identity: Properties) -> None:
    """Format unless it is formatted like this; CommandFailed when that must not or cannot be."""
    if broker.data.exists() and not broker.data.is_dir():
        raise CommandFailed(
            f"{broker.data} is a file, and its data directory should be there: put the directory "
            "back if it was moved away, or begin anew with another --data directory"
        )
    if broker.formatted and not (broker.data / FILE_NAME).exists():
        raise CommandFailed(
            f"its data directory {broker.data} was formatted before and is gone or empty; with it "
            "went its copies and its votes. Formatted anew it would vote as if it had them, so "
            "it is not. The other brokers hold what was acknowledged; put the directory back if "
            "it was moved away, or begin anew with another --data directory"
        )
    format_directory(broker.data, identity, ignore_formatted=True)
