"""`recovery.log` in the data directory: what was forced on it, for whoever wonders later.

One JSON object per line, appended and synced before and after each step; never read by a broker.
Beside it, the report of each forced step, which the other survivors are brought along with.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from raftlog.seams import FileSystem

LOG_NAME = "recovery.log"


def record(fs: FileSystem, wall_ms: int, step: str, facts: Mapping[str, Any]) -> None:
    """Append one line, durably. `wall_ms`: milliseconds since 1970 UTC."""
    when = datetime.fromtimestamp(wall_ms / 1000, UTC).isoformat(timespec="milliseconds")
    line = json.dumps({"time": when, "step": step, **facts}, ensure_ascii=False)
    file = fs.open(LOG_NAME, create=True)
    try:
        file.pwrite([line.encode() + b"\n"], file.size())
        file.sync()
    finally:
        file.close()
    fs.sync_directory("")


def keep_report(fs: FileSystem, wall_ms: int, text: str) -> str:
    """Write a report durably to a file of its own; the file's name."""
    when = datetime.fromtimestamp(wall_ms / 1000, UTC).strftime("%Y%m%dT%H%M%S.%f")[:-3]
    name = f"recovery-{when}.json"
    file = fs.open(name, create=True)
    try:
        file.truncate(0)
        file.pwrite([text.encode() + b"\n"], 0)
        file.sync()
    finally:
        file.close()
    fs.sync_directory("")
    return name
