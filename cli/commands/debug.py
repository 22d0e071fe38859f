"""`quorate debug`: what to attach to a report."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.clients import refuse_client_settings
from cli.context import Address, Target, output_option, target_options
from cli.exits import CommandFailed, ExitCode
from cli.output import emit_json, emit_rows, note

if TYPE_CHECKING:
    from cli.bundling.collecting import Found, Wish
    from cli.bundling.contents import Contents

DEFAULT_LIMIT_MIB = 64
MISSING_SHOWN = 20


class AdminUrl(click.ParamType[Address]):
    """`http://host:port`, or `host:port`."""

    name = "url"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Address:
        """Parse, or fail."""
        from cli.bundling.places import address_of

        found = value if isinstance(value, Address) else address_of(value)
        if found is None:
            self.fail(f"{value!r} is not http://host:port", param, ctx)
        return found


@click.group()
def debug() -> None:
    """Collect what a report of a misbehaving cluster needs."""


@debug.command(
    epilog="Example: quorate debug bundle -b broker1:9092,broker2:9092 "
    "--admin http://broker1:9644 --config /etc/quorate/1.toml --log-file /var/log/quorate.log"
)
@click.option(
    "--output-file",
    "path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The archive to make; one that is there is not overwritten. "
    "[default: quorate-debug-CLUSTER-TIME.tar.gz, here]",
)
@click.option(
    "--admin",
    type=AdminUrl(),
    multiple=True,
    help="An admin port, http://host:port: /livez, /readyz and /metrics. May be repeated.",
)
@click.option(
    "--data-dir",
    "directories",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A broker's data directory on this machine, or the --data directory of `quorate dev`. "
    "May be repeated.",
)
@click.option(
    "--config",
    "configs",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A broker's settings file: it is put in, and its data directory and admin port are looked "
    "at. May be repeated.",
)
@click.option(
    "--log-file",
    "logs",
    multiple=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="A broker's log: its last MiB is put in. May be repeated.",
)
@click.option(
    "--size-limit",
    "limit_mib",
    type=click.IntRange(1, 1024),
    default=DEFAULT_LIMIT_MIB,
    show_default=True,
    metavar="MIB",
    help="How much is put in at most, before compression.",
)
@output_option
@target_options
@click.pass_context
def bundle(
    ctx: click.Context,
    path: Path | None,
    admin: tuple[Address, ...],
    directories: tuple[Path, ...],
    configs: tuple[Path, ...],
    logs: tuple[Path, ...],
    limit_mib: int,
    output: str,
    target: Target,
) -> None:
    """Make one .tar.gz of what a cluster and this machine tell, for a report of a problem.

    Every broker is asked, for --timeout at most: who is there, the metadata quorum, topics,
    settings that are not defaults, log directories; and all consumer groups. Of directories named
    here: settings, files with their sizes, damage, the end of the log. What a `quorate dev` on this
    machine keeps is found without being named.

    Messages are never put in, nor the values of settings that are called a password, secret, token
    or key. Names of topics, groups, clients and hosts are; look through it before you send it.

    What cannot be had is listed in manifest.json, and the bundle is made anyhow: exit code 1. When
    no broker answered at all it is 3 or 4.
    """
    refuse_client_settings(target, "debug bundle")
    from cli.bundling.collecting import Wish, collect
    from cli.bundling.contents import Contents

    if path is not None:
        _check(path)
    made = datetime.now(UTC)
    contents = Contents(limit_mib << 20)
    wish = Wish(target, admin, directories, configs, logs)
    found = collect(contents, wish)
    document = _write(path, contents, wish, found, made)
    if output == "json":
        emit_json(document)
    else:
        _emit_table(document)
    ctx.exit(_exit_code(found, contents.missing))


def _check(path: Path) -> None:
    """Before anybody waits for the answers of brokers."""
    if path.exists() or path.is_symlink():
        raise _there_already(path)
    if not path.absolute().parent.is_dir():
        raise CommandFailed(
            f"{path.absolute().parent} is no directory; give another --output-file",
            ExitCode.PRECONDITION,
        )


def _there_already(path: Path) -> CommandFailed:
    return CommandFailed(
        f"{path} is there already; give another --output-file", ExitCode.PRECONDITION
    )


def _write(
    path: Path | None, contents: Contents, wish: Wish, found: Found, made: datetime
) -> dict[str, Any]:
    """Make the archive; the manifest, with where the archive is and its length in bytes."""
    from cli.bundling import contents as archive
    from cli.bundling import manifest

    cluster = cluster_of(found)
    document = manifest.build(contents, cluster, wish.row(), made)
    root = f"quorate-debug-{cluster or 'unknown'}-{made:%Y%m%dT%H%M%SZ}".replace("/", "_")
    path = path or Path(f"{archive.safe_name(root)}.tar.gz")
    members = [manifest.member(document), *contents.members]
    try:
        size = archive.write(path, root, members, int(made.timestamp()))
    except FileExistsError as error:
        raise _there_already(path) from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise CommandFailed(f"cannot write {path}: {reason}; nothing is left of it") from error
    return {"bundle": str(path), "bundle_bytes": size, **document}


def cluster_of(found: Found) -> str | None:
    """The id that the first broker to answer gave."""
    from cli.survey import View

    views = (answer for answer in found.values() if isinstance(answer, View))
    return next((view.cluster_id for view in views if view.cluster_id), None)


def _exit_code(found: Found, missing: list[dict[str, str]]) -> ExitCode:
    from cli.commands.cluster import nobody_answers
    from cli.survey import View

    if not any(isinstance(answer, View) for answer in found.values()):
        failure = nobody_answers(found)
        note(f"quorate: {failure.message}")
        return ExitCode(failure.exit_code)
    return ExitCode.FAILED if missing else ExitCode.OK


def _emit_table(document: dict[str, Any]) -> None:
    rows = [{**row, "cut": row["bytes"] < row["of_bytes"]} for row in document["files"]]
    emit_rows("table", rows, {"name": "FILE", "bytes": "BYTES", "cut": "CUT"})
    click.echo(f"\n{document['bundle']} ({document['bundle_bytes']} bytes)")
    missing = document["missing"]
    for each in missing[:MISSING_SHOWN]:
        note(f"quorate: missing: {each['what']}: {each['why']}")
    if len(missing) > MISSING_SHOWN:
        note(f"quorate: {len(missing) - MISSING_SHOWN} more are missing: see manifest.json")
