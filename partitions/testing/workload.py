"""Producers that remember what they were told, and a consumer that watches the watermark."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import NamedTuple

from partitions.errors import ErrorCode
from partitions.records import build_batch, iter_records, split_batches
from partitions.records.record import Record
from partitions.testing.client import (
    EARLIEST,
    Fetched,
    GaveUp,
    ProducerIdentity,
    Refused,
    SimClient,
)
from partitions.testing.tasks import sleep, spawn
from partitions.testing.world import World
from raftlog.testing.reactor import EPOCH_MS

RECORDS_MAX = 4
PAUSE_US_MAX = 60_000
WORKERS = 3
"""Batches that one producer has open at a time, each to another partition."""


class Write(NamedTuple):
    """One record that was sent."""

    value: bytes
    offset: int
    """Where the broker said it is; -1 while its fate is unknown."""


class WatermarkWentBack(AssertionError):
    """A client was shown a high watermark or a log start below one it had seen."""


class Producer:
    """Writes to all partitions, one batch at a time to each, until it is acknowledged."""

    def __init__(
        self,
        world: World,
        client: SimClient,
        name: str,
        *,
        idempotent: bool,
        depth: int = 1,
        padding_bytes_max: int = 0,
    ) -> None:
        """`depth`: batches on their way to one partition at a time; above 1 only idempotent."""
        assert depth == 1 or idempotent, "without sequence numbers pipelining loses the order"
        self.name = name
        self.idempotent = idempotent
        self.writes: dict[int, list[Write]] = {}
        """By partition, in the order of sending."""
        self.acknowledged = 0
        """Batches."""
        self.longest_us = 0
        """What the slowest acknowledged batch took, retries and all."""
        self._depth = depth
        self._padding_bytes_max = padding_bytes_max
        self._world = world
        self._client = client
        self._random = Random(f"producer/{world.seed}/{name}")
        self._identity = ProducerIdentity()
        self._sequences: dict[int, int] = {}

    async def run(self, topic: str, partitions: int, running: Callable[[], bool]) -> None:
        """Write while `running()`, to a few partitions at a time."""
        if self.idempotent:
            self._identity = await self._client.init_producer_id()
        shares = [range(first, partitions, WORKERS) for first in range(WORKERS)]
        workers = [
            spawn(self._world.reactor, self._work(topic, share, running))
            for share in shares
            if share
        ]
        for worker in workers:
            await worker

    async def _work(self, topic: str, share: range, running: Callable[[], bool]) -> None:
        while running():
            if not self._world.resting:
                await self._write(topic, self._random.choice(share))
            await sleep(self._world.reactor, self._random.randrange(PAUSE_US_MAX * self._depth))

    async def finish(self, topic: str, partitions: int) -> None:
        """One more batch to every partition; raises GaveUp if one is not acknowledged."""
        for partition in range(partitions):
            if not await self._write(topic, partition):
                raise GaveUp(f"{self.name}: {topic}-{partition} takes no more writes")

    async def _write(self, topic: str, partition: int) -> bool:
        """A few batches at once; True when all are acknowledged."""
        writes = self.writes.setdefault(partition, [])
        burst, first = [], len(writes)
        for _ in range(self._random.randint(1, self._depth)):
            values = self._values(partition, first)
            first += len(values)
            burst.append((values, self._batch(partition, values)))
        began = self._world.reactor.now_us()
        bases = await self._send(topic, partition, [batch for _, batch in burst])
        self.longest_us = max(self.longest_us, self._world.reactor.now_us() - began)
        self.acknowledged += sum(base >= 0 for base in bases)
        for (values, _), base in zip(burst, bases, strict=True):
            writes += [
                Write(value, base + n if base >= 0 else -1) for n, value in enumerate(values)
            ]
        if min(bases) < 0:
            await self._start_over()
        return min(bases) >= 0

    async def _send(self, topic: str, partition: int, batches: list[bytes]) -> list[int]:
        """The batches' base offsets, -1 where the fate is unknown."""
        if self.idempotent:
            return await self._client.pipeline(topic, partition, batches)
        (batch,) = batches
        try:
            return [await self._client.produce(topic, partition, batch)]
        except GaveUp:
            return [-1]

    def _values(self, partition: int, first: int) -> list[bytes]:
        """The next few records, each different from all others."""
        values = []
        for n in range(self._random.randint(1, RECORDS_MAX)):
            padding = bytes(self._random.randint(0, self._padding_bytes_max))
            values.append(b"%s/%d/%d" % (self.name.encode(), partition, first + n) + padding)
        return values

    def _batch(self, partition: int, values: list[bytes]) -> bytes:
        sequence = -1
        if self.idempotent:
            sequence = self._sequences.get(partition, 0)
            self._sequences[partition] = sequence + len(values)
        identity = self._identity
        return bytes(
            build_batch(
                [Record(value=value) for value in values],
                base_timestamp=EPOCH_MS + self._world.reactor.now_us() // 1000,
                producer_id=identity.producer_id,
                producer_epoch=identity.epoch,
                base_sequence=sequence,
            )
        )

    async def _start_over(self) -> None:
        """A batch of unknown fate: go on under a new id, as clients do."""
        if self.idempotent:
            self._identity = await self._client.init_producer_id()
            self._sequences.clear()


