"""Receiving a leader's snapshot into a log that is too far behind."""

from __future__ import annotations

from collections.abc import Callable

from partitions.storage.manifest import (
    MANIFEST_BYTES_MAX,
    Manifest,
    decode_manifest,
    encode_manifest,
)
from partitions.storage.syncing import SyncState
from raftlog.errors import CorruptLog, PeerFault
from raftlog.types import SnapshotMeta


class SnapshotReceiver:
    """Collects the stream, then replaces the log. Bytes come from a peer: PeerFault."""

    def __init__(self, sync: SyncState, meta: SnapshotMeta, installed: Callable[[], None]) -> None:
        self._sync = sync
        self._meta = meta
        self._installed = installed
        self._data = bytearray()

    def write(self, cursor: int, data: bytes) -> int:
        """Take bytes of the stream from `cursor` on; returns the next cursor wanted.

        What was received before may come again. A gap is a PeerFault, and so is a stream
        beyond MANIFEST_BYTES_MAX.
        """
        have = len(self._data)
        if cursor > have:
            raise PeerFault(f"snapshot bytes {have}..{cursor} are missing")
        if cursor + len(data) > MANIFEST_BYTES_MAX:
            raise PeerFault(f"a partition snapshot has at most {MANIFEST_BYTES_MAX} bytes")
        self._data += data[have - cursor :]
        return len(self._data)

    def install(self) -> None:
        """Replace the log, durably: a crash leaves the old one or the new one."""
        position = self._meta.position
        try:
            received = decode_manifest(bytes(self._data), "snapshot received")
        except CorruptLog as error:
            raise PeerFault(str(error)) from None
        if received.meta != self._meta:
            raise PeerFault(f"the snapshot stands for {received.meta}, {self._meta} was promised")
        birth = (position.index, position.term)
        manifest = Manifest(birth, *received[1:])
        self._sync.install(encode_manifest(manifest))
        self._data.clear()
        self._installed()
