"""`quorate broker`: one broker in this process, or one that is to be stopped."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.clients import refuse_client_settings
from cli.completing import complete_assignments, complete_brokers
from cli.context import Setting, Target, output_option, target_options
from cli.exits import CommandFailed, ExitCode
from cli.logs import FORMATS, configure
from cli.output import emit_record, note

if TYPE_CHECKING:
    from metadata.configs.loading import BrokerSettings

LOG_FORMAT_VARIABLE = "QUORATE_LOG_FORMAT"
COMMAND_LINE_VARIABLES = ("QUORATE_BOOTSTRAP", "QUORATE_OUTPUT", LOG_FORMAT_VARIABLE)
"""Variables that start as settings do, but are options of other commands."""


@click.group()
def broker() -> None:
    """Run one broker; have one give up its leaderships."""


@broker.command(epilog="Example: quorate broker start --config broker.toml")
@click.option(
    "--config",
    "config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The broker's settings, TOML; the environment (QUORATE_LOG_DIRS for log.dirs) overrides.",
)
@click.option(
    "--set",
    "overrides",
    type=Setting(),
    multiple=True,
    shell_complete=complete_assignments,
    help="A setting that overrides file and environment. May be repeated.",
)
@click.option(
    "--log-format",
    type=click.Choice(FORMATS),
    default=FORMATS[0],
    envvar=LOG_FORMAT_VARIABLE,
    show_default=True,
    show_envvar=True,
    help="How the log's lines are written; json: one object a line.",
)
@click.option("--stop-with-stdin", is_flag=True, hidden=True)
def start(
    config: Path | None,
    overrides: tuple[tuple[str, str], ...],
    log_format: str,
    stop_with_stdin: bool,
) -> None:
    """Run a broker until SIGTERM or Ctrl-C. Its directory must be formatted first."""
    configure(log_format)
    settings = load(config, overrides)
    from partitions.server.host import run_broker
    from raftlog.errors import CorruptLog, DiskFailed, Misconfigured

    if stop_with_stdin:
        threading.Thread(target=_terminate_at_end_of_stdin, daemon=True).start()
    try:
        run_broker(settings)
    except Misconfigured as error:
        raise CommandFailed(str(error), ExitCode.PRECONDITION) from error
    except (CorruptLog, DiskFailed, OSError) as error:
        where = settings.text("log.dirs")  # the messages name paths below it
        code = ExitCode.PRECONDITION if isinstance(error, CorruptLog) else ExitCode.FAILED
        raise CommandFailed(f"log.dirs {where}: {type(error).__name__}: {error}", code) from error


@broker.command(epilog="Example: quorate broker drain 2 && ssh host2 systemctl restart quorate@2")
@click.argument("broker", type=click.IntRange(0), metavar="ID", shell_complete=complete_brokers)
@click.option("--undo", is_flag=True, help="Let it lead again.")
@click.option(
    "--wait",
    "wait_s",
    type=click.FloatRange(min=0, max=86_400),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="How long its leaderships may take to move.",
)
@output_option
@target_options
def drain(broker: int, undo: bool, wait_s: float, output: str, target: Target) -> None:
    """Have a running broker hand over all it leads, and lead nothing until --undo.

    It goes on as a follower. New partitions are placed on other brokers while there are enough of
    them. The wish is a setting of the broker (broker.drain.enable), so it outlives restarts. A stop
    with SIGTERM hands everything over by itself: this is for what takes longer than a restart.

    Exits with 0 when the broker leads nothing, and with 1 when it still leads something after
    --wait: partitions of which no other replica can lead now. It goes on trying. Partitions that
    have no other replica are not waited for.
    """
    refuse_client_settings(target, "broker drain")
    from cli.commands.cluster import first_answer
    from cli.configs import BROKER, Change, Owner, alter, no_broker, registered
    from cli.draining import Leads, look, wait_until_drained

    owner, setting = Owner(BROKER, str(broker)), "broker.drain.enable"
    if undo:
        alter(owner, [Change("unset", setting)], target)
        emit_record(output, {"broker": broker, "draining": False})
        note(
            "quorate: its preferred leaderships come back with the next check "
            "(leader.imbalance.check.interval.seconds)"
        )
        return

    def ask() -> Leads:
        return first_answer(target, lambda connection: look(connection, broker))

    brokers = ask().brokers
    if broker not in brokers:
        there = registered(target)
        if broker not in there:
            raise no_broker(broker, there)
        running = ", ".join(map(str, brokers))
        raise CommandFailed(
            f"broker {broker} does not run, so it leads nothing; those that run are {running}"
        )
    alter(owner, [Change("set", setting, "true")], target)
    leads = wait_until_drained(broker, ask, wait_s)
    record = {"broker": broker, "draining": True, "controller": leads.controller}
    emit_record(output, {**record, "leads": list(leads.partitions)})
    if leads.stuck:
        raise CommandFailed(
            f"broker {broker} still leads {leads}, whose only replica it has: it goes on leading "
            f"those. `quorate broker drain {broker} --undo` ends the draining"
        )
    if not leads.nothing:
        raise CommandFailed(
            f"broker {broker} still leads {leads} after {wait_s:g} s: no other replica can lead "
            "now (`quorate cluster status` shows which brokers are missing). It goes on trying; "
            f"`quorate broker drain {broker} --undo` ends that"
        )


def load(config: Path | None, overrides: tuple[tuple[str, str], ...]) -> BrokerSettings:
    """File, environment and flags, checked as a whole."""
    from metadata.configs.loading import load_settings
    from raftlog.errors import Misconfigured

    try:
        text = None if config is None else config.read_text(encoding="utf-8")
        return load_settings(
            text,
            dict(os.environ),
            dict(overrides),
            file_name=str(config or "no file"),
            ignored_environment=COMMAND_LINE_VARIABLES,
        )
    except (OSError, UnicodeDecodeError) as error:
        raise CommandFailed(f"cannot read {config}: {error}", ExitCode.USAGE) from error
    except Misconfigured as error:
        raise CommandFailed(str(error), ExitCode.USAGE) from error


def _terminate_at_end_of_stdin() -> None:
    """For `quorate dev`: whoever holds the other end of the pipe is gone, so stop as on SIGTERM."""
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
