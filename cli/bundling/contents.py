"""The members of an archive: their names, their limits, and how they are written."""

from __future__ import annotations

import io
import json
import os
import re
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

ITEM_BYTES_MAX = 8 << 20
"""Of one member; what is longer is cut, and the manifest says so."""
MEMBERS_MAX = 5_000
MISSING_MAX = 1_000
PART_CHARACTERS_MAX = 100
MODE = 0o600
"""A bundle is the operator's to show."""

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")


class Member(NamedTuple):
    """One file of the archive."""

    name: str
    data: bytes
    of_bytes: int
    """What there was, before it was cut."""

    def row(self) -> dict[str, Any]:
        """As the manifest names it."""
        return {"name": self.name, "bytes": len(self.data), "of_bytes": self.of_bytes}


class Contents:
    """What goes into an archive, in memory, and what could not be had."""

    def __init__(self, limit_bytes: int) -> None:
        """`limit_bytes`: of all members together, before compression."""
        self.members: list[Member] = []
        self.missing: list[dict[str, str]] = []
        self._left = limit_bytes
        self._limit = limit_bytes
        self._names: set[str] = set()

    def add(self, name: str, data: bytes, of_bytes: int | None = None) -> None:
        """One more member, or a line that says why there is no room for it."""
        whole = len(data) if of_bytes is None else of_bytes
        data = data[:ITEM_BYTES_MAX]
        if len(data) > self._left or len(self.members) >= MEMBERS_MAX:
            self.miss(name, f"left out: the bundle's limit of {self._limit} bytes is reached")
            return
        self._left -= len(data)
        self.members.append(Member(self._unused(safe_name(name)), data, whole))

    def add_json(self, name: str, document: Any) -> None:
        """A document, a row on each line: what is left of one that was cut can still be read."""
        self.add(name, text_of(document).encode(errors="replace") + b"\n")

    def miss(self, what: str, why: str) -> None:
        """Something is not in the archive."""
        if len(self.missing) < MISSING_MAX:
            self.missing.append({"what": what, "why": why})

    def _unused(self, name: str) -> str:
        stem, count, unused = name, 1, name
        while unused in self._names:
            count += 1
            unused = f"{stem}-{count}"
        self._names.add(unused)
        return unused


def text_of(document: Any) -> str:
    """JSON, with line breaks between the rows of a list, and between the parts of a document."""
    if isinstance(document, list) and document:
        return "[\n" + ",\n".join(map(_dumps, document)) + "\n]"
    if isinstance(document, dict) and document:
        parts = (f"{_dumps(str(key))}: {_part(value)}" for key, value in document.items())
        return "{\n" + ",\n".join(parts) + "\n}"
    return _dumps(document)


def _part(value: Any) -> str:
    rows = isinstance(value, list) and bool(value) and isinstance(value[0], dict | list)
    return text_of(value) if rows else _dumps(value)


def _dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def safe_name(name: str) -> str:
    """A path that stays below where the archive is unpacked, in plain characters."""
    parts = (_UNSAFE.sub("_", part).lstrip(".") for part in name.split("/"))
    return "/".join(part[:PART_CHARACTERS_MAX] for part in parts if part) or "_"


def write(path: Path, root: str, members: Iterable[Member], made_s: int) -> int:
    """Make the file; returns its length in bytes. It must not be there (FileExistsError).

    `root` is the directory that all members are in, `made_s` their time (seconds since 1970). What
    was written of a file that cannot be finished is removed (OSError).
    """
    file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE), "wb")
    try:
        with file:
            with tarfile.open(fileobj=file, mode="w:gz", compresslevel=6) as archive:
                for member in members:
                    about = tarfile.TarInfo(f"{safe_name(root)}/{member.name}")
                    about.size, about.mtime, about.mode = len(member.data), made_s, MODE
                    archive.addfile(about, io.BytesIO(member.data))
            file.flush()
            return file.tell()
    except BaseException:
        path.unlink(missing_ok=True)
        raise
