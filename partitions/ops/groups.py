"""Rows of consumer groups: what the coordinators here know, beside the high watermarks here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from heapq import nsmallest
from itertools import islice
from typing import NamedTuple

from partitions.coordinators.groups.coordinator import Coordinator, State
from partitions.ops.exposition import Row, Rows, one
from partitions.ops.sources import Sources

GROUPS_MAX = 1000
"""Groups with rows of their own, the first by name."""
GROUP_ID_MAX = 255
"""Characters; a group with a longer name has no rows."""
OFFSETS_MAX = 5000
"""Committed offsets with rows of their own, four each with the aliases."""
PAUSE_EVERY = 100
"""Groups that are looked at before others have their turn."""


class Position(NamedTuple):
    """One committed offset."""

    group: str
    topic: str
    partition: int
    offset: int
    lag: int | None
    """Records, as of this broker's copy of the partition; None: it has none."""


@dataclass
class GroupSurvey:
    """The groups that this broker speaks for."""

    coordinators: dict[str, int] = field(default_factory=dict)
    """How many there are in each state."""
    groups: int = 0
    members: dict[str, int] = field(default_factory=dict)
    """At most GROUPS_MAX."""
    positions: list[Position] = field(default_factory=list)
    """At most OFFSETS_MAX; of a group that has more, those in the order of their first commit."""
    left_out: dict[str, int] = field(default_factory=dict)


def survey_groups(sources: Sources, into: GroupSurvey) -> Iterator[None]:
    """Look at every coordinator here; yields where others may have their turn."""
    by_state = sources.groups.by_state()
    into.coordinators = {s.value: len(c) for s, c in by_state.items() if s is not State.CLOSED}
    first: list[tuple[str, Coordinator]] = []
    for coordinator in by_state[State.ACTIVE]:
        yield
        into.groups += len(coordinator)
        ids = nsmallest(GROUPS_MAX, (g for g in coordinator.ids() if len(g) <= GROUP_ID_MAX))
        first = nsmallest(GROUPS_MAX, [*first, *[(each, coordinator) for each in ids]], _by_name)
    left_out = 0
    for number, (group_id, coordinator) in enumerate(first):
        if number % PAUSE_EVERY == PAUSE_EVERY - 1:
            yield
        into.members[group_id] = coordinator.members(group_id)
        offsets = coordinator.offsets(group_id)
        room = OFFSETS_MAX - len(into.positions)
        left_out += max(0, len(offsets) - room)
        for (topic, partition), committed in islice(offsets.items(), room):
            lag = _lag(sources, topic, partition, committed.offset)
            into.positions.append(Position(group_id, topic, partition, committed.offset, lag))
    into.left_out = {"groups": into.groups - len(first), "group_offsets": left_out}


def _by_name(found: tuple[str, Coordinator]) -> str:
    return found[0]


def _lag(sources: Sources, topic: str, partition: int, offset: int) -> int | None:
    about = sources.metadata.image.topic(topic)
    replica = None if about is None else sources.manager.replica(about.topic_id, partition)
    return None if replica is None else max(0, replica.high_watermark - offset)


def rows(seen: GroupSurvey) -> Iterator[Rows]:
    """The section's rows."""
    states = [((state,), count) for state, count in seen.coordinators.items()]
    yield Rows("quorate_group_coordinators", lambda: states)
    yield one("quorate_groups", seen.groups)
    yield Rows("quorate_group_members", lambda: (((g,), n) for g, n in seen.members.items()))
    yield _of(seen, "quorate_group_committed_offset", lambda position: position.offset)
    yield _of(seen, "quorate_group_lag", lambda position: position.lag)


def _of(seen: GroupSurvey, name: str, value: Callable[[Position], int | None]) -> Rows:
    def make() -> Iterator[Row]:
        for each in seen.positions:
            found = value(each)
            if found is not None:
                yield (each.group, each.topic, str(each.partition)), found

    return Rows(name, make)
