"""Leaderships told between brokers: the leader table's deltas as notices.

Each broker keeps, per connected peer, the version of its own table that the peer has been
sent. Changes of a few milliseconds go out together; a new connection starts from nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from metadata.image import ImageDelta, MetadataImage
from metadata.leaders import LeaderTable, pack_rows, unpack_rows
from metadata.quorum.rpc import Rpc
from raftlog.seams import Reactor
from raftlog.types import ReplicaId

TOPIC = "leaders"
BATCH_US = 5_000
EARLY_GROUPS_MAX = 100_000
"""Rows about groups that this broker's image does not have yet are kept, up to this many."""


class LeaderSpread:
    """Owns the table; `local` feeds it, `on_change` hears of every group whose leader changed."""

    def __init__(
        self, reactor: Reactor, rpc: Rpc, me: ReplicaId, image: Callable[[], MetadataImage]
    ) -> None:
        self.table = LeaderTable()
        self.on_change: Callable[[], None] = lambda: None
        self._reactor = reactor
        self._rpc = rpc
        self._me = me
        self._image = image
        self._sent: dict[int, int] = {}
        self._scheduled = False
        rpc.listen(TOPIC, self._receive)

    def local(self, group: int, term: int) -> None:
        """This broker leads `group` in `term`, confirmed."""
        if self.table.update(group, term, self._me.node):
            self._changed()

    def connected(self, node: int) -> None:
        """Send `node` everything."""
        self._sent[node] = 0
        self._schedule()

    def disconnected(self, node: int) -> None:
        """Stop sending to `node`."""
        self._sent.pop(node, None)

    def image_changed(self, delta: ImageDelta) -> None:
        """Forget the groups of deleted topics."""
        for topic in delta.topics_deleted:
            self.table.forget([partition.group for partition in topic.partitions])

    def _receive(self, sender: ReplicaId, body: Any) -> None:
        image = self._image()
        early = len(self.table) < len(image.groups) + EARLY_GROUPS_MAX
        rows = [
            row
            for row in unpack_rows(body)
            if row.group in image.groups or (early and row.group >= image.next_group_id)
        ]
        if self.table.apply(rows):
            self._changed()

    def _changed(self) -> None:
        self.on_change()
        self._schedule()

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._reactor.call_at(self._reactor.now_us() + BATCH_US, self._push)

    def _push(self) -> None:
        self._scheduled = False
        for node, version in self._sent.items():
            delta = self.table.since(version)
            if delta.rows:
                self._rpc.notify(node, TOPIC, pack_rows(delta.rows))
            self._sent[node] = delta.version
            if not delta.complete:
                self._schedule()
