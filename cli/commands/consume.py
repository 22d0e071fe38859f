"""`quorate consume`: records out, by places or as a member of a consumer group."""

from __future__ import annotations

import select
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from cli import clients
from cli.completing import complete_groups, complete_topics
from cli.context import Address, Target, output_option, target_options
from cli.exits import CommandFailed, ExitCode
from cli.groupreading import GroupReader
from cli.interrupts import Interrupts
from cli.output import note
from cli.patience import SILENT_S, Progress, Reachability, waiting
from cli.rendering import DEFAULT_FORMAT, ENCODINGS, FORMAT_HELP, Printer, formatter, json_lines

if TYPE_CHECKING:
    from confluent_kafka import Consumer, KafkaError, Message, TopicPartition
    from confluent_kafka.admin import ClusterMetadata

POLL_S = 0.2
REFRESH_S = 2.0
RECORDS_PER_POLL = 1000


class StartOffset(click.ParamType[str | int]):
    """`earliest`, `latest`, or an offset."""

    name = "earliest|latest|N"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> str | int:
        """Parse."""
        if value in ("earliest", "latest") or isinstance(value, int):
            return value  # type: ignore[no-any-return]
        if not str(value).isdecimal() or int(value) >= 2**63:
            self.fail(f"{value!r} is neither earliest, latest nor an offset", param, ctx)
        return int(value)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """The two words."""
        words = ("earliest", "latest")
        return [CompletionItem(word) for word in words if word.startswith(incomplete)]


@click.command(
    epilog="Example: quorate consume orders --until-end --format '%p %o %k=%s\\n'"
    "    or, one JSON object per line: quorate consume orders --count 10 --output json"
)
@click.argument("topic", shell_complete=complete_topics)
@click.option(
    "--partition",
    "-p",
    "partitions",
    type=click.IntRange(min=0),
    multiple=True,
    help="Only this one. May be repeated. [default: all]",
)
@click.option(
    "--offset",
    type=StartOffset(),
    default="earliest",
    show_default=True,
    help="Where to begin; with --group only where the group has committed nothing.",
)
@click.option(
    "--group",
    "-g",
    shell_complete=complete_groups,
    help="Join this consumer group: begin where it is, and commit what was printed.",
)
@click.option(
    "--commit/--no-commit", default=True, show_default=True, help="With --group: commit or not."
)
@click.option("--count", "-c", type=click.IntRange(min=1), help="Stop after this many records.")
@click.option(
    "--until-end", "-e", is_flag=True, help="Stop at what is the end when the command starts."
)
@click.option(
    "--format",
    "-f",
    "template",
    default=DEFAULT_FORMAT,
    show_default=True,
    help=FORMAT_HELP,
)
@click.option(
    "--key-encoding", type=click.Choice(ENCODINGS), default="text", help="How keys are printed."
)
@click.option(
    "--value-encoding", type=click.Choice(ENCODINGS), default="text", help="How values are."
)
@output_option
@target_options
def consume(
    topic: str,
    partitions: tuple[int, ...],
    offset: str | int,
    group: str | None,
    commit: bool,
    count: int | None,
    until_end: bool,
    template: str,
    key_encoding: str,
    value_encoding: str,
    output: str,
    target: Target,
) -> None:
    """Print a topic's records. Without --group nothing is committed.

    With --group the partitions are shared with its other members, and a record is committed after
    it was printed: one may be printed twice, none is left out. --until-end then stops when all
    partitions that this member has are at their end.

    --timeout bounds how long the cluster may be silent about where a partition ends; waiting for
    new records is not bounded, except with --until-end.
    """
    encodings = (key_encoding, value_encoding)
    printer = json_lines(*encodings) if output == "json" else formatter(template, *encodings)
    if group is not None:
        refuse_places(partitions, offset)
        reader = GroupReader(group, topic, str(offset), count, until_end, commit)
        shown = consume_group(reader, count, printer, target)
    else:
        shown = consume_places(topic, partitions, offset, count, until_end, printer, target)
    if until_end or count is not None:
        note(f"{shown} records")


def refuse_places(partitions: tuple[int, ...], offset: str | int) -> None:
    """The group says which partitions, and where to go on."""
    if partitions or isinstance(offset, int):
        raise CommandFailed(
            "--group decides on partitions and offsets: leave --partition out, and give --offset "
            "earliest or latest only; `quorate group reset-offsets` moves a group",
            ExitCode.USAGE,
        )


