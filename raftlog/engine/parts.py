"""Retiring the write-ahead log's parts: sync the logs they cover, carry facts forward, recycle.

One part at a time, the oldest first, on the background lane, so that the segments' syncs
never stand in the way of the WAL's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from raftlog.disk.wal import RetirablePart, Wal
from raftlog.engine.group import Group
from raftlog.errors import CorruptLog
from raftlog.seams import Reactor
from raftlog.storage import Checkpoint


class _Capture(NamedTuple):
    """A log's end at the moment its sync job was made."""

    group: Group
    checkpoint: Checkpoint
    truncations: int


class PartKeeper:
    """Called once per pass; does something only when the WAL has moved to another part."""

    def __init__(
        self,
        wal: Wal,
        reactor: Reactor,
        groups: dict[int, Group],
        after_durable: Callable[[Callable[[], None]], None],
        failed: Callable[[BaseException], None],
        take_offline: Callable[[Group, str], None],
    ) -> None:
        self._wal = wal
        self._reactor = reactor
        self._groups = groups
        self._after_durable = after_durable
        self._failed = failed
        self._take_offline = take_offline
        self._busy = False
        self._used = 1 << 62

    def look(self) -> None:
        """Notice that the WAL has moved to another part (or was just opened)."""
        used = self._wal.part_used_bytes
        if used < self._used:
            self._after_durable(self._work)
        self._used = used

    def _work(self) -> None:
        """Retire the oldest part that can be; else allocate what is missing."""
        if self._busy:
            return
        parts = self._wal.retirable()
        if parts:
            self._retire(parts[0])
            return
        job = self._wal.prepare_spare_job()
        if job is not None:
            self._busy = True
            self._reactor.offload(job, self._prepared, background=True)

    def _prepared(self, error: BaseException | None) -> None:
        self._busy = False
        if error is not None:
            self._failed(error)
        else:
            self._work()

    def checkpoint(self, group: Group) -> None:
        """Sync one group's own files and record it, so that its WAL entries are not needed."""
        if self._groups.get(group.id) is not group:
            return  # removed in the meantime
        captured = self._capture(group)
        if captured is None:
            return
        capture, job = captured

        def synced(error: BaseException | None) -> None:
            if isinstance(error, CorruptLog):
                self._take_offline(group, str(error))
            elif error is not None:
                self._failed(error)
            else:
                self._stage(capture)

        self._reactor.offload(job, synced, background=True)

    def _capture(self, group: Group) -> tuple[_Capture, Callable[[], None]] | None:
        try:
            checkpoint, job = group.log.checkpoint(), group.log.sync_job()
        except CorruptLog as error:
            self._take_offline(group, str(error))
            return None
        return _Capture(group, checkpoint, group.truncations), job

    def _retire(self, part: RetirablePart) -> None:
        self._busy = True
        found = [self._capture(self._groups[g]) for g in part.dirty if g in self._groups]
        pairs = [pair for pair in found if pair is not None]

        damaged: list[tuple[Group, CorruptLog]] = []

        def sync_all() -> None:
            for capture, job in pairs:
                try:
                    job()
                except CorruptLog as error:  # ends this group: the others are synced all the same
                    damaged.append((capture.group, error))

        def synced(error: BaseException | None) -> None:
            if error is not None:
                self._failed(error)
                return
            for group, corrupt in damaged:
                self._take_offline(group, str(corrupt))
            for capture, _ in pairs:
                self._stage(capture)
            self._wal.carry_forward(part.sequence)
            self._after_durable(lambda: self._recycle(part))

        self._reactor.offload(sync_all, synced, background=True)

    def _stage(self, capture: _Capture) -> None:
        """Record a checkpoint unless its log was cut, or the group removed, in the meantime."""
        group, checkpoint, truncations = capture
        if group.truncations == truncations and self._groups.get(group.id) is group:
            self._wal.stage_checkpoint(group.id, checkpoint)

    def _recycle(self, part: RetirablePart) -> None:
        """Let the part go; if something in it is needed again (a log was cut), start over."""
        self._busy = False
        self._wal.recycle(part.sequence)
        self._after_durable(self._work)
