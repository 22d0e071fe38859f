"""The ready file: for scripts, where the cluster is and which processes it consists of."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cli.dev.plan import Plan


def document(plan: Plan, pids: Mapping[int, int], down: Mapping[int, str]) -> dict[str, Any]:
    """The file's content.

    `pid` is null for a broker that is not running now; `down` says why one is not started
    (again), null for the others. `bootstrap` names all of them: a client tries one after another.
    """
    return {
        "bootstrap": plan.bootstrap,
        "cluster_id": plan.cluster_id,
        "brokers": [
            {
                "id": broker.id,
                "pid": pids.get(broker.id),
                "kafka": str(broker.kafka),
                "peer": str(broker.peer),
                "admin": str(broker.admin),
                "config": str(broker.config),
                "log": str(broker.log),
                "down": down.get(broker.id),
            }
            for broker in plan.brokers
        ],
    }


def write(path: Path, content: dict[str, Any]) -> None:
    """Replace the file in one step: a reader sees the old content or the new."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    temporary.replace(path)


def remove(path: Path) -> None:
    """The cluster is gone: so is the file that says where it is."""
    path.unlink(missing_ok=True)
