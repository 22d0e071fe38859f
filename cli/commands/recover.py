"""`quorate cluster recover`: an operator's way on after a majority is lost for good."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.context import output_option
from cli.exits import CommandFailed, ExitCode

if TYPE_CHECKING:
    from cli.recovery import Choice

EPILOG = """Example: quorate cluster recover --config broker3.toml --metadata --partition orders:0
--compare 4.json

Add --force-unclean-recovery once the copy is chosen. docs/recovery.md is the runbook."""


@dataclass(frozen=True, slots=True)
class Place:
    """Which directory, and how its write-ahead log is divided."""

    data: Path
    part_bytes: int


@click.command(epilog=EPILOG)
@click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The settings of the stopped broker; log.dirs and wal.part.bytes are taken.",
)
@click.option(
    "--data-dir",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Its data directory, instead of --config.",
)
@click.option("--metadata", is_flag=True, help="Name the metadata quorum.")
@click.option(
    "--partition", "partitions", multiple=True, metavar="TOPIC:N", help="Name a partition."
)
@click.option(
    "--all-partitions-of",
    "topics",
    multiple=True,
    metavar="TOPIC",
    help="Name all partitions of a topic that have a copy here.",
)
@click.option(
    "--compare",
    "reports",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="What this command printed with --output json on another survivor. May be repeated: give "
    "all of them. A copy that is worse than another is not forced, and survivors are not left "
    "for lost.",
)
@click.option(
    "--accept-worse-copy",
    is_flag=True,
    help="Force this copy although another survivor's has more, or although it is no voter.",
)
@click.option(
    "--follow",
    "leader",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The report of the broker on which a recovery was forced (recovery-TIME.json in its "
    "directory): go along with it. Copies of what was forced there go out of service here.",
)
@click.option(
    "--force-unclean-recovery",
    "forced",
    is_flag=True,
    help="Do it. WHAT ONLY THE LOST COPIES HAD IS LOST, ACKNOWLEDGED OR NOT. Without this nothing "
    "is changed.",
)
@output_option
def recover(
    config: Path | None,
    data_dir: Path | None,
    metadata: bool,
    partitions: tuple[str, ...],
    topics: tuple[str, ...],
    reports: tuple[Path, ...],
    accept_worse_copy: bool,
    leader: Path | None,
    forced: bool,
    output: str,
) -> None:
    """Go on with one copy when the majority of a group's replicas is lost for good.

    Works on the data directory of one stopped broker, and on the groups that are named only. They
    get this copy as their only voter. Without --force-unclean-recovery it says what would be done
    and what may be lost; with no group named it lists what is here.

    A group of which a majority still exists somewhere needs none of this: start those brokers.
    """
    from cli import recovery

    place = _place(config, data_dir)
    choice = recovery.Choice(metadata, partitions, topics, accept_worse_copy, forced)
    _check_usage(choice, reports, leader)
    with _machine_errors(place.data), _locked(place.data):
        session = recovery.Session(place.data, place.part_bytes, int(time.time() * 1000), output)
        digits = secrets.token_bytes(8)
        if leader is not None:
            session.follow(leader, forced=forced)
        else:
            session.recover(choice, reports, digits)


def _check_usage(choice: Choice, reports: tuple[Path, ...], leader: Path | None) -> None:
    if leader is not None and (choice.named or reports or choice.accept_worse):
        raise CommandFailed(
            "--follow takes what was forced from the report: name no group, and compare nothing",
            ExitCode.USAGE,
        )
    if leader is None and choice.forced and not choice.named:
        raise CommandFailed(
            "--force-unclean-recovery forces what is named, and nothing is: add --metadata, "
            "--partition TOPIC:N or --all-partitions-of TOPIC",
            ExitCode.USAGE,
        )


def _place(config: Path | None, data_dir: Path | None) -> Place:
    from cli.commands.broker import load
    from raftlog.disk.wal import PART_BYTES

    if (config is None) == (data_dir is None):
        raise CommandFailed("give either --config or --data-dir", ExitCode.USAGE)
    if data_dir is not None:
        return Place(data_dir, PART_BYTES)
    settings = load(config, ())
    data = Path(settings.text("log.dirs"))
    if not data.is_dir():
        raise CommandFailed(f"log.dirs: there is no directory {data}", ExitCode.PRECONDITION)
    return Place(data, settings.integer("wal.part.bytes"))


@contextmanager
def _locked(data: Path) -> Iterator[None]:
    from raftlog.disk.fs import OsFileSystem
    from raftlog.disk.properties import DirectoryLock, read_properties

    read_properties(OsFileSystem(data))  # first, so that no other directory gets a lock file
    with DirectoryLock(data):
        yield


@contextmanager
def _machine_errors(data: Path) -> Iterator[None]:
    from raftlog.errors import CorruptLog, DiskFailed, Misconfigured

    try:
        yield
    except Misconfigured as error:
        raise CommandFailed(f"{data}: {error}", ExitCode.PRECONDITION) from error
    except CorruptLog as error:
        raise CommandFailed(
            f"{data}: its write-ahead log cannot be trusted, so nothing of it can be forced: "
            f"{error}",
            ExitCode.PRECONDITION,
        ) from error
    except (DiskFailed, OSError) as error:
        raise CommandFailed(f"{data}: {error}") from error
