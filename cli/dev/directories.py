"""The brokers' directories before they start: configuration files, and formatting, once ever."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from cli.dev import plan as plans
from cli.dev.plan import BrokerPlan, Plan
from cli.exits import CommandFailed
from cli.formatting import format_directory
from raftlog.disk.fs import OsFileSystem
from raftlog.disk.properties import FILE_NAME, Properties, Voter, read_properties
from raftlog.errors import Misconfigured


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


def is_lost(broker: BrokerPlan) -> bool:
    """Its data directory was there, and is not any more."""
    return broker.formatted and not (broker.data / FILE_NAME).exists()


def about_lost(plan: Plan, refused: Collection[int]) -> list[str]:
    """What to say, once, when data directories are gone: why they are not made, and what to do.

    `refused`: all brokers that are not started. The plan may be as it was before `prepare`.
    """
    lost = [broker for broker in plan.brokers if broker.id in refused and is_lost(broker)]
    if not lost:
        return []
    left = sum(voter.id not in refused for voter in plan.voters)
    fate = (
        "the other voters are a majority, and hold what their topics' copies acknowledged"
        if left >= plan.majority
        else "what only the lost directories held is gone, and docs/recovery.md says how to go on "
        "with a copy that is left (`quorate cluster recover`)"
    )
    return [
        "a lost data directory is not made anew: its broker would vote as if it still had what "
        f"went with it. Put it back if it was moved away; {fate}. To begin anew, give another "
        "--data directory"
    ]


def _make(broker: BrokerPlan, identity: Properties) -> None:
    """Format unless it is formatted like this; CommandFailed when that must not or cannot be."""
    if broker.data.exists() and not broker.data.is_dir():
        raise CommandFailed(
            f"{broker.data} is a file, and its data directory should be there: put the directory "
            "back if it was moved away, or begin anew with another --data directory"
        )
    if is_lost(broker):
        raise CommandFailed(
            f"its data directory {broker.data} was formatted before and is gone or empty"
        )
    _refuse_recovered(broker)
    format_directory(broker.data, identity, ignore_formatted=True)


def _refuse_recovered(broker: BrokerPlan) -> None:
    """CommandFailed when it went on by a forced recovery: the plan is of the time before."""
    if not (broker.data / FILE_NAME).exists():
        return
    try:
        found = read_properties(OsFileSystem(broker.data))
    except (Misconfigured, OSError):
        return  # formatting says what is wrong with it
    if found.recovery or found.abandoned:
        raise CommandFailed(
            f"its data directory {broker.data} went on by a forced recovery, and `quorate dev` "
            "knows only the cluster before that. Keep the directory, and start it with `quorate "
            f"broker start --config {broker.config}`"
        )
