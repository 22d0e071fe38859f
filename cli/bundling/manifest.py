"""What an archive says of itself: versions, the machine, what is in it, and what is not."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping
from datetime import datetime
from importlib import metadata
from typing import Any

from cli.bundling.contents import Contents, Member

FORMAT = 1
NAME = "manifest.json"
LIBRARIES = ("trio", "cbor2", "click", "confluent-kafka", "crc32c", "cramjam", "lz4", "msgspec")


def build(
    contents: Contents, cluster: str | None, asked: Mapping[str, Any], made: datetime
) -> dict[str, Any]:
    """The document. `cluster` is its id, `asked` what the command was told to look at."""
    return {
        "format": FORMAT,
        "made_at": made.isoformat(timespec="seconds"),
        "cluster_id": cluster,
        "quorate": version_of("quorate") or "a source tree that is not installed",
        "python": sys.version,
        "libraries": {name: version_of(name) for name in LIBRARIES},
        "machine": machine(),
        "asked": dict(asked),
        "files": [member.row() for member in contents.members],
        "missing": contents.missing,
    }


def member(document: Mapping[str, Any]) -> Member:
    """The manifest as a file of the archive; limits do not apply to it."""
    whole = Contents(1 << 40)
    whole.add_json(NAME, document)
    return whole.members[0]


def version_of(name: str) -> str | None:
    """Of an installed distribution."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def machine() -> dict[str, Any]:
    """The operating system, its kernel and the processors. No host name, no user's."""
    return {
        "system": platform.system(),
        "kernel": platform.release(),
        "kernel_version": platform.version(),
        "architecture": platform.machine(),
        "distribution": _distribution(),
        "processors": os.cpu_count(),
        "libc": " ".join(platform.libc_ver()).strip() or None,
    }


def _distribution() -> str | None:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME")
    except OSError:
        return None
