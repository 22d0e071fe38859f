"""Refusing writes of clients while the disk still has room for the log's own needs.

A write that finds the disk full is an error that ends the process: parts of it may be on the
disk. So produces end earlier, at a minimum of free space, and are accepted again when there
is clearly more than that. Other brokers' leaders do not know of this disk: their appends go on
a little longer, down to half of the minimum, and are then not taken either. Their groups
go on with the other replicas; this one catches up when there is space.

Between two looks, once a second and every LOOK_BYTES, the room left is counted down by what
producers write, so that a fast producer cannot pass the minimum unseen.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog

from partitions.errors import ErrorCode, KafkaError
from raftlog.seams import FileSystem, Reactor

log = structlog.get_logger()

LOOK_US = 1_000_000
LOOK_BYTES = 32 * 1024 * 1024
_CLEARLY_MORE = 8
"""Writes are accepted again at the minimum and an eighth of it, so that they do not flicker."""


class DiskGuard:
    """Watches one data directory."""

    def __init__(
        self,
        fs: FileSystem,
        reactor: Reactor,
        directory: str,
        free_bytes_min: int,
        stop_replication: Callable[[bool], None],
        fail: Callable[[str], None],
    ) -> None:
        """`stop_replication(stop)` is called when entries of other leaders are not to be taken
        any more, and when they are again. `directory` is for messages. `fail(reason)` ends the
        broker: a directory that cannot be looked at is not there, and nothing written lasts."""
        self._fs = fs
        self._reactor = reactor
        self._directory = directory
        self._free_bytes_min = free_bytes_min
        self._stop_replication = stop_replication
        self._fail = fail
        self._room_bytes = self._unseen_bytes = 0
        """To the minimum; and what may be written before the next look."""
        self._stopped = False
        self.low = False
        """Writes of clients are refused."""
        self.look()

    def start(self) -> None:
        """Look every second from now on."""
        self.look()
        self._reactor.call_at(self._reactor.now_us() + LOOK_US, self.start)

    def set_minimum(self, free_bytes_min: int) -> None:
        """Another minimum, from now on."""
        self._free_bytes_min = free_bytes_min
        self.look()

    def take(self, size: int) -> None:
        """A client wants to write `size` bytes: KafkaError KAFKA_STORAGE_ERROR when it may not."""
        if size > self._unseen_bytes and not self.low:
            self.look()
        if self.low or size > self._room_bytes:
            raise KafkaError(
                ErrorCode.KAFKA_STORAGE_ERROR,
                f"the disk of {self._directory} is nearly full: less than "
                f"{self._free_bytes_min} bytes (log.dirs.free.bytes.min) would stay free",
            )
        self._room_bytes -= size
        self._unseen_bytes -= size

    def look(self) -> None:
        """Ask the file system."""
        try:
            free = self._fs.free_bytes()
        except OSError as error:
            self.low = True
            self._fail(
                f"the data directory {self._directory} is gone ({error.strerror or error}): was it "
                "removed or moved away, or its disk unmounted?"
            )
            return
        self._room_bytes = free - self._free_bytes_min
        self._unseen_bytes = min(self._room_bytes, LOOK_BYTES)
        margin = self._free_bytes_min // _CLEARLY_MORE if self.low else 0
        low = self._room_bytes < margin
        if low is not self.low:
            self.low = low
            self._tell(free)
        stop = free < (self._free_bytes_min if self._stopped else self._free_bytes_min // 2)
        if stop is not self._stopped:
            self._stopped = stop
            self._stop_replication(stop)

    def _tell(self, free: int) -> None:
        facts = {"directory": self._directory, "free_bytes": free}
        if self.low:
            log.error("disk nearly full, refusing writes", minimum=self._free_bytes_min, **facts)
        else:
            log.warning("disk has room again, accepting writes", **facts)
