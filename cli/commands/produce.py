"""`quorate produce`: lines in, records out."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any

import click

from cli import clients
from cli.completing import complete_topics
from cli.context import Setting, Target, output_option, target_options
from cli.exits import CommandFailed, ExitCode
from cli.interrupts import Interrupts, Terminated
from cli.output import emit_json, note
from cli.patience import Progress, waiting
from cli.reading import Headers, Outgoing, Text, json_records, text_records
from cli.rendering import ENCODINGS

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, Message, Producer

DISTINCT_ERRORS_MAX = 20
FLUSH_S = 0.2
"""Between two looks at Ctrl-C."""


@dataclass(slots=True)
class Tally:
    """What became of the records."""

    sent: int = 0
    sent_bytes: int = 0
    failed: int = 0
    reasons: dict[str, int] = field(default_factory=dict)

    def delivered(self, error: KafkaError | None, message: Message) -> None:
        """librdkafka's delivery report; only failures are reported (delivery.report.only.error)."""
        if error is not None:
            self.count_failure(error)

    def count_failure(self, error: KafkaError) -> None:
        """One record was not acknowledged."""
        self.failed += 1
        reason = clients.told(error)
        if reason in self.reasons or len(self.reasons) < DISTINCT_ERRORS_MAX:
            self.reasons[reason] = self.reasons.get(reason, 0) + 1


@click.command(
    epilog="Example: quorate topic create numbers; seq 1000 | quorate produce numbers    or: "
    "quorate produce users --key-separator : --file users.txt    or, a copy of a topic: "
    "quorate consume orders -e -o json | quorate produce copy --input json"
)
@click.argument("topic", shell_complete=complete_topics)
@click.option("--file", "-f", "source", type=click.File("rb"), default="-", help="Read from here.")
@click.option(
    "--key-separator", "-K", default=None, help="Text between key and value; no such text, no key."
)
@click.option(
    "--input",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="What a line is. json: an object with key, value, headers, timestamp_ms and partition, "
    'each of which may be left out; bytes that are no text are {"base64": ...} or {"hex": ...}.',
)
@click.option(
    "--header",
    "-H",
    "headers",
    type=Setting(),
    multiple=True,
    help="A header of every record. May be repeated.",
)
@click.option(
    "--key-encoding", type=click.Choice(ENCODINGS), default="text", help="How keys are written."
)
@click.option(
    "--value-encoding", type=click.Choice(ENCODINGS), default="text", help="How values are."
)
@click.option("--null", help="A key or value that is this text is none: a tombstone, for a value.")
@click.option(
    "--partition",
    "-p",
    type=click.IntRange(min=-1),
    default=-1,
    help="Send all to this partition. [default: by the key's hash]",
)
@click.option(
    "--acks",
    type=click.Choice(["all", "1", "0"]),
    default="all",
    show_default=True,
    help="all: on the disks of a majority. 1: in the leader. 0: sent, and no answer is awaited.",
)
@click.option(
    "--idempotent/--no-idempotent",
    default=None,
    help="Let the broker drop what a retry sent twice. [default: on with --acks all]",
)
@click.option("--linger-ms", type=click.IntRange(min=0, max=900_000), default=5, show_default=True)
@click.option(
    "--batch-bytes", type=click.IntRange(min=1, max=2**31 - 1), default=1_000_000, show_default=True
)
@click.option(
    "--compression",
    type=click.Choice(["none", "gzip", "snappy", "lz4", "zstd"]),
    default="none",
    show_default=True,
)
@click.option(
    "--delivery-timeout",
    "delivery_timeout_s",
    type=click.FloatRange(min=0.1, max=3600),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="A record that is not acknowledged after this long has failed.",
)
@output_option
@target_options
def produce(
    topic: str,
    source: IO[bytes],
    key_separator: str | None,
    form: str,
    headers: tuple[tuple[str, str], ...],
    key_encoding: str,
    value_encoding: str,
    null: str | None,
    partition: int,
    acks: str,
    idempotent: bool | None,
    linger_ms: int,
    batch_bytes: int,
    compression: str,
    delivery_timeout_s: float,
    output: str,
    target: Target,
) -> None:
    """Send each line of standard input, or of a file, as one record. The topic must be there.

    Returns 0 only when every record was acknowledged as --acks asks; how many and how fast is
    said on stderr.
    """
    if idempotent and acks != "all":
        raise CommandFailed("--idempotent needs --acks all", ExitCode.USAGE)
    how = Text(_encoded(key_separator or None), key_encoding, value_encoding, _encoded(null))
    lines = reader(source, form, how)
    settings = {
        "acks": acks,
        "enable.idempotence": acks == "all" if idempotent is None else idempotent,
        "linger.ms": linger_ms,
        "batch.size": batch_bytes,
        "compression.type": compression,
        # librdkafka asks for a producer id 0.5 s later when it is connected to no broker at the
        # moment it first wants one; with this it connects to all of them, and needs to anyway.
        "enable.sparse.connections": False,
        "message.timeout.ms": int(max(delivery_timeout_s * 1000, linger_ms + 1)),
        "delivery.report.only.error": True,
    }
    client = clients.producer(target, **settings)
    require_topic(client, topic, partition, target)
    common: Headers = [(name, value.encode()) for name, value in headers]
    tally = Tally()
    send_all(client, topic, partition, common, lines, tally, delivery_timeout_s, output)


