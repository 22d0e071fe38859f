"""`quorate cluster`: who is there, who leads, who votes, what is missing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click

from cli.clients import WHY_SILENT, refuse_client_settings
from cli.commands.recover import recover
from cli.context import Address, Target, output_option, target_options
from cli.exits import CommandFailed, ExitCode
from cli.output import emit_json, emit_record, emit_rows

if TYPE_CHECKING:
    from cli.connection import Connection

T = TypeVar("T")

SOME_PLACES = 20


@click.group()
def cluster() -> None:
    """Look at brokers and partitions, and go on after a majority is lost for good."""


cluster.add_command(recover)


@cluster.command(
    epilog="Example: quorate cluster status && echo healthy",
)
@output_option
@target_options
@click.pass_context
def status(ctx: click.Context, output: str, target: Target) -> None:
    """Ask every broker who is there, who is the controller, and what is missing.

    Every broker that a bootstrap address names is asked over a connection of its own, for at most
    3 seconds, or --timeout if that is less. Exits with 1 and says why unless all of them answer and
    agree on a controller, and every partition has a leader and all its replicas. DRAINING is there
    while a broker is drained (`broker drain`), which is no failure.
    """
    refuse_client_settings(target, "cluster status")
    from cli.health import summarize
    from cli.survey import ASK_S, View, survey

    found = survey(target.bootstrap, min(ASK_S, target.timeout_s))
    if not any(isinstance(answer, View) for answer in found.values()):
        raise nobody_answers(found)
    summary = summarize(found)
    if output == "json":
        emit_json(summary)
    else:
        _emit_table(summary)
    if not summary["healthy"]:
        ctx.exit(ExitCode.FAILED)


@cluster.command(epilog="Example: quorate cluster health || page-somebody")
@output_option
@target_options
@click.pass_context
def health(ctx: click.Context, output: str, target: Target) -> None:
    """Say in a word how the cluster is, and why.

    ok (exit code 0): all brokers answer and agree, nothing is missing. degraded (1): all can be
    used, and something is missing: a broker, a copy. unavailable (6): there is no controller, or a
    partition without a leader; 3 or 4 when no broker answers at all. `cluster status` shows more.
    """
    refuse_client_settings(target, "cluster health")
    from cli.health import DEGRADED, OK, UNAVAILABLE, summarize, verdict
    from cli.survey import ASK_S, View, survey

    found = survey(target.bootstrap, min(ASK_S, target.timeout_s))
    code, reasons, word = ExitCode.OK, [], UNAVAILABLE
    if any(isinstance(answer, View) for answer in found.values()):
        summary = summarize(found)
        word, reasons = verdict(summary), summary["reasons"]
        code = {OK: ExitCode.OK, DEGRADED: ExitCode.FAILED}.get(word, ExitCode.UNAVAILABLE)
    else:
        failure = nobody_answers(found)
        code, reasons = ExitCode(failure.exit_code), [failure.message]
    if output == "json":
        emit_json({"verdict": word, "reasons": reasons})
    else:
        click.echo("\n  ".join([f"{word}:", *reasons]) if reasons else word)
    ctx.exit(code)


@cluster.command(epilog="Example: quorate cluster quorum")
@output_option
@target_options
def quorum(output: str, target: Target) -> None:
    """Show the metadata quorum as its leader sees it: who votes, and how far behind each one is.

    LAG counts entries of the metadata log. HEARD and CAUGHT UP say when the leader last heard a
    member and last knew it to have everything; `-` is for what the leader does not know: it has
    heard nothing since it was elected, or the member is behind.
    """
    refuse_client_settings(target, "cluster quorum")
    from cli.quorum import describe

    found = first_answer(target, describe)
    if output == "json":
        emit_json(found)
    else:
        _emit_quorum(found)


def _emit_quorum(found: dict[str, Any]) -> None:
    emit_record("table", {key: value for key, value in found.items() if key != "members"})
    click.echo()
    columns = {
        "id": "BROKER",
        "role": "ROLE",
        "log_end": "LOG END",
        "lag": "LAG",
        "heard_ms_ago": "HEARD MS AGO",
        "caught_up_ms_ago": "CAUGHT UP MS AGO",
        "address": "ADDRESS",
    }
    emit_rows("table", found["members"], columns)


def first_answer(target: Target, work: Callable[[Connection], T]) -> T:
    """What `work` gets from the first bootstrap address that answers; CommandFailed if none does.

    `work` raises Unavailable when its broker answers with an error.
    """
    from cli.connection import Silence, Unavailable, attempt

    silences: dict[Address, Silence] = {}
    for address in target.bootstrap:
        try:
            found = attempt(address, target.timeout_s, work)
        except Unavailable as error:
            raise CommandFailed(f"{address}: {error}") from error
        if not isinstance(found, Silence):
            return found
        silences[address] = found
    raise nobody_answers(silences)


def nobody_answers(silences: Mapping[Address, Any]) -> CommandFailed:
    """The failure for addresses of which none gave an answer."""
    reasons = ", ".join(f"{address} ({each.reason})" for address, each in silences.items())
    if any(each.connected for each in silences.values()):
        return CommandFailed(
            f"connected, but no broker answers: {reasons}; one {WHY_SILENT}",
            ExitCode.TIMED_OUT,
        )
    return CommandFailed(
        f"cannot reach the cluster: {reasons}; is it running, and is --bootstrap right?",
        ExitCode.UNREACHABLE,
    )


def _emit_table(summary: dict[str, Any]) -> None:
    record = {key: value for key, value in summary.items() if key not in ("brokers", "reasons")}
    for key in ("leaderless", "under_replicated"):
        places = summary[key]
        more = len(places) - SOME_PLACES
        rest = f" and {more} more" if more > 0 else ""
        record[key] = f"{len(places)} {', '.join(places[:SOME_PLACES])}{rest}".strip()
    if summary["reasons"]:
        record["healthy"] = "no: " + f"\n{'':18}".join(summary["reasons"])
    emit_record("table", record)
    click.echo()
    columns = {
        "id": "BROKER",
        "address": "ADDRESS",
        "reachable": "REACHABLE",
        "controller": "CONTROLLER",
        **({"draining": "DRAINING"} if any(row["draining"] for row in summary["brokers"]) else {}),
        "leads": "LEADS",
        "replicas": "REPLICAS",
    }
    emit_rows("table", summary["brokers"], columns)
