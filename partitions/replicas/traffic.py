"""What producers brought to one partition and consumers took from it, on this broker."""

from __future__ import annotations


class Traffic:
    """Plain counters: a few additions per batch appended and per read, none per record."""

    __slots__ = ("batches_in", "bytes_in", "bytes_out", "messages_in", "reads")

    def __init__(self) -> None:
        self.batches_in = self.messages_in = self.bytes_in = 0
        """Appended here, committed or not; a batch that was sent twice counts once."""
        self.reads = self.bytes_out = 0
        """Reads of consumers that found something, and what they were given."""

    def came(self, messages: int, size: int) -> None:
        """A batch of `messages` records and `size` bytes was appended."""
        self.batches_in += 1
        self.messages_in += messages
        self.bytes_in += size

    def went(self, size: int) -> None:
        """`size` bytes of batches were read."""
        self.reads += size > 0
        self.bytes_out += size

    def add(self, other: Traffic) -> None:
        """Count what `other` counted."""
        self.batches_in += other.batches_in
        self.messages_in += other.messages_in
        self.bytes_in += other.bytes_in
        self.reads += other.reads
        self.bytes_out += other.bytes_out
