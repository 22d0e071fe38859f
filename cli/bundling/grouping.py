"""Consumer groups, described as `quorate group describe` does, as many as there is time for."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from cli import clients
from cli.context import Target
from cli.exits import CommandFailed

GROUPS_MAX = 500
NAME = "cluster/groups.json"
"""In the archive."""


def collect(
    target: Target, miss: Callable[[str, str], None], limit_s: float
) -> list[dict[str, Any]]:
    """A document per group; `miss(what, why)` hears what is not in it.

    `target` names brokers that answer, and how long one request may take. A group that is not
    described any more when `limit_s` are over is there with its name and state only.
    """
    from cli.groups import describe, listing

    deadline = time.monotonic() + limit_s
    try:
        client = clients.admin(target)
        rows, failures = listing(client, target)
    except CommandFailed as failure:
        miss(NAME, failure.message)
        return []
    for failure_text in failures:
        miss(NAME, f"a broker's groups are missing: {failure_text}")
    documents, undescribed = [], 0
    for number, row in enumerate(rows):
        if number >= GROUPS_MAX or time.monotonic() > deadline:
            undescribed += 1
            documents.append(dict(row))
            continue
        try:
            documents.append({**row, **without_metadata(describe(client, row["group"], target))})
        except CommandFailed as failure:
            documents.append({**row, "failures": [failure.message]})
    if undescribed:
        miss(NAME, f"{undescribed} of {len(rows)} groups are named, not described")
    return documents


def without_metadata(document: dict[str, Any]) -> dict[str, Any]:
    """What clients stored beside their offsets may be anything: it stays where it is."""
    rows = [{k: v for k, v in row.items() if k != "metadata"} for row in document["offsets"]]
    return {**document, "offsets": rows}
