"""A classic consumer group: members, generations, and who waits for what."""

from __future__ import annotations

from collections.abc import Sequence

from partitions.coordinators.groups.answers import (
    Effect,
    GroupDescription,
    GroupSnapshot,
    GroupState,
    Ticket,
)
from partitions.coordinators.groups.asks import HeartbeatAsk, JoinAsk, LeaveAsk, SyncAsk
from partitions.coordinators.groups.settings import GroupSettings
from partitions.errors import ErrorCode


class ClassicGroup:
    """One group. All times are monotonic microseconds that never go back.

    After every call that takes a time, and after `forget`, `drop` and `delete`, take `effects`
    and look at `deadline`.
    """

    def __init__(self, group_id: str, settings: GroupSettings) -> None:
        """An empty group that the log says nothing of."""
        self.group_id = group_id
        self.settings = settings
        self.state = GroupState.EMPTY

    @classmethod
    def restored(
        cls, group_id: str, settings: GroupSettings, snapshot: GroupSnapshot, now_us: int
    ) -> ClassicGroup:
        """The group as its last record in the log says: Empty without members, else Stable.
        Every member gets a full session from now."""
        raise NotImplementedError

    @property
    def protocol_type(self) -> str | None:
        """What the members are ('consumer', 'connect'); None for a group that never had one."""
        raise NotImplementedError

    @property
    def idle(self) -> bool:
        """Empty, with no member id handed out and no record under way: if it has no committed
        offsets either, it may be forgotten (after `delete`, when `snapshot` is not None)."""
        raise NotImplementedError

    @property
    def deadline(self) -> int | None:
        """When `tick` is wanted; None: not at all. It may be earlier than needed."""
        raise NotImplementedError

    def join(self, now_us: int, ticket: Ticket, ask: JoinAsk) -> None:
        """A JoinGroup: one JoinAnswer for `ticket`, now or later."""
        raise NotImplementedError

    def sync(self, now_us: int, ticket: Ticket, ask: SyncAsk) -> None:
        """A SyncGroup: one SyncAnswer for `ticket`, now or later."""
        raise NotImplementedError

    def heartbeat(self, now_us: int, ask: HeartbeatAsk) -> ErrorCode:
        """A Heartbeat's answer."""
        raise NotImplementedError

    def leave(self, now_us: int, asks: Sequence[LeaveAsk]) -> list[ErrorCode]:
        """Members leave, one error code each in the order of `asks`; at most one rebalance."""
        raise NotImplementedError

    def check_commit(
        self,
        now_us: int,
        member_id: str,
        group_instance_id: str | None,
        generation_id: int,
        *,
        transactional: bool = False,
    ) -> ErrorCode:
        """May this member commit offsets? A sign of life when it may."""
        raise NotImplementedError

    def tick(self, now_us: int) -> None:
        """Do what has come due."""
        raise NotImplementedError

    def forget(self, now_us: int, ticket: Ticket) -> None:
        """The connection behind `ticket` is gone: it gets no answer. Its member stays for one
        session from now, and no longer counts as one that has joined. Unknown tickets are
        ignored."""
        raise NotImplementedError

    def persisted(self, now_us: int, token: int, error: ErrorCode) -> None:
        """The record of Persist `token` is committed (NONE), or was refused with `error`."""
        raise NotImplementedError

    def drop(self, error: ErrorCode) -> None:
        """Leadership is lost: everyone who waits is answered with `error`; the group is Dead."""
        raise NotImplementedError

    def delete(self) -> ErrorCode:
        """NON_EMPTY_GROUP, GROUP_ID_NOT_FOUND, or NONE: then a Persist of a tombstone comes out
        and the group is Dead; it is deleted when that is persisted (and Empty again if not)."""
        raise NotImplementedError

    def describe(self) -> GroupDescription:
        """For DescribeGroups."""
        raise NotImplementedError

    def snapshot(self) -> GroupSnapshot | None:
        """What the group's last record says, or will say when the last Persist is committed:
        what a rewrite of the log has to write again. None: no record, or a tombstone. It is not
        the state in memory: members of a generation without assignments are never written."""
        raise NotImplementedError

    def effects(self) -> list[Effect]:
        """What is to be done, in order; each effect is handed out once."""
        raise NotImplementedError
