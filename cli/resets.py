"""Where a group's offsets are to be moved: what was asked for, and what it comes to."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from cli.context import Target
from cli.exits import CommandFailed
from cli.groups import Committed
from cli.places import Place, positions

if TYPE_CHECKING:
    from confluent_kafka.admin import AdminClient

_DURATION = re.compile(
    r"P(?=.)(?:(\d{1,9})D)?(?:T(?=.)(?:(\d{1,9})H)?(?:(\d{1,9})M)?(?:(\d{1,9}(?:\.\d{1,9})?)S)?)?"
)


class Goal(NamedTuple):
    """What was asked for."""

    kind: str
    """earliest, latest, current, offset, shift or time."""
    number: int = 0
    """The offset, the shift, or the time in ms since 1970."""


class Move(NamedTuple):
    """One partition's."""

    old: int | None
    new: int
    remark: str | None
    """Why it is not exactly what was asked for."""


class Moment(click.ParamType[int]):
    """An ISO date and time, as ms since 1970; UTC when it has no zone, as in Kafka's tool."""

    name = "YYYY-MM-DDTHH:MM:SS[.mmm][zone]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Parse."""
        if isinstance(value, int):
            return value
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is not like 2026-11-28T13:30:00 or ...+02:00", param, ctx)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        milliseconds = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
        if milliseconds < 0:
            self.fail(f"{value!r} is before 1970", param, ctx)
        return milliseconds


class Duration(click.ParamType[int]):
    """An ISO duration of days, hours, minutes and seconds (PnDTnHnMnS), as ms."""

    name = "PnDTnHnMnS"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Parse."""
        if isinstance(value, int):
            return value
        found = _DURATION.fullmatch(str(value).upper())
        if found is None:
            self.fail(f"{value!r} is not like P1D, PT30M or P1DT12H", param, ctx)
        days, hours, minutes, seconds = (float(part or 0) for part in found.groups())
        return int((((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1000)


def ago(duration_ms: int) -> Goal:
    """The time so long before now; 1970 at the earliest."""
    return Goal("time", max(0, time.time_ns() // 1_000_000 - duration_ms))


def moves(
    client: AdminClient,
    goal: Goal,
    places: Iterable[Place],
    current: Mapping[Place, Committed],
    target: Target,
) -> dict[Place, Move]:
    """What becomes of each place; CommandFailed when that cannot be known for all of them."""
    from confluent_kafka.admin import OffsetSpec

    wanted = list(places)
    begins = positions(client, dict.fromkeys(wanted, OffsetSpec.earliest()), target).required()
    ends = positions(client, dict.fromkeys(wanted, OffsetSpec.latest()), target).required()
    times: dict[Place, int] = {}
    if goal.kind == "time":
        spec = OffsetSpec.for_timestamp(goal.number)
        times = positions(client, dict.fromkeys(wanted, spec), target).required()
    found = {}
    for place in wanted:
        old = current[place].offset if place in current else None
        found[place] = move(goal, place, old, (begins[place], ends[place]), times.get(place, -1))
    return found


def move(goal: Goal, place: Place, old: int | None, log: tuple[int, int], at_time: int) -> Move:
    """Pure. `log` is where the partition begins and ends, `at_time` what it has at the goal's time.

    -1: nothing that late; then the end is meant.
    """
    begin, end = log
    if goal.kind == "earliest":
        return Move(old, begin, None)
    if goal.kind == "latest":
        return Move(old, end, None)
    if goal.kind == "time":
        late = "no record is that late: the end" if at_time < 0 else None
        return Move(old, end if at_time < 0 else at_time, late)
    if goal.kind == "current":
        if old is None:
            return Move(None, end, "nothing was committed: the end")
        return Move(old, old, None)
    if goal.kind == "shift":
        if old is None:
            raise CommandFailed(
                f"{place[0]} {place[1]}: nothing is committed that could be shifted; leave it out, "
                "or use --to-offset"
            )
        return _within(old, old + goal.number, begin, end)
    return _within(old, goal.number, begin, end)


def _within(old: int | None, new: int, begin: int, end: int) -> Move:
    if new < begin:
        return Move(old, begin, f"{new} is below the first offset")
    if new > end:
        return Move(old, end, f"{new} is above the end")
    return Move(old, new, None)
