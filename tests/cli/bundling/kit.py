"""Looking into an archive."""

from __future__ import annotations

import tarfile
from pathlib import Path


def unpacked(path: Path) -> dict[str, bytes]:
    """Every member's content by its name, without the directory that they are all in."""
    found = {}
    with tarfile.open(path) as tar:
        for member in tar.getmembers():
            assert member.isfile()
            file = tar.extractfile(member)
            assert file is not None
            found[member.name.partition("/")[2]] = file.read()
    return found