def reader(source: IO[bytes], form: str, how: Text) -> Iterator[Outgoing]:
    """The records of the input."""
    if form == "text":
        return text_records(source, how)
    if how != Text():
        raise CommandFailed(
            "with --input json keys, encodings and nulls are what the lines say", ExitCode.USAGE
        )
    return json_records(source)


def send_all(
    client: Producer,
    topic: str,
    partition: int,
    common: Headers,
    lines: Iterable[Outgoing],
    tally: Tally,
    limit_s: float,
    output: str,
) -> None:
    """Send, wait for the fate of each record, and report it; CommandFailed if one failed.

    What was sent before a line that cannot be read has its fate too.
    """
    started = time.monotonic()
    try:
        send(client, topic, partition, common, lines, tally)
        left = flush(client, limit_s + 5)
    except (KeyboardInterrupt, Terminated):
        _report(tally, client.flush(2), started, output)
        raise
    except CommandFailed:
        _report(tally, flush(client, limit_s + 5), started, output)
        raise
    _report(tally, left, started, output)
    if tally.failed or left:
        late = left or any("TIMED_OUT" in reason for reason in tally.reasons)
        raise CommandFailed(
            f"{tally.failed + left} of {tally.sent} records were not acknowledged"
            f"{'; see `quorate cluster status`' if late else ''}"
        )


def require_topic(client: Producer, topic: str, partition: int, target: Target) -> None:
    """CommandFailed without topic or partition: librdkafka would wait for them to appear."""
    found = clients.metadata(client, target).topics.get(topic)
    if found is None:
        raise CommandFailed(f"no such topic: {topic}; make it with `quorate topic create {topic}`")
    if partition >= 0 and partition not in found.partitions:
        raise clients.no_partition(topic, partition, len(found.partitions))


def flush(client: Producer, limit_s: float) -> int:
    """Wait until every record has its fate; returns how many have none after `limit_s`."""
    deadline = time.monotonic() + limit_s
    left = len(client)
    wanted = (
        "waiting for records to be acknowledged; it takes a majority of each partition's replicas"
    )
    with Interrupts() as interrupts, waiting(wanted):
        while left and time.monotonic() < deadline:
            left = client.flush(FLUSH_S)
            interrupts.check()
    return left


def send(
    client: Producer,
    topic: str,
    partition: int,
    common: Headers,
    lines: Iterable[Outgoing],
    tally: Tally,
) -> None:
    """Hand records to librdkafka; waits while its queue is full (deliveries empty it).

    `partition`, unless it is -1, and the headers `common` are every record's.
    """
    from confluent_kafka import KafkaException

    progress = Progress("records sent")
    for key, value, headers, timestamp, own in lines:
        where = own if partition < 0 else partition
        merged: Any = [*common, *headers] if headers else common
        while True:
            try:
                client.produce(
                    topic,
                    value,
                    key,
                    where,
                    on_delivery=tally.delivered,
                    timestamp=timestamp,
                    headers=merged or None,
                )
            except BufferError:
                client.poll(0.1)
                continue
            except KafkaException as error:
                # Refused before it was sent: no such partition, too large, a fatal error before.
                tally.count_failure(error.args[0])
            break
        tally.sent += 1
        tally.sent_bytes += len(value or b"") + len(key or b"")
        if not tally.sent & 1023:
            client.poll(0)
            progress.look(tally.sent, f", {tally.failed} failed" if tally.failed else "")


def _encoded(text: str | None) -> bytes | None:
    return None if text is None else text.encode()


def _report(tally: Tally, left: int, started: float, output: str) -> None:
    seconds = max(time.monotonic() - started, 1e-9)
    acknowledged = tally.sent - tally.failed - left
    failed = tally.failed + left
    for reason, count in tally.reasons.items():
        note(f"quorate: {count} failed: {reason}")
    if output == "json":
        emit_json(
            {
                "sent": tally.sent,
                "acknowledged": acknowledged,
                "failed": failed,
                "bytes": tally.sent_bytes,
                "seconds": round(seconds, 6),
            }
        )
        return
    rate = acknowledged / seconds
    note(
        f"{acknowledged} records acknowledged, {failed} failed, {tally.sent_bytes} bytes in "
        f"{seconds:.2f} s: {rate:,.0f} records/s"
    )
