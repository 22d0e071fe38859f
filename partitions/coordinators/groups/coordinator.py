"""The groups of one partition of `__consumer_offsets`, for one confirmed leader epoch.

What is committed is in `Books`; members and generations, which the log knows only in part, are in
a `ClassicGroup` per group. A group without members and without a record of its own needs no such
object: it is made when somebody asks for it and forgotten when nothing depends on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum

import structlog

from partitions.coordinators.groups import removing
from partitions.coordinators.groups.alarms import Alarms
from partitions.coordinators.groups.answers import GroupDescription, GroupSnapshot, Persist
from partitions.coordinators.groups.appending import Appender
from partitions.coordinators.groups.asks import HeartbeatAsk, JoinAsk, LeaveAsk, SyncAsk
from partitions.coordinators.groups.clients import (
    Asker,
    CoordinatorSettings,
    Done,
    HeldBytes,
    Member,
)
from partitions.coordinators.groups.confirming import Confirming
from partitions.coordinators.groups.expiry import expired
from partitions.coordinators.groups.group import ClassicGroup
from partitions.coordinators.groups.loading import Loader
from partitions.coordinators.groups.offsets import Books, Place
from partitions.coordinators.groups.rewriting import Rewriter
from partitions.coordinators.groups.schemas import (
    Change,
    CommittedOffset,
    GroupKey,
    GroupValue,
    OffsetKey,
    encode_group,
)
from partitions.coordinators.groups.subscriptions import topics_in_use
from partitions.errors import ErrorCode
from partitions.replicas.interface import Replica
from raftlog.seams import Reactor

log = structlog.get_logger()

GROUPS_MAX = 20_000
"""Groups of one partition, about; further ones are refused."""
LIVE_BYTES_MAX = 64 * 1024 * 1024
"""Committed records of one partition; offsets that are new to a group are refused above it."""


class State(Enum):
    """Of a coordinator."""

    LOADING = "loading"
    ACTIVE = "active"
    FAILED = "failed"
    """The log could not be read; another leader may."""
    CLOSED = "closed"


class Coordinator:
    """Made when the replica's leadership is confirmed, closed when it is lost."""

    def __init__(
        self,
        replica: Replica,
        reactor: Reactor,
        settings: Callable[[], CoordinatorSettings],
        held: HeldBytes,
        later: Callable[[Callable[[], None]], None],
    ) -> None:
        """`later`: see `loading`."""
        self.partition = replica.partition
        self.epoch = replica.leader_epoch
        self.state = State.LOADING
        self.on_loaded: Callable[[], None] = lambda: None
        """Called when it has become active."""
        self.knows_topics = False
        """Has it been compared with the topics that there are?"""
        self._replica = replica
        self._reactor = reactor
        self._settings = settings
        self._groups: dict[str, ClassicGroup] = {}
        self._held = held
        self._held_by: dict[ClassicGroup, int] = {}
        """Each group's part of what is held."""
        self._books = Books()
        self._appender = Appender(replica, reactor, self._books.apply, self.close)
        self.rewriter = Rewriter(replica, reactor, self._books, self._appender)
        self._alarms = Alarms(reactor, self._tick)
        self.confirm = Confirming(replica, reactor, lambda: self.state is State.ACTIVE).ask
        """Whoever tells what `offsets` holds asks first whether that is still all."""
        self._full = False
        self._loader = Loader(
            replica, later, self._books, self._restore, self._loaded, self._not_loaded
        )
        self._loader.start()

    # --- from start to end

    def _restore(self, group_id: str, snapshot: GroupSnapshot) -> None:
        settings, now = self._settings().groups, self._reactor.now_us()
        self._groups[group_id] = ClassicGroup.restored(group_id, settings, snapshot, now)

    def _loaded(self) -> None:
        self.state = State.ACTIVE
        for group in list(self._groups.values()):
            self._after(group)
        self._appender.written_bytes = self._loader.read_bytes
        self.rewriter.look()
        self.on_loaded()

    def _not_loaded(self, reason: str) -> None:
        self.state = State.FAILED
        log.error("groups cannot be loaded", partition=self.partition, reason=reason)

    def close(self) -> None:
        """The leadership is lost: everyone who waits is told so, and nothing is kept."""
        if self.state is State.CLOSED:
            return
        self.state = State.CLOSED
        self._loader.cancel()
        self.rewriter.close()
        self._alarms.close()
        groups, self._groups = self._groups, {}
        for group in groups.values():
            group.drop(ErrorCode.NOT_COORDINATOR)
            self._answer(group)
        self._held.used -= sum(self._held_by.values())
        self._held_by.clear()
        self._appender.close()

    # --- groups

    def __len__(self) -> int:
        return len(self._groups.keys() | self._books.groups.keys())

    def ids(self) -> Iterator[str]:
        """Every group that is known, once."""
        yield from self._groups
        yield from [group for group in self._books.groups if group not in self._groups]

    def members(self, group_id: str) -> int:
        """How many the group has now."""
        group = self._groups.get(group_id)
        return 0 if group is None else group.size

    def _find(self, group_id: str) -> ClassicGroup | None:
        """The group's machine, if the group exists."""
        group = self._groups.get(group_id)
        if group is None and group_id in self._books.groups:
            return self._make(group_id)
        return group

    def _make(self, group_id: str) -> ClassicGroup:
        group = self._groups[group_id] = ClassicGroup(group_id, self._settings().groups)
        return group

    def _obtain(self, group_id: str) -> ClassicGroup | None:
        """The group's machine, made if there is none; None when there are too many groups."""
        group = self._find(group_id)
        if group is None:
            if self._is_full(len(self._groups) + len(self._books.groups) >= GROUPS_MAX):
                return None
            group = self._make(group_id)
        return group

    def _is_full(self, full: bool) -> bool:
        if full and not self._full:
            log.error("a partition of consumer groups is full", partition=self.partition)
        self._full = full
        return full

    def _tick(self, group: ClassicGroup) -> None:
        group.tick(self._reactor.now_us())
        self._after(group)

    def _after(self, group: ClassicGroup) -> None:
        """Carry out what a call has led to."""
        for persist in self._answer(group):
            self._persist(group, persist)
        if self.state is State.CLOSED:
            return
        self._weigh(group, group.held_bytes)
        if group.gone or (group.idle and group.snapshot() is None):
            self._weigh(group, 0)
            if self._groups.get(group.group_id) is group:
                del self._groups[group.group_id]
            self._alarms.forget(group)
        else:
            self._alarms.update(group)

    def _weigh(self, group: ClassicGroup, size: int) -> None:
        self._held.used += size - self._held_by.pop(group, 0)
        if size:
            self._held_by[group] = size

    def _answer(self, group: ClassicGroup) -> list[Persist]:
        """Hand out the answers; what is to be written is left to the caller."""
        persists = []
        for effect in group.effects():
            if isinstance(effect, Persist):
                persists.append(effect)
            else:
                effect.ticket.answered(effect)  # type: ignore[attr-defined]
        return persists

    def _persist(self, group: ClassicGroup, persist: Persist) -> None:
        value = None
        if persist.snapshot is not None:
            value = encode_group(GroupValue(persist.snapshot, self._reactor.wall_ms()))
        change = Change(GroupKey(group.group_id), value)

        def done(error: ErrorCode) -> None:
            if self.state is not State.CLOSED:
                group.persisted(self._reactor.now_us(), persist.token, error)
                self._after(group)
                self.rewriter.look()

        if value is not None and len(value) > self._replica.max_message_bytes:
            self._reactor.call_soon(lambda: done(ErrorCode.MESSAGE_TOO_LARGE))
        else:
            self._appender.submit([change], done)

    # --- what members ask

    def join(self, group_id: str, asker: Asker, ask: JoinAsk) -> ErrorCode:
        """Anything but NONE is the answer; otherwise `asker` gets one, now or later."""
        group = self._find(group_id)
        if group is None and ask.member_id:
            return ErrorCode.UNKNOWN_MEMBER_ID
        if self._held.used + sum(len(said) for _, said in ask.protocols) > self._held.limit:
            return ErrorCode.GROUP_MAX_SIZE_REACHED
        group = group or self._obtain(group_id)
        if group is None:
            return ErrorCode.POLICY_VIOLATION
        group.join(self._reactor.now_us(), asker, ask)
        self._after(group)
        return ErrorCode.NONE

    def sync(self, group_id: str, asker: Asker, ask: SyncAsk) -> ErrorCode:
        """Anything but NONE is the answer; otherwise `asker` gets one, now or later."""
        group = self._find(group_id)
        if group is None:
            return ErrorCode.UNKNOWN_MEMBER_ID
        group.sync(self._reactor.now_us(), asker, ask)
        self._after(group)
        return ErrorCode.NONE

    def forget(self, group_id: str, asker: Asker) -> None:
        """The client behind `asker` has left."""
        group = self._groups.get(group_id)
        if group is not None:
            group.forget(self._reactor.now_us(), asker)
            self._after(group)

    def heartbeat(self, group_id: str, ask: HeartbeatAsk) -> ErrorCode:
        """The answer."""
        group = self._find(group_id)
        if group is None:
            return ErrorCode.UNKNOWN_MEMBER_ID
        error = group.heartbeat(self._reactor.now_us(), ask)
        self._after(group)
        return error

    def leave(self, group_id: str, asks: list[LeaveAsk]) -> list[ErrorCode]:
        """One answer per member."""
        group = self._find(group_id)
        if group is None:
            return [ErrorCode.UNKNOWN_MEMBER_ID] * len(asks)
        errors = group.leave(self._reactor.now_us(), asks)
        self._after(group)
        return errors

    # --- offsets

    def commit(
        self, group_id: str, member: Member, offsets: Mapping[Place, CommittedOffset], done: Done
    ) -> ErrorCode:
        """Anything but NONE is the answer; otherwise `done` is called, later."""
        group = self._find(group_id)
        if group is None and member.generation >= 0:
            return ErrorCode.ILLEGAL_GENERATION
        group = group or self._obtain(group_id)
        if group is None:
            return ErrorCode.POLICY_VIOLATION
        error = group.check_commit(
            self._reactor.now_us(), member.member_id, member.group_instance_id, member.generation
        )
        self._after(group)
        if error is ErrorCode.NONE and self._is_full(self._books.live_bytes > LIVE_BYTES_MAX):
            if not offsets.keys() <= self.offsets(group_id).keys():
                return ErrorCode.POLICY_VIOLATION
        if error is ErrorCode.NONE:
            changes = [Change(OffsetKey(group_id, *place), v) for place, v in offsets.items()]
            self._submit(changes, done)
        return error

    def _submit(self, changes: list[Change], done: Done) -> None:
        def settled(error: ErrorCode) -> None:
            done(error)
            self.rewriter.look()

        self._appender.submit(changes, settled)

    def offsets(self, group_id: str) -> Mapping[Place, CommittedOffset]:
        """The committed offsets of a group; see `confirm`."""
        book = self._books.groups.get(group_id)
        return {} if book is None else book.offsets

    def delete_offsets(self, group_id: str, places: list[Place], done: Done) -> None:
        """Take committed offsets away; `done` is called later."""
        keys = [OffsetKey(group_id, *place) for place in places]
        self._remove(keys, done, late=[k for k in keys if self._appender.is_on_its_way(k)])

    def _remove(
        self, keys: Iterable[OffsetKey], done: Done, *, late: Iterable[OffsetKey] = ()
    ) -> None:
        def settled(error: ErrorCode) -> None:
            done(error)
            self.rewriter.look()

        removing.Removal(self._reactor, self._books, self._appender).start(keys, settled, late=late)

    def topics_in_use(self, group_id: str) -> frozenset[str] | None:
        """Topics that members of the group read; None: it cannot be known, it may be any."""
        return topics_in_use(self.describe(group_id))

    # --- whole groups

    def describe(self, group_id: str) -> GroupDescription | None:
        """None when there is no such group."""
        group = self._find(group_id)
        if group is None:
            return None
        description = group.describe()
        self._after(group)
        return description

    def delete(self, group_id: str, done: Done) -> ErrorCode:
        """Anything but NONE is the answer; otherwise `done` is called, later."""
        group = self._find(group_id)
        if group is None:
            return ErrorCode.GROUP_ID_NOT_FOUND
        error = group.delete()
        done = removing.unless_it_stays(self._books, GroupKey(group_id), done)
        self._after(group)
        if error is ErrorCode.NONE:
            keys = [OffsetKey(group_id, *place) for place in self.offsets(group_id)]
            late = sorted(k for k in self._appender.keys_of(group_id) if type(k) is OffsetKey)
            self._remove(keys, done, late=late)
        return error

    def know_topics(self, id_of: Callable[[str], bytes | None]) -> None:
        """Offsets in topics that do not exist go. `id_of(name)`, None for no such topic, goes by
        all that could be known when this coordinator was loaded."""
        self.knows_topics = True
        self._forget(removing.not_as_in(id_of))

    def forget_topics(self, deleted: Mapping[str, bytes]) -> None:
        """Topics were deleted, by name their ids: committed offsets in them go too. Those without
        an id only after `know_topics`: it may be a former topic of that name, whose deletion is
        heard of here after offsets in a new one were committed elsewhere."""
        self._forget(removing.among(deleted, by_name=self.knows_topics))

    def _forget(self, gone: removing.Gone) -> None:
        if self.state is State.ACTIVE:
            keys = sorted(self._books.offsets_in(gone))
            late = removing.offsets_in(self._appender.unsettled(), gone)
            if keys or late:
                self._remove(keys, self._forgotten, late=late)

    def _forgotten(self, error: ErrorCode) -> None:
        if error not in (ErrorCode.NONE, ErrorCode.NOT_COORDINATOR):
            log.warning("offsets in deleted topics stay until they expire", reason=error.name)

    def expire(self) -> None:
        """Take away what nobody has used for long (KIP-211)."""
        if self.state is not State.ACTIVE:
            return
        for group_id in list(self.ids()):
            group = self._find(group_id)
            if group is not None:
                self._expire(group_id, group)

    def _expire(self, group_id: str, group: ClassicGroup) -> None:
        book = self._books.groups.get(group_id)
        if book is None:
            return
        now_ms, retention_ms = self._reactor.wall_ms(), self._settings().retention_ms
        places = expired(book, group.describe(), now_ms, retention_ms)
        if places:
            # what is refused is found again the next time
            self._remove([OffsetKey(group_id, *place) for place in places], lambda error: None)
        elif group.idle and not book.offsets and group.snapshot() is not None:
            group.delete()
        self._after(group)
