"""Where on this machine brokers keep things: from `quorate dev`, from directories, from files."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from os.path import realpath
from pathlib import Path
from typing import Any

from cli.bundling.redaction import flat
from cli.context import Address
from cli.dev import plan as plans
from cli.dev import temporary
from cli.dumping.readonly import ReadOnlyFile
from cli.exits import CommandFailed
from raftlog.disk.properties import FILE_NAME

SETTINGS_BYTES_MAX = 1 << 20
BESIDE = ("broker.toml", "broker.log")
"""As `quorate dev` names them, in the directory that holds a data directory."""


@dataclass(frozen=True, slots=True)
class Place:
    """One broker's things; None is for what is not known."""

    name: str
    """In the archive."""
    data: Path | None = None
    config: Path | None = None
    log: Path | None = None
    admin: Address | None = None
    kafka: Address | None = None


def find(
    directories: Iterable[Path], configs: Iterable[Path], bootstrap: Iterable[Address]
) -> list[Place]:
    """All that is named, and what a `quorate dev` that runs on one of the addresses keeps."""
    found = [place for directory in directories for place in of_directory(directory)]
    for config in configs:
        _merge(found, of_config(config))
    wanted = set(bootstrap)
    for root in temporary.running():
        places = of_directory(root)
        if any(place.kafka in wanted for place in places):
            for place in places:
                _merge(found, place)
    return found


def of_directory(directory: Path) -> list[Place]:
    """A data directory's, or those of all brokers in a directory of `quorate dev`."""
    plan_file = directory / plans.PLAN_FILE
    if plan_file.is_file() and not (directory / FILE_NAME).exists():
        try:
            brokers = plans.load(plan_file).brokers
        except CommandFailed:
            brokers = ()
        if brokers:
            return [
                Place(f"broker-{b.id}", b.data, b.config, b.log, b.admin, b.kafka) for b in brokers
            ]
    config, log = (directory.absolute().parent / name for name in BESIDE)
    place = Place(directory.absolute().name or "data", directory)
    if config.is_file():
        place = replace(of_config(config), name=place.name, data=directory)
    return [replace(place, log=log if log.is_file() else None)]


def of_config(config: Path) -> Place:
    """A settings file's: it says where the data is, and where the admin port."""
    place = Place(config.stem, config=config)
    try:
        table = dict(flat(tomllib.loads(read_settings(config))))
    except (OSError, ValueError, RecursionError):
        return place
    data = table.get("log.dirs", table.get("log.dir"))
    return replace(
        place,
        data=Path(data) if isinstance(data, str) and data else None,
        admin=address_of(table.get("admin.listener")),
    )


def read_settings(config: Path) -> str:
    """A settings file's text; OSError, ValueError when it is no text or implausibly long."""
    file = ReadOnlyFile(config)
    try:
        data = file.pread(SETTINGS_BYTES_MAX + 1, 0)
    finally:
        file.close()
    if len(data) > SETTINGS_BYTES_MAX:
        raise ValueError(f"more than {SETTINGS_BYTES_MAX} bytes: not a settings file")
    return data.decode()


def address_of(text: Any) -> Address | None:
    """`host:port`, with or without `http://` before and a path behind; None for anything else."""
    if not isinstance(text, str):
        return None
    place = text.removeprefix("http://").partition("/")[0]
    host, colon, port = place.rpartition(":")
    if not colon or not host or not port.isdecimal() or not 0 < int(port) < 65536:
        return None
    return Address(host.strip("[]"), int(port))


def _merge(found: list[Place], place: Place) -> None:
    """Add it, or what it knows more of a data directory that is there already."""
    for number, there in enumerate(found):
        if _same(there.data, place.data):
            found[number] = Place(
                there.name,
                there.data,
                place.config or there.config,
                there.log or place.log,
                there.admin or place.admin,
                there.kafka or place.kafka,
            )
            return
    found.append(place)


def _same(one: Path | None, other: Path | None) -> bool:
    return one is not None and other is not None and realpath(one) == realpath(other)
