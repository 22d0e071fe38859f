"""Is this broker ready for clients, and if not, why."""

from __future__ import annotations

import json
from typing import NamedTuple


class Facts(NamedTuple):
    """What the verdict is made of, as of now."""

    registered: bool
    """The image here holds this process's registration, and it is not fenced."""
    controller: int | None
    """The controller's node, if one is known and connected."""
    offline: tuple[str, ...]
    """Copies out of service here, as `topic-partition`."""
    draining: bool
    disk_nearly_full: bool


class Verdict(NamedTuple):
    """Ready when there is nothing against it."""

    reasons: tuple[str, ...]
    """Sentences."""

    @property
    def ready(self) -> bool:
        """Is there nothing against it?"""
        return not self.reasons


OFFLINE_SHOWN = 5


def verdict(facts: Facts) -> Verdict:
    """Everything that speaks against sending clients to this broker."""
    reasons = []
    if facts.draining:
        reasons.append("the broker is stopping or drained, and hands its leaderships over")
    if not facts.registered:
        reasons.append("the broker is not registered with the controller, or is fenced")
    if facts.controller is None:
        reasons.append(
            "the metadata quorum is not reachable: no controller is known and connected; is a "
            "majority of the voters running?"
        )
    if facts.offline:
        shown = ", ".join(facts.offline[:OFFLINE_SHOWN])
        more = len(facts.offline) - OFFLINE_SHOWN
        rest = f" and {more} more" if more > 0 else ""
        reasons.append(f"replicas are offline here: {shown}{rest}; see the broker's log")
    if facts.disk_nearly_full:
        reasons.append("the disk of log.dirs is nearly full (log.dirs.free.bytes.min)")
    return Verdict(tuple(reasons))


def as_text(found: Verdict) -> str:
    """For people: `ready`, or one reason a line."""
    if found.ready:
        return "ready\n"
    return "".join(f"not ready: {reason}\n" for reason in found.reasons)


def as_json(found: Verdict) -> str:
    """For programs."""
    return json.dumps({"ready": found.ready, "reasons": list(found.reasons)}) + "\n"
