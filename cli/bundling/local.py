"""What one broker has on this machine's disk: settings, identity, files, damage, ends of logs."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cli.bundling import redaction
from cli.bundling.contents import Contents
from cli.bundling.places import Place, read_settings
from cli.dumping.directory import Question
from cli.dumping.directory import dump as lines
from cli.dumping.readonly import ReadOnlyFile, lock_holder
from cli.dumping.trust import WAL, root_of
from metadata.configs.table import ALIASES, BROKER_CONFIGS
from raftlog.disk.acquaintances import FILE_NAME as ACQUAINTANCES
from raftlog.disk.properties import FILE_NAME, LOCK_NAME

LOG_BYTES_MAX = 1 << 20
"""From the end of each log."""
FILES_MAX = 20_000
"""Of one directory's listing."""
DAMAGE_S = 10.0
"""How long a directory is looked through for damage."""
DAMAGE_LINES_MAX = 1_000
IDENTITY = (FILE_NAME, ACQUAINTANCES)
"""Whose directory it is, and which others it has met: text without secrets."""
IDENTITY_BYTES_MAX = 1 << 20


def describe(contents: Contents, place: Place) -> None:
    """All but the log."""
    below = f"local/{place.name}"
    if place.config is not None:
        try:
            known = {**BROKER_CONFIGS, **ALIASES}
            found = redaction.settings(read_settings(place.config), known)
            contents.add_json(f"{below}/settings.json", {"file": str(place.config), **found})
        except (OSError, ValueError) as error:
            contents.miss(f"{below}/settings.json", _reason(place.config, error))
    if place.data is not None:
        _directory(contents, below, place.data)


def _directory(contents: Contents, below: str, data: Path) -> None:
    if not data.is_dir():
        contents.miss(f"{below}/files.json", f"{data}: there is no such directory")
        return
    for name in IDENTITY:
        if name != FILE_NAME and not (data / name).exists():
            continue  # a broker that never met another has no such file
        try:
            if (data / name).is_symlink():
                raise ValueError("a link: it may stand for any file")
            contents.add(f"{below}/{name}", _read(data / name, IDENTITY_BYTES_MAX))
        except (OSError, ValueError) as error:
            contents.miss(f"{below}/{name}", _reason(data / name, error))
    try:
        contents.add_json(f"{below}/files.json", listing(data))
        contents.add_json(f"{below}/damage.json", damage(data))
    except OSError as error:
        contents.miss(f"{below}/files.json", _reason(data, error))


def listing(data: Path, most: int = FILES_MAX) -> dict[str, Any]:
    """Every file below, with its length in bytes and when it changed; links are not followed."""
    rows: list[dict[str, Any]] = []
    cut = False
    for row in _files(data):
        if len(rows) == most:
            cut = True
            break
        rows.append(row)
    return {"directory": str(data), "cut": cut, "files": rows}


def _files(data: Path) -> Iterator[dict[str, Any]]:
    for above, directories, names in os.walk(data):
        directories.sort()
        for name in sorted(names):
            path = Path(above, name)
            try:
                about = path.lstat()
            except OSError:  # removed in the meantime
                continue
            yield {
                "name": str(path.relative_to(data)),
                "bytes": about.st_size,
                "allocated_bytes": about.st_blocks * 512,
                "changed_at": datetime.fromtimestamp(about.st_mtime, UTC).isoformat(),
            }


def damage(data: Path, limit_s: float = DAMAGE_S) -> dict[str, Any]:
    """What `quorate log dump --damage` finds in `limit_s`; nothing while a broker writes there."""
    found: dict[str, Any] = {"looked_through": "nothing", "damaged": []}
    holder = lock_holder(data / LOCK_NAME)
    if holder is not None:
        return {**found, "why": f"a broker runs on it (process {holder})"}
    began, root = time.monotonic(), root_of(data)
    if root is None or root.path != data.resolve():
        return {**found, "why": f"no broker's directory: neither {FILE_NAME} nor {WAL}.used"}
    rows: list[dict[str, Any]] = found["damaged"]
    for line in lines(data, root, Question()):
        if line.damage is not None:
            rows.append({"file": line.file, "at": line.at, "damage": line.damage})
        if len(rows) >= DAMAGE_LINES_MAX or time.monotonic() - began > limit_s:
            why = f"stopped in {line.file}, after {time.monotonic() - began:.0f} s"
            return {**found, "looked_through": "a part", "why": why}
    return {**found, "looked_through": "everything", "why": None}


def add_log(contents: Contents, below: str, log: Path) -> None:
    """The end of a broker's log."""
    name = f"{below}/{log.name}"
    try:
        data, of_bytes = tail(log)
    except (OSError, ValueError) as error:
        contents.miss(name, _reason(log, error))
        return
    contents.add(name, data, of_bytes)


def tail(log: Path, most: int = LOG_BYTES_MAX) -> tuple[bytes, int]:
    """(whole lines at the end of a log, secrets hidden; the file's length in bytes).

    Raises ValueError for what is no log: a file below a broker's data directory, or one that holds
    zero bytes. A partition's segments are named `.log` too, and they hold records.
    """
    for above in Path(os.path.realpath(log)).parents:
        if (above / FILE_NAME).exists() or (above / f"{WAL}.used").exists():
            raise ValueError(f"a file of the data directory {above}, not a log")
    file = ReadOnlyFile(log)
    try:
        size = file.size()
        data = file.pread(most, max(0, size - most))
    finally:
        file.close()
    if b"\0" in data:
        raise ValueError("it holds zero bytes: not a log")
    if size > most:
        data = data.partition(b"\n")[2]
    return redaction.log_text(data.decode(errors="replace")).encode(), size


def _read(path: Path, most: int) -> bytes:
    file = ReadOnlyFile(path)
    try:
        return file.pread(most, 0)
    finally:
        file.close()


def _reason(path: Path, error: Exception) -> str:
    if isinstance(error, OSError):
        return f"{path}: {(error.strerror or str(error)).lower()}"
    return f"{path}: {error}"
