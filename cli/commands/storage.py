"""`quorate storage`: a broker's data directory, before its first start."""

from __future__ import annotations

import secrets
from pathlib import Path

import click

from cli.commands.broker import load
from cli.context import output_option
from cli.exits import CommandFailed, ExitCode
from cli.formatting import describe_directory, format_directory, parse_voters
from cli.output import emit_record
from raftlog.disk.properties import Properties, Voter

VOTER_FORM = "node@host:port:directory"


@click.group()
def storage() -> None:
    """Prepare a broker's data directory.

    A replica is a node and its directory, so the first configuration names directory ids: draw one
    per voter with `random-id`, then format every directory with the same cluster id and voters. A
    broker that no --voter names is an observer: it serves clients and holds partitions like the
    others, and follows the metadata without a vote. Three or five voters are enough for any number.
    """


@storage.command("random-id", epilog="Example: quorate storage random-id")
@output_option
def random_id(output: str) -> None:
    """Draw an id for a cluster or for a directory (32 hexadecimal digits)."""
    drawn = secrets.token_hex(16)
    if output == "json":
        emit_record(output, {"id": drawn})
    else:
        click.echo(drawn)


@storage.command(
    "format",
    epilog="Example: quorate storage format --data /var/lib/quorate --node-id 1 --cluster-id ID "
    "--voter 1@broker1:9192:DIR1 --voter 2@broker2:9192:DIR2 --voter 3@broker3:9192:DIR3",
)
@click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The broker's settings: node.id, log.dirs and controller.quorum.voters are taken.",
)
@click.option("--data", type=click.Path(file_okay=False, path_type=Path), help="The directory.")
@click.option("--node-id", type=click.IntRange(0, 2**31 - 1))
@click.option("--cluster-id", required=True, help="The same for all brokers.")
@click.option(
    "--directory-id",
    metavar="HEX",
    help="32 hexadecimal digits, or `new`: for a directory that takes the place of one that was "
    "lost, and is no voter then. [default: what --voter says of this node, or a new one]",
)
@click.option(
    "--voter",
    "voter_texts",
    multiple=True,
    metavar=VOTER_FORM.upper(),
    help="A founding member of the metadata quorum: its peer listener and directory id. All of "
    "them on every broker, in the same order, also on brokers that are not among them.",
)
@click.option(
    "--recovery",
    default="",
    metavar="ID",
    help="For a cluster that went on by a forced recovery of its metadata: which one. `quorate "
    "cluster recover` says so; without it the others refuse this broker.",
)
@click.option("--ignore-formatted", is_flag=True, help="Succeed when already formatted like this.")
@output_option
def format_(
    config: Path | None,
    data: Path | None,
    node_id: int | None,
    cluster_id: str,
    directory_id: str | None,
    voter_texts: tuple[str, ...],
    recovery: str,
    ignore_formatted: bool,
    output: str,
) -> None:
    """Write meta.properties: who this directory belongs to, and who votes at first."""
    if config is None and (data is None or node_id is None):
        raise CommandFailed("give --config, or both --data and --node-id", ExitCode.USAGE)
    voters = parse_voters(",".join(voter_texts)) if voter_texts else ()
    if config is not None:
        settings = load(config, ())
        data = data or Path(settings.text("log.dirs"))
        node_id = settings.integer("node.id") if node_id is None else node_id
        voters = voters or _configured(settings.static.get("controller.quorum.voters"))
    if not voters:
        raise CommandFailed(
            "no voters are given, so the broker could never find a cluster: give --voter for each "
            "of them (or controller.quorum.voters), as on every other broker",
            ExitCode.USAGE,
        )
    assert data is not None
    assert node_id is not None
    own = own_directory(directory_id, node_id, voters)
    wanted = Properties(cluster_id, node_id, own, voters, recovery)
    drawn = directory_id is None and own not in {voter.directory_id for voter in voters}
    format_directory(data, wanted, ignore_formatted=ignore_formatted, any_id=drawn)
    emit_record(output, describe_directory(data))


@storage.command(epilog="Example: quorate storage show /var/lib/quorate")
@click.argument("data", type=click.Path(exists=True, file_okay=False, path_type=Path))
@output_option
def show(data: Path, output: str) -> None:
    """Show what a directory was formatted with."""
    emit_record(output, describe_directory(data))


def _configured(text: str | None) -> tuple[Voter, ...]:
    return () if text is None else parse_voters(text)


def own_directory(given: str | None, node: int, voters: tuple[Voter, ...]) -> bytes:
    """This directory's id: as given, as the voters say, or new (then it is no voter's)."""
    named = {voter.node_id: voter.directory_id for voter in voters}
    if given == "new":
        return secrets.token_bytes(16)
    if given is None:
        return named.get(node) or secrets.token_bytes(16)
    try:
        directory = bytes.fromhex(given)
    except ValueError:
        directory = b""
    if len(directory) != 16:
        raise CommandFailed(
            f"--directory-id {given!r} is not 32 hexadecimal digits", ExitCode.USAGE
        )
    if node in named and named[node] != directory:
        raise CommandFailed(
            f"--directory-id contradicts --voter: for node {node} that says {named[node].hex()}",
            ExitCode.USAGE,
        )
    return directory