def consume_group(reader: GroupReader, count: int | None, printer: Printer, target: Target) -> int:
    """As a member of a group; returns how many records were printed."""
    there = Reachability(target.bootstrap)
    client = clients.consumer(
        target, **reader.settings(), error_cb=lambda error: on_error(error, there)
    )
    with Interrupts() as interrupts:
        found = clients.metadata(client, target, interrupts.check)
        try:
            there.also(Address(str(each.host), each.port) for each in found.brokers.values())
            assignment(found, reader.topic, (), "earliest")  # is there such a topic?
            source = reader.batches(client, lambda event: is_record(event, None, target))
            source = reader.settled(watched(source, interrupts, there, sys.stdout.buffer))
            shown = copy(source, count, printer, sys.stdout.buffer, told=reader.ends)
            reader.printed_all()
            return shown
        finally:
            try:
                reader.commit_printed(client, target)
            finally:
                client.close()


def consume_places(
    topic: str,
    partitions: tuple[int, ...],
    offset: str | int,
    count: int | None,
    until_end: bool,
    printer: Printer,
    target: Target,
) -> int:
    """Without a group; returns how many records were printed."""
    there = Reachability(target.bootstrap)
    client = clients.consumer(
        target,
        **{
            "enable.partition.eof": True,
            "auto.offset.reset": "error",
            "error_cb": lambda error: on_error(error, there),
        },
    )
    with Interrupts() as interrupts:
        found = clients.metadata(client, target, interrupts.check)
        try:
            there.also(Address(str(each.host), each.port) for each in found.brokers.values())
            wanted = assignment(found, topic, partitions, offset)
            interrupts.check()
            ends = end_offsets(client, wanted, target) if until_end else None
            client.assign(wanted)
            source = watched(batches(client, ends, target), interrupts, there, sys.stdout.buffer)
            told = until_end or count is not None
            return copy(source, count, printer, sys.stdout.buffer, told=told)
        finally:
            client.close()


def on_error(error: KafkaError, there: Reachability) -> None:
    """librdkafka's error callback: what it reports beside the records."""
    from confluent_kafka import KafkaError as Codes

    if error.code() == Codes._ALL_BROKERS_DOWN:
        there.suspect()


def watched(
    source: Iterator[list[Message]], interrupts: Interrupts, there: Reachability, sink: IO[bytes]
) -> Iterator[list[Message]]:
    """The same, looking around after each batch, empty ones included.

    At Ctrl-C, at who is reachable, and at whether anybody still reads `sink`: BrokenPipeError.
    """
    for batch in source:
        yield batch
        interrupts.check()
        if reader_left(sink):
            raise BrokenPipeError
        there.look()


def reader_left(sink: IO[bytes]) -> bool:
    """True for a pipe that nobody reads any more (`| head`); no write need find out."""
    poll = select.poll()
    poll.register(sink.fileno(), 0)
    return any(events & select.POLLERR for _, events in poll.poll(0))


def assignment(
    cluster: ClusterMetadata, topic: str, partitions: tuple[int, ...], offset: str | int
) -> list[TopicPartition]:
    """What to read and from where; CommandFailed when the topic or a partition does not exist."""
    from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, TopicPartition

    found = cluster.topics.get(topic)
    if found is None:
        raise CommandFailed(f"no such topic: {topic}; `quorate topic list` shows what there is")
    missing = sorted(set(partitions) - set(found.partitions))
    if missing:
        raise clients.no_partition(topic, missing[0], len(found.partitions))
    symbolic = {"earliest": OFFSET_BEGINNING, "latest": OFFSET_END}
    start = symbolic[offset] if isinstance(offset, str) else offset
    return [
        TopicPartition(topic, number, start)
        for number in sorted(set(partitions) or found.partitions)
    ]


def end_offsets(client: Consumer, wanted: list[TopicPartition], target: Target) -> dict[int, int]:
    """Partition -> next offset as of now, for those partitions that have something to read."""
    from confluent_kafka import OFFSET_END

    ends, short = {}, []
    for place in wanted:
        low, high = watermarks(client, place, target)
        first = max(low, place.offset)
        if place.offset != OFFSET_END and first < high:
            ends[place.partition] = high
        if place.offset > high:
            short.append(str(place.partition))
    if short:
        many = len(short) > 1
        which = f"partition{'s' * many} {', '.join(short)} end{'s' * (not many)}"
        note(f"quorate: {which} before offset {wanted[0].offset}")
    return ends


