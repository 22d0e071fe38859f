"""Writes and reads a data directory's meta.properties for the commands that format."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

from cli.exits import CommandFailed, ExitCode
from raftlog.disk.acquaintances import FORMATTING_BYTES
from raftlog.disk.fs import OsFileSystem
from raftlog.disk.properties import (
    FILE_NAME,
    Properties,
    Voter,
    encode_properties,
    read_properties,
    write_properties,
)
from raftlog.errors import Misconfigured


def parse_voters(text: str) -> tuple[Voter, ...]:
    """`node@host:port:directory,...` as in controller.quorum.voters; CommandFailed (USAGE)."""
    from metadata.configs.addresses import parse_voters as parse

    try:
        parsed = parse(text)
    except ValueError as error:
        raise CommandFailed(f"voters: {error}", ExitCode.USAGE) from error
    voters: list[Voter] = []
    for voter in parsed:
        if voter.directory is None:
            raise CommandFailed(
                f"voter {voter.node} has no directory id: write "
                f"{voter.node}@{voter.host}:{voter.port}:DIRECTORY "
                "(`quorate storage random-id` draws one)",
                ExitCode.USAGE,
            )
        same = [other.node_id for other in voters if other.directory_id == voter.directory]
        if same:
            raise CommandFailed(
                f"voters {same[0]} and {voter.node} have the same directory id: draw one for each "
                "(`quorate storage random-id`)",
                ExitCode.USAGE,
            )
        voters.append(Voter(voter.node, voter.directory, voter.host, voter.port))
    return tuple(voters)


def format_directory(
    data: Path, wanted: Properties, *, ignore_formatted: bool, any_id: bool = False
) -> None:
    """Create `data` if need be and make it what `wanted` says.

    A directory that is formatted already is refused (CommandFailed, PRECONDITION), unless
    `ignore_formatted` and it says the same. `any_id`: the directory's id was drawn just now, so
    that of the first time is as good.
    """
    try:
        # Checked first, so that a mistake leaves no empty directory behind.
        encode_properties(wanted)
        data.mkdir(parents=True, exist_ok=True)
        fs = OsFileSystem(data)
        if not fs.exists(FILE_NAME):
            write_properties(fs, wanted._replace(formatting=secrets.token_bytes(FORMATTING_BYTES)))
            return
        found = read_properties(fs)
    except ValueError as error:
        raise CommandFailed(f"cannot format {data}: {error}", ExitCode.USAGE) from error
    except (Misconfigured, OSError) as error:
        raise CommandFailed(f"cannot format {data}: {error}", ExitCode.PRECONDITION) from error
    found = found._replace(formatting=b"")  # each formatting has its own
    if any_id and not any(voter.directory_id == found.directory_id for voter in found.voters):
        wanted = wanted._replace(directory_id=found.directory_id)
    if found == wanted and not ignore_formatted:
        raise CommandFailed(
            f"{data} is formatted already, just like this: its broker can be started "
            "(--ignore-formatted makes that a success)",
            ExitCode.PRECONDITION,
        )
    if found != wanted:
        raise CommandFailed(
            f"{data} is formatted already, and differently in: {_difference(found, wanted)}; "
            "use another directory, or remove this one to give up its data",
            ExitCode.PRECONDITION,
        )


def describe_directory(data: Path) -> dict[str, Any]:
    """What the directory was formatted with; CommandFailed (PRECONDITION) when it was not."""
    try:
        found = read_properties(OsFileSystem(data))
    except (Misconfigured, OSError) as error:
        raise CommandFailed(f"{data}: {error}", ExitCode.PRECONDITION) from error
    return {
        "data": str(data),
        "format_version": found.format_version,
        "cluster_id": found.cluster_id,
        "node_id": found.node_id,
        "directory_id": found.directory_id.hex(),
        "voter": any(
            (voter.node_id, voter.directory_id) == (found.node_id, found.directory_id)
            for voter in found.voters
        ),
        "voters": [str(voter) for voter in found.voters],
        "recovery": found.recovery or None,
        "formatting": found.formatting.hex() or None,
        "abandoned": [f"{node}:{directory.hex()}" for node, directory in found.abandoned],
    }


def _difference(found: Properties, wanted: Properties) -> str:
    names = (name for name in Properties._fields if getattr(found, name) != getattr(wanted, name))
    return ", ".join(name.replace("_", " ") for name in names)
