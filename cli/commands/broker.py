"""`quorate broker`: one broker in this process."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.context import Setting
from cli.exits import CommandFailed, ExitCode
from cli.logs import FORMATS, configure

if TYPE_CHECKING:
    from metadata.configs.loading import BrokerSettings

LOG_FORMAT_VARIABLE = "QUORATE_LOG_FORMAT"
COMMAND_LINE_VARIABLES = ("QUORATE_BOOTSTRAP", "QUORATE_OUTPUT", LOG_FORMAT_VARIABLE)
"""Variables that start as settings do, but are options of other commands."""


@click.group()
def broker() -> None:
    """Run one broker."""


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