class Consumer:
    """Reads partitions from their start on and keeps the values in order."""

    def __init__(self, client: SimClient, topic: str, partitions: int) -> None:
        self.values: dict[int, list[bytes | None]] = {number: [] for number in range(partitions)}
        """By partition; a value's place is its offset; None was deleted before it was read."""
        self.starts = dict.fromkeys(range(partitions), 0)
        """By partition: the log start, as last shown."""
        self._client = client
        self._topic = topic
        self._seen = dict.fromkeys(range(partitions), 0)

    async def poll(self, partition: int) -> None:
        """Fetch once. Raises WatermarkWentBack, AssertionError."""
        values = self.values[partition]
        try:
            fetched = await self._client.fetch(self._topic, partition, len(values))
        except Refused as error:
            if error.code is not ErrorCode.OFFSET_OUT_OF_RANGE:
                raise
            await self._skip_deleted(partition)
            return
        self._watch(partition, fetched)
        for _, batch in split_batches(fetched.records):
            for record in iter_records(batch):
                if record.offset < len(values):
                    continue  # the batch holds the offset asked for, and begins before it
                assert record.offset == len(values), (
                    f"{self._topic}-{partition}: offset {record.offset} follows {len(values) - 1}"
                )
                values.append(record.value)
        assert len(values) <= fetched.high_watermark, "records above the high watermark"

    def _watch(self, partition: int, fetched: Fetched) -> None:
        """Neither end of what clients are shown goes back."""
        for seen, now in (
            (self._seen, fetched.high_watermark),
            (self.starts, fetched.log_start_offset),
        ):
            if now < seen[partition]:
                name = "log start" if seen is self.starts else "high watermark"
                raise WatermarkWentBack(
                    f"{self._topic}-{partition}: {name} {seen[partition]} was shown before, "
                    f"node {fetched.node} says {now}"
                )
            seen[partition] = now

    async def _skip_deleted(self, partition: int) -> None:
        """What is to be read next may have been deleted, and nothing else."""
        start = await self._client.list_offsets(self._topic, partition, EARLIEST)
        values = self.values[partition]
        assert start > len(values), (
            f"{self._topic}-{partition}: {len(values)} is out of range, the log starts at {start}"
        )
        values += [None] * (start - len(values))

    async def follow(self, running: Callable[[], bool]) -> None:
        """Poll the partitions in turn while `running()`, patiently."""
        while running():
            for partition in self.values:
                try:
                    await self.poll(partition)
                except GaveUp:
                    continue

    async def read_to_end(self) -> None:
        """Read every partition up to its high watermark."""
        for partition, values in self.values.items():
            end = await self._client.list_offsets(self._topic, partition)
            while len(values) < end:
                await self.poll(partition)
            self.starts[partition] = await self._client.list_offsets(
                self._topic, partition, EARLIEST
            )
