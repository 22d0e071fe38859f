"""A broker's directory without a broker."""

from __future__ import annotations

from pathlib import Path

import pytest

from raftlog.disk.fs import OsFileSystem
from raftlog.disk.properties import Properties, write_properties


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A formatted directory with a segment in it, and settings and a log beside it."""
    root = tmp_path / "broker-1" / "data"
    root.mkdir(parents=True)
    write_properties(OsFileSystem(root, sync=False), Properties("cluster", 1, bytes(16)))
    segment = root / "partitions" / "1-orders-0"
    segment.mkdir(parents=True)
    (segment / "00000000000000000000.log").write_bytes(b"MESSAGE" * 100)
    (root.parent / "broker.toml").write_text(
        f'"log.dirs" = "{root}"\n"admin.listener" = "127.0.0.1:1"\n"ssl.password" = "hunter2"\n'
    )
    (root.parent / "broker.log").write_text("started\npassword=hunter2\n")
    return root
