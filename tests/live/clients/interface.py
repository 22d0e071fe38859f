"""What the tests ask of a client library."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

PATIENCE_S = 60.0
"""How long any single operation may take on a busy machine."""
REQUEST_BYTES_MAX = 8 * 1024 * 1024
"""The producers' own limit: above the broker's, so that it is the broker that refuses."""


class Record(NamedTuple):
    """What a producer is given. No timestamp: the library takes the time."""

    value: bytes | None
    key: bytes | None = None
    headers: tuple[tuple[str, bytes], ...] = ()
    timestamp_ms: int | None = None


class Stored(NamedTuple):
    """What a consumer is given."""

    offset: int
    value: bytes | None
    key: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    timestamp_ms: int

    @property
    def record(self) -> Record:
        """What must have been produced for this."""
        return Record(self.value, self.key, self.headers, self.timestamp_ms)


class Client(Protocol):
    """One library, pointed at one cluster. Refusals raise `partitions.errors.KafkaError`."""

    @property
    def compressions(self) -> Sequence[str]:
        """Those that the library can do as it is installed here."""

    def produce(
        self,
        topic: str,
        records: Sequence[Record],
        *,
        partition: int = 0,
        acks: int = -1,
        idempotent: bool = False,
        compression: str = "none",
    ) -> list[int]:
        """Send all with one producer and wait; the offsets given (acks=0: anything)."""

    def consume(
        self, topic: str, count: int, *, partition: int = 0, start: int = 0
    ) -> list[Stored]:
        """The next `count` records from offset `start` on; a start out of range means the first."""

    def earliest(self, topic: str, partition: int = 0) -> int:
        """The first offset."""

    def latest(self, topic: str, partition: int = 0) -> int:
        """The offset after the last record that can be read."""

    def offset_at(self, topic: str, timestamp_ms: int, partition: int = 0) -> int | None:
        """The first offset with that timestamp or a later one, if there is one."""

    def topics(self) -> list[str]:
        """Names, as the cluster lists them."""

    def create_topic(self, name: str, partitions: int = 1, **config: str) -> None:
        """With three replicas; `config` has `_` for `.`."""

    def delete_topic(self, name: str) -> None:
        """Delete it."""

    def create_partitions(self, name: str, total: int) -> None:
        """Add partitions up to `total`."""

    def delete_records(self, topic: str, before: int, partition: int = 0) -> int:
        """Delete what lies before an offset; the new first offset."""


def config_names(config: dict[str, str]) -> dict[str, str]:
    """Kafka's names of settings given as keyword arguments."""
    return {name.replace("_", "."): value for name, value in config.items()}
