"""A sweep that can be interrupted: what is done is kept in a file and the rest goes on from there.

The file is one JSON object, replaced as a whole. It holds the totals, too, so that what is said
at the end is about all seeds and not only about those of the last run.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

from raftlog.errors import Misconfigured
from raftlog.testing.runner import Summary

FORMAT = 1
NUMBERS = ("seeds", "events", "simulated_us", "commits", "terms")
COUNTERS = ("operations", "probes")


class Progress:
    """The state of one sweep: `summary` so far, and `save` after more seeds."""

    def __init__(self, path: Path, sweep: dict[str, Any]) -> None:
        """`sweep` says what is run (JSON values); Misconfigured when the file is of another."""
        self._path = path
        self._sweep = sweep
        self.summary = Summary()
        if path.exists():
            self._load()

    def _load(self) -> None:
        try:
            kept = json.loads(self._path.read_text(encoding="utf-8"))
            if kept["format"] != FORMAT:
                raise ValueError(f"format {kept['format']!r}")
            sweep = kept["sweep"]
            for name in NUMBERS:
                setattr(self.summary, name, int(kept[name]))
            for name in COUNTERS:
                setattr(self.summary, name, Counter(kept[name]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise Misconfigured(f"{self._path} keeps no sweep that can go on: {error}") from error
        if sweep != self._sweep:
            raise Misconfigured(
                f"{self._path} is of another sweep ({sweep}, asked for is {self._sweep}); "
                "use another file"
            )

    def save(self) -> None:
        """Keep the totals; the first `summary.seeds` seeds are done and held."""
        kept: dict[str, Any] = {"format": FORMAT, "sweep": self._sweep}
        kept |= {name: getattr(self.summary, name) for name in NUMBERS}
        kept |= {name: dict(sorted(getattr(self.summary, name).items())) for name in COUNTERS}
        fresh = self._path.with_name(self._path.name + ".new")
        fresh.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
        os.replace(fresh, self._path)
