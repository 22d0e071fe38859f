"""Hostile frames against three live brokers: `python -m tests.live.fuzz --frames 20000 --seed 1`.

Beside the frames a usual client writes and reads. At the end every broker has the pid that it
had, the usual client works, memory did not grow in the second half, and the logs stayed small.
"""

from __future__ import annotations

import contextlib
import json
import socket
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from cli.context import Address
from partitions import wire
from partitions.errors import KafkaError
from partitions.wire import ApiKey
from tests.live.clients import Record
from tests.live.clients.confluent_client import ConfluentClient
from tests.live.cluster import Broker, Cluster, exists, running
from tests.live.raw import connected, wait_for_leaders
from tests.partitions.server.hostile import Hostile

MIB = 1024 * 1024
METADATA_VERSION = 12
TOPIC, FUZZED, PARTITIONS = "usual", "fuzz", 3
CONNECTIONS = 40
"""Kept open at one time, so that what a frame leaves behind piles up for a while."""
LOOK_EVERY = 500
"""Frames between two looks at the usual client and at the brokers."""
ANSWER_S = 0.02
GROWTH_BYTES_MAX = 10 * MIB
LOG_BYTES_MAX = 2 * MIB
CONNECT_S = 30.0


class Failed(Exception):
    """What a broker did that no frame should make it do."""


def fuzz(cluster: Cluster, frames: int, seed: int) -> dict[str, Any]:
    """Send so many frames; the figures. Failed when a broker took harm."""
    client = ConfluentClient(cluster.bootstrap)
    for topic in (TOPIC, FUZZED):
        client.create_topic(topic, PARTITIONS)
        wait_for_leaders(cluster, topic)
    brokers = list(cluster.brokers.values())
    hostile = Hostile(seed, (FUZZED,), (_topic_id(brokers[0].kafka, FUZZED),))
    kinds: Counter[str] = Counter()
    memory: list[list[int]] = []
    started = time.monotonic()
    with _connections() as sender:
        for number, (kind, frame) in enumerate(hostile.frames(frames)):
            sender.send(brokers[number % len(brokers)].kafka, frame)
            kinds[kind] += 1
            if (number + 1) % LOOK_EVERY == 0 or number + 1 == frames:
                _use(client, number)
                _tidy(client, cluster)
                memory.append([_resident_bytes(broker) for broker in brokers])
    _use(client, frames)
    figures = {
        "frames": frames,
        "seed": seed,
        "seconds": round(time.monotonic() - started, 1),
        "kinds": dict(kinds),
        "answered": sender.answered,
        "closed": sender.closed,
        "rss_mib": {
            name: [round(each / MIB, 1) for each in memory[at]]
            for name, at in (("first", 0), ("middle", len(memory) // 2), ("last", -1))
        },
        "growth_in_second_half_mib": [round(each / MIB, 1) for each in _growth(memory)],
        "log_bytes": [broker.log.stat().st_size for broker in brokers],
    }
    _check(brokers, memory, figures)
    return figures


def _check(brokers: list[Broker], memory: list[list[int]], figures: dict[str, Any]) -> None:
    for broker, growth in zip(brokers, _growth(memory), strict=True):
        if broker.pid is None or not exists(broker.pid):
            raise Failed(f"broker {broker.id} is gone: {figures}")
        if growth > GROWTH_BYTES_MAX:
            raise Failed(f"broker {broker.id} grew by {growth} bytes in the second half: {figures}")
        text = broker.log.read_text(errors="replace")
        if "Traceback" in text or "request failed" in text:
            raise Failed(f"broker {broker.id} failed in a request, see its log: {text[-4000:]}")
        if len(text) > LOG_BYTES_MAX:
            raise Failed(f"broker {broker.id} wrote {len(text)} bytes of log: {figures}")


def _growth(memory: list[list[int]]) -> list[int]:
    """Of each broker from the middle to the end. Bytes."""
    middle, last = memory[len(memory) // 2], memory[-1]
    return [after - before for before, after in zip(middle, last, strict=True)]


def _use(client: ConfluentClient, number: int) -> None:
    """The usual client: what it writes it reads."""
    for partition in range(PARTITIONS):
        value = b"%d" % number
        (offset,) = client.produce(TOPIC, [Record(value)], partition=partition)
        (read,) = client.consume(TOPIC, 1, partition=partition, start=offset)
        if read.value != value:
            raise Failed(f"{TOPIC}-{partition} at {offset}: {read.value!r} is not {value!r}")


def _tidy(client: ConfluentClient, cluster: Cluster) -> None:
    """Topics are as at the beginning: some frames are requests to make, grow or delete them."""
    for name in client.topics():
        if name != TOPIC:
            with contextlib.suppress(KafkaError):  # a request that is under way did it
                client.delete_topic(name)
    with contextlib.suppress(KafkaError):
        client.create_topic(FUZZED, PARTITIONS)
    wait_for_leaders(cluster, FUZZED)


def _topic_id(address: Address, topic: str) -> bytes:
    types = wire.messages(ApiKey.METADATA)
    wanted = types.MetadataRequest(topics=[types.MetadataRequestTopic(name=topic)])
    with connected(address) as connection:
        (found,) = connection.ask(ApiKey.METADATA, METADATA_VERSION, wanted).topics
    return bytes(found.topic_id)


class _Sender:
    """Sends each frame on a connection of its own, and keeps the last ones open."""

    def __init__(self) -> None:
        self._open: list[socket.socket] = []
        self.answered = 0
        self.closed = 0

    def send(self, address: Address, frame: bytes) -> None:
        """Send, look a moment for an answer, and let the oldest connection go."""
        sock = socket.create_connection((address.host, address.port), CONNECT_S)
        self._open.append(sock)
        try:
            sock.sendall(frame)
            sock.settimeout(ANSWER_S)
            if sock.recv(65536):
                self.answered += 1
            else:
                self.closed += 1
        except TimeoutError:
            pass  # half a frame, or a question that waits
        except OSError:
            self.closed += 1
        if len(self._open) > CONNECTIONS:
            self._open.pop(0).close()

    def close(self) -> None:
        """All of them."""
        for sock in self._open:
            sock.close()


@contextlib.contextmanager
def _connections() -> Iterator[_Sender]:
    sender = _Sender()
    try:
        yield sender
    finally:
        sender.close()


def _resident_bytes(broker: Broker) -> int:
    for line in Path(f"/proc/{broker.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) * 1024
    raise Failed(f"broker {broker.id} is gone")


@click.command(help=__doc__)
@click.option("--frames", default=20_000, show_default=True)
@click.option("--seed", default=1, show_default=True)
def main(frames: int, seed: int) -> None:
    """Print the figures; 1 when a broker took harm."""
    with (
        tempfile.TemporaryDirectory(prefix="quorate-fuzz-") as directory,
        running(Path(directory) / "cluster") as cluster,
    ):
        try:
            click.echo(json.dumps(fuzz(cluster, frames, seed), indent=2))
        except Failed as error:
            raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()
