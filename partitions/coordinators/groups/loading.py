"""Reading a partition of `__consumer_offsets` into its books, a slice at a time.

A new leader reads from the log's start to the end that it had when its leadership was
confirmed: everything below that is committed, and nobody but its coordinator writes after it.
"""

from __future__ import annotations

from collections.abc import Callable

from partitions.coordinators.groups.offsets import Books
from partitions.coordinators.groups.schemas import BadRecord, decode
from partitions.errors import KafkaError
from partitions.records import BatchHeader, iter_records, split_batches
from partitions.replicas.interface import Replica
from raftlog.seams import Reactor

SLICE_BYTES = 64 * 1024
"""Read and applied at one go: some thousand records, a few milliseconds."""


class Loader:
    """One load. It ends by calling back, unless it is cancelled."""

    def __init__(
        self,
        replica: Replica,
        reactor: Reactor,
        books: Books,
        done: Callable[[], None],
        failed: Callable[[str], None],
    ) -> None:
        """`failed(reason)`: the log cannot be read."""
        self._replica = replica
        self._reactor = reactor
        self._books = books
        self._done = done
        self._failed = failed
        self._offset = replica.log_start_offset
        self._end = replica.high_watermark
        self._cancelled = False
        self.read_bytes = 0

    def start(self) -> None:
        """Read the first slice later in this pass."""
        self._reactor.call_soon(self._step)

    def cancel(self) -> None:
        """Nobody waits any more."""
        self._cancelled = True

    def _step(self) -> None:
        if self._cancelled:
            return
        if self._offset >= self._end:
            self._done()
            return
        try:
            data = self._replica.read(self._offset, SLICE_BYTES, at_least_one=True)
            for header, batch in split_batches(data):
                self._apply(header, batch)
                self._offset = header.next_offset
        except (KafkaError, BadRecord) as error:
            self._failed(str(error))
            return
        if not data:
            self._failed(f"there is nothing to read at offset {self._offset}")
            return
        self.read_bytes += len(data)
        self._reactor.call_soon(self._step)

    def _apply(self, header: BatchHeader, batch: memoryview) -> None:
        if header.control:
            return
        for record in iter_records(batch):
            change = decode(record.key, record.value)
            if change is not None and record.offset >= self._offset:
                self._books.apply(change)
