"""Reading a partition of `__consumer_offsets` into its books, a slice at a time.

A new leader reads from the log's start to the end that it had when its leadership was
confirmed: everything below that is committed, and nobody but its coordinator writes after it.

Most records of such a log are overridden by later ones. So it is gone through as bytes first,
keeping the last value of each key, and only what is left then is decoded. That a value cannot
be decoded matters only if it is the last of its key.
"""

from __future__ import annotations

from collections.abc import Callable, ItemsView, Iterable, Iterator
from itertools import islice
from typing import TypeVar

from partitions.coordinators.groups.answers import GroupSnapshot
from partitions.coordinators.groups.offsets import Books
from partitions.coordinators.groups.schemas import (
    BadRecord,
    as_written,
    decode,
    decode_group,
    is_as_written,
)
from partitions.errors import KafkaError
from partitions.records import BatchHeader, iter_records, last_values, split_batches
from partitions.replicas.interface import Replica

SLICE_BYTES = 64 * 1024
"""Read at one go: about a thousand records, in a millisecond or two."""
SLICE_KEYS = 500
"""Decoded at one go: as long."""
SLICE_GROUPS = 50
"""Whose members are decoded at one go."""

T = TypeVar("T")
Batches = list[tuple[BatchHeader, memoryview]]


class Latest:
    """The last value of every key, both as bytes."""

    def __init__(self) -> None:
        self._values: dict[bytes, bytes | None] = {}

    def put(self, batches: Batches, start: int) -> None:
        """What further batches say at offsets from `start` on. Raises KafkaError or BadRecord."""
        fresh: dict[bytes | None, bytes | None] = {}
        for header, batch in batches:
            if not header.control:
                last_values(batch, header, fresh)
        values = self._values
        strange = [k for k in fresh if k not in values and not (k and is_as_written(k))]
        if strange or batches[0][0].base_offset < start:
            self._put_singly(batches, start)
        else:
            values.update(fresh)  # type: ignore[arg-type]

    def _put_singly(self, batches: Batches, start: int) -> None:
        """The same for keys whose bytes are not ours: others may stand for the same key."""
        for header, batch in batches:
            for record in () if header.control else iter_records(batch):
                key = as_written(record.key)
                if key is not None and record.offset >= start:
                    self._values[key] = record.value

    def items(self) -> ItemsView[bytes, bytes | None]:
        """(key, last value), None for one that was taken away."""
        return self._values.items()


class Loader:
    """One load. It ends by calling back, unless it is cancelled."""

    def __init__(
        self,
        replica: Replica,
        later: Callable[[Callable[[], None]], None],
        books: Books,
        restore: Callable[[str, GroupSnapshot], None],
        done: Callable[[], None],
        failed: Callable[[str], None],
    ) -> None:
        """`later` calls back when other work is done (`slices`). `restore` is called for every
        group with members, once the books are full. `failed(reason)`: the log cannot be read."""
        self._replica = replica
        self._later = later
        self._books = books
        self._restore = restore
        self._done = done
        self._failed = failed
        self._offset = replica.log_start_offset
        self._end = replica.high_watermark
        self._cancelled = False
        self._slices = self._work()
        self.read_bytes = 0

    def start(self) -> None:
        """Begin later."""
        self._later(self._step)

    def cancel(self) -> None:
        """Nobody waits any more."""
        self._cancelled = True

    def _step(self) -> None:
        if self._cancelled:
            return
        try:
            ended = next(self._slices, True)
        except (KafkaError, BadRecord) as error:
            self._failed(str(error))
            return
        if ended:
            self._done()
        else:
            self._later(self._step)

    def _work(self) -> Iterator[bool]:
        """All of it; it stops after every slice, with False."""
        latest = Latest()
        while self._offset < self._end:
            self._read(latest)
            yield False
        for some in _slices(latest.items(), SLICE_KEYS):
            self._fill(some)
            yield False
        for groups in _slices(list(self._books.groups.items()), SLICE_GROUPS):
            for group, book in groups:
                if book.members is not None:
                    self._restore(group, decode_group(book.members).snapshot)
            yield False

    def _read(self, latest: Latest) -> None:
        data = self._replica.read(self._offset, SLICE_BYTES, at_least_one=True)
        batches = split_batches(data)
        if not batches:
            raise BadRecord(f"there is nothing to read at offset {self._offset}")
        latest.put(batches, self._offset)
        self._offset = batches[-1][0].next_offset
        self.read_bytes += len(data)

    def _fill(self, values: list[tuple[bytes, bytes | None]]) -> None:
        for key, value in values:
            change = decode(key, value) if value is not None else None
            if change is not None:
                self._books.apply(change)


def _slices(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """The items in lists of `size`."""
    rest = iter(items)
    while some := list(islice(rest, size)):
        yield some
