"""Taking one group out of service while the process and its other groups go on.

The cause is a CorruptLog: the leader's entries do not continue this log, bytes on the disk have
changed, or what an entry says cannot be applied. Such a replica may have acknowledged what it
no longer has, so from that moment it says nothing at all: it leaves the engine's groups, and a
message for it is dropped as if it was lost. It does not come back by a restart: the
write-ahead log remembers the reason.

Its files stay as they are, for people. What they hold is synced once, so that the parts of the
write-ahead log that cover them may be recycled; its facts (creation, vote, checkpoint) are
carried forward like any other group's.
"""

from __future__ import annotations

from collections.abc import Callable

from raftlog.disk.wal import Wal
from raftlog.engine.group import Group
from raftlog.engine.links import Links
from raftlog.engine.schedule import Schedule
from raftlog.errors import CorruptLog
from raftlog.messages import TimeoutNow
from raftlog.seams import Reactor
from raftlog.types import Role


class OfflineGroups:
    """The groups of one engine that are out of service, and how they came to be."""

    def __init__(
        self,
        wal: Wal,
        reactor: Reactor,
        groups: dict[int, Group],
        schedule: Schedule,
        links: Links,
        after_durable: Callable[[Callable[[], None]], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        """`failed` hears of a disk error: that one ends the process."""
        self._wal = wal
        self._reactor = reactor
        self._groups = groups
        self._schedule = schedule
        self._links = links
        self._after_durable = after_durable
        self._failed = failed

    def guard(self, group: Group, step: Callable[..., None], *args: object) -> bool:
        """Do a step of a group: a CorruptLog ends the group, not the process.

        False when the group is out of service, by this step or before it, where the step
        is not done: an offline group acknowledges nothing.
        """
        if group.offline:
            return False
        try:
            step(*args)
        except CorruptLog as error:
            self.take(group, str(error))
            return False
        return True

    def take(self, group: Group, reason: str) -> None:
        """Out of service from now on; the callbacks of its requests run later in this pass."""
        if self._groups.get(group.id) is not group:
            return  # it went before
        del self._groups[group.id]
        group.offline = reason
        self._schedule.forget(group)
        if group.node.role is Role.LEADER:
            self._hand_over(group)
        self._links.retire(group)
        self.note(group.id, reason)
        self._keep(group)
        group.app.offline(reason)
        self._reactor.call_soon(group.abandon)

    def note(self, group_id: int, reason: str) -> None:
        """Remember it, and tell the peers. Also for a group that could not be opened at all."""
        self._links.offline[group_id] = reason
        self._links.tell_offline()
        self._wal.stage_offline(group_id, reason)
        self._after_durable(_nothing)

    def forget(self, group_id: int) -> None:
        """The group is removed."""
        del self._links.offline[group_id]
        self._links.tell_offline()

    def _hand_over(self, group: Group) -> None:
        """Spare the others the wait for an election. Whoever wins it has all that counts."""
        successor = self._links.best_successor(group)
        if successor is not None:
            self._links.send_message(group.id, successor, TimeoutNow(group.node.term))

    def _keep(self, group: Group) -> None:
        """Sync its files as they are, ahead of any recycling: the background lane keeps order."""
        try:
            job = group.log.sync_job()
        except CorruptLog:
            group.log.close()
            return  # nothing is written to files that cannot be read

        def synced(error: BaseException | None) -> None:
            if error is not None and not isinstance(error, CorruptLog):
                self._failed(error)
            else:
                group.log.close()

        self._reactor.offload(job, synced, background=True)


def _nothing() -> None:
    """Waited for, so that what is staged gets its round."""
