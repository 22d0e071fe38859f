"""Places in topics (`topic[:partition,...]`), and where their logs begin and end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from cli import clients
from cli.context import Target
from cli.exits import CommandFailed, ExitCode

if TYPE_CHECKING:
    from confluent_kafka.admin import AdminClient, OffsetSpec

Place = tuple[str, int]
"""Topic and partition."""


class Wanted(NamedTuple):
    """What somebody named: some partitions of a topic, or all of them."""

    topic: str
    partitions: tuple[int, ...]
    """Empty: all."""


class PlaceType(click.ParamType[Wanted]):
    """`topic` or `topic:0,1,2`."""

    name = "topic[:partition,...]"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Wanted:
        """Parse, or fail with the part that is wrong. Names of topics hold no colon."""
        if isinstance(value, Wanted):
            return value
        topic, colon, numbers = str(value).partition(":")
        parts = numbers.split(",") if colon else []
        if not topic or not all(part.isdecimal() and int(part) < 2**31 for part in parts):
            self.fail(f"{value!r} is not topic or topic:0,1,2", param, ctx)
        return Wanted(topic, tuple(sorted({int(part) for part in parts})))


def existing(client: Any, wanted: Iterable[Wanted], target: Target) -> list[Place]:
    """Every place that is meant; CommandFailed for a topic or a partition that does not exist."""
    found = clients.metadata(client, target).topics
    places: set[Place] = set()
    for topic, partitions in wanted:
        if topic not in found:
            raise CommandFailed(f"no such topic: {topic}; `quorate topic list` shows what there is")
        there = found[topic].partitions
        for number in partitions:
            if number not in there:
                raise clients.no_partition(topic, number, len(there))
        places.update((topic, number) for number in partitions or there)
    return sorted(places)


NO_SUCH_TIME = -1
"""The offset of a time after which there is no record. librdkafka's own -1001 is below it."""


class Positions(NamedTuple):
    """What leaders answered."""

    offsets: dict[Place, int]
    gone: set[Place]
    """Topic or partition does not exist (any more)."""
    failures: dict[Place, CommandFailed]

    def required(self) -> dict[Place, int]:
        """All of them; raises the first failure."""
        for place in self.gone:
            raise CommandFailed(f"{place[0]} has no partition {place[1]} any more")
        for failure in self.failures.values():
            raise failure
        return self.offsets


def positions(client: AdminClient, specs: Mapping[Place, OffsetSpec], target: Target) -> Positions:
    """Ask leaders for offsets, of all places at once."""
    from confluent_kafka import KafkaError, KafkaException, TopicPartition

    found = Positions({}, set(), {})
    if not specs:
        return found
    question = {TopicPartition(*place): spec for place, spec in specs.items()}
    answers = client.list_offsets(question, request_timeout=target.timeout_s)
    for each, future in answers.items():
        place = (each.topic, each.partition)
        try:
            doing = f"asking for offsets of {place[0]} {place[1]}"
            takes = "the leaders of all that is asked for"
            offset = clients.result_of(future, target, doing, changes=False, takes=takes).offset
            if offset < NO_SUCH_TIME:
                raise _not_asked(place, target)
            found.offsets[place] = offset
        except CommandFailed as failure:
            cause = failure.__cause__ or failure.__context__
            code = cause.args[0].code() if isinstance(cause, KafkaException) else None
            if code == KafkaError.UNKNOWN_TOPIC_OR_PART:
                found.gone.add(place)
            else:
                found.failures[place] = failure
    return found


def _not_asked(place: Place, target: Target) -> CommandFailed:
    """The failure for what librdkafka leaves without an offset and without an error, too."""
    return CommandFailed(
        f"{place[0]} {place[1]}: its leader does not answer ({target.servers}); see "
        "`quorate cluster status`",
        ExitCode.TIMED_OUT,
    )