def watermarks(client: Consumer, place: TopicPartition, target: Target) -> tuple[int, int]:
    """First and next offset. Waits for a leader, which librdkafka does not do here by itself."""
    from confluent_kafka import KafkaError as Codes
    from confluent_kafka import KafkaException

    # The first is what librdkafka makes of LEADER_NOT_AVAILABLE; that the partition is there
    # was seen before.
    between_leaders = (Codes._UNKNOWN_PARTITION, Codes.NOT_LEADER_FOR_PARTITION)
    deadline = time.monotonic() + target.timeout_s
    doing = f"asking for the end of {place.topic} partition {place.partition}"
    with waiting(f"{doing}: waiting for its leader"):
        while True:
            try:
                return client.get_watermark_offsets(place, timeout=target.timeout_s)
            except KafkaException as error:
                if error.args[0].code() not in between_leaders or time.monotonic() > deadline:
                    clients.fail(error.args[0], target, doing)
            client.poll(POLL_S)  # nothing is assigned yet: only errors can come
            # It answers from what it remembers, which nothing but this refreshes soon.
            with suppress(KafkaException):
                client.list_topics(place.topic, timeout=REFRESH_S)


def batches(
    client: Consumer, ends: dict[int, int] | None, target: Target
) -> Iterator[list[Message]]:
    """Records as they come; stops when all `ends` are reached, if there are any to reach."""
    heard, told = time.monotonic(), False
    while ends is None or ends:
        events = client.consume(RECORDS_PER_POLL, POLL_S)
        silent_s = time.monotonic() - heard
        behind = ", ".join(map(str, sorted(ends or ())))
        if events:
            heard = time.monotonic()
        elif ends and silent_s > target.timeout_s:
            raise CommandFailed(
                f"nothing received for {target.timeout_s:g} s, though the end is not reached in "
                f"partition {behind} ({target.servers}); see `quorate cluster status`",
                ExitCode.TIMED_OUT,
            )
        elif ends and silent_s > SILENT_S and not told:
            told = True
            note(f"quorate: waiting for the leaders of partition {behind}")
        yield [event for event in events if is_record(event, ends, target)]


def is_record(event: Message, ends: dict[int, int] | None, target: Target) -> bool:
    """True for a record to show; keeps account of the partitions whose end is reached."""
    from confluent_kafka import KafkaError as Codes

    error = event.error()
    if error is not None and error.code() == Codes._AUTO_OFFSET_RESET:
        raise CommandFailed(
            f"{event.topic()} partition {event.partition()} does not have the offset to read from; "
            f"`quorate topic describe {event.topic()} --offsets` shows what there is"
        )
    if error is not None and error.code() != Codes._PARTITION_EOF:
        if error.fatal() or not _passes_by_itself(error):
            clients.fail(error, target, "consuming")
        return False
    if ends is None:
        return error is None
    partition, offset = event.partition() or 0, event.offset() or 0
    end = ends.get(partition)
    if end is None:
        return False
    # Control records take offsets and are never delivered: the end may come as EOF only.
    if offset + (error is None) >= end:
        del ends[partition]
    return error is None and offset < end


def _passes_by_itself(error: KafkaError) -> bool:
    """What librdkafka reports while it goes on trying."""
    from confluent_kafka import KafkaError as Codes

    passing = (
        Codes._MAX_POLL_EXCEEDED,  # the reader of our output was slow: the group is joined again
        Codes._UNKNOWN_PARTITION,  # one without a leader for now: that it exists was seen before
        Codes._TRANSPORT,
        Codes._ALL_BROKERS_DOWN,
        Codes._UNSUPPORTED_FEATURE,
        Codes.COORDINATOR_NOT_AVAILABLE,
    )
    return error.retriable() or error.code() in passing


def copy(
    source: Iterator[list[Message]],
    count: int | None,
    printer: Printer,
    sink: IO[bytes],
    *,
    told: bool = False,
) -> int:
    """Print until `source` ends or `count` is reached; returns how many were printed.

    `told`: say now and then how many, unless they are seen on the terminal.
    """
    shown = 0
    progress = Progress("records") if told and not sys.stdout.isatty() else None
    for batch in source:
        some = batch if count is None else batch[: count - shown]
        sink.write(b"".join(map(printer, some)))
        sink.flush()
        shown += len(some)
        if progress is not None:
            progress.look(shown)
        if shown == count:
            break
    return shown
