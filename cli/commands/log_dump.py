"""`quorate log dump`: what is in a broker's files, and whether it is as it was written."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.context import output_option
from cli.exits import CommandFailed, ExitCode
from cli.output import note
from cli.places import PlaceType, Wanted

if TYPE_CHECKING:
    from cli.dumping.lines import Line

PROGRESS_S = 5.0
AREAS = ("properties", "wal", "metadata", "partitions")


@click.command(epilog="Example: quorate log dump /var/lib/quorate --topic orders:0 --records")
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option("--records", is_flag=True, help="Show records too, with keys and values.")
@click.option(
    "--topic",
    "places",
    type=PlaceType(),
    multiple=True,
    help="Only a topic's files, or those of some of its partitions. May be repeated.",
)
@click.option(
    "--only", "areas", type=click.Choice(AREAS), multiple=True, help="Only this. May be repeated."
)
@click.option("--damage", is_flag=True, help="Show only what is damaged.")
@output_option
def dump(
    path: Path,
    records: bool,
    places: tuple[Wanted, ...],
    areas: tuple[str, ...],
    damage: bool,
    output: str,
) -> None:
    """Read a broker's data directory, or a file of it, without its broker, and without a change.

    Every batch, record of a sidecar, round and metadata entry is shown at its byte, with a verdict
    over its checksum. `unsettled` is not damage: it lies behind the last checkpoint, and recovery
    takes it from the write-ahead log. Exits with 5 when something is damaged. JSON is one object
    per line.
    """
    from cli.dumping.directory import Question
    from cli.dumping.directory import dump as lines
    from cli.dumping.trust import root_of

    root = root_of(path)
    if root is None:
        note("quorate: no broker's directory: all that is not valid counts as damage")
    else:
        _warn_if_running(root.path)
    question = Question(records, areas or (("partitions",) if places else AREAS), places)
    found = _told_if_none(_progress(lines(path, root, question)), of_topics=bool(places))
    count, first = _show(found, output, only_damage=damage)
    if first is not None:
        raise CommandFailed(
            f"{path}: damaged in {count} place{'s' if count != 1 else ''}, first "
            f"{first.file}{'' if first.at is None else f' at byte {first.at}'}: {first.damage}",
            ExitCode.PRECONDITION,
        )


def _warn_if_running(root: Path) -> None:
    from cli.dumping.readonly import lock_holder
    from raftlog.disk.properties import LOCK_NAME

    holder = lock_holder(root / LOCK_NAME)
    if holder is not None:
        note(
            f"quorate: a broker runs on {root} (process {holder}): what it writes meanwhile may "
            "look torn or damaged; look again, or at a copy of the directory"
        )


def _show(lines: Iterable[Line], output: str, *, only_damage: bool) -> tuple[int, Line | None]:
    """Print; returns in how many places it is damaged, and the first."""
    count, first, file = 0, None, None
    for line in lines:
        if line.damage is not None:
            count, first = count + 1, first or line
        elif only_damage:
            continue
        if output == "json":
            click.echo(line.json())
            continue
        if line.file != file:
            file = line.file
            size = f" ({line.facts['bytes']} bytes)" if line.facts.keys() == {"bytes"} else ""
            click.echo(f"{line.file}{size}")
        if line.what != "file" or line.damage is not None:
            click.echo(line.text())
    return count, first


def _told_if_none(lines: Iterable[Line], *, of_topics: bool) -> Iterator[Line]:
    """The same; says on stderr when there is no line of the topics that were asked for."""
    none = True
    for line in lines:
        none = False
        yield line
    if none and of_topics:
        note("quorate: nothing here is of the topics or partitions that --topic names")


def _progress(lines: Iterable[Line]) -> Iterator[Line]:
    """The same; says now and then on stderr where it is, unless stdout is the terminal itself."""
    said = time.monotonic()
    for count, line in enumerate(lines, 1):
        yield line
        if time.monotonic() - said > PROGRESS_S and not sys.stdout.isatty():
            said = time.monotonic()
            note(f"quorate: {count} lines, now in {line.file}")
