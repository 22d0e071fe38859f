"""What a stopped broker's directory holds: one `Copy` per Raft group."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from typing import NamedTuple

from metadata.quorum.application import open_log
from partitions.replicas.creation import Creation
from partitions.storage import FileCache, LogConfig
from raftlog.core import members_of
from raftlog.core.membership import Membership, voters_of
from raftlog.disk.overlay import OverlayFileSystem
from raftlog.disk.properties import Properties, read_properties
from raftlog.disk.wal import PART_BYTES, RecoveredGroup, Wal
from raftlog.errors import CorruptLog
from raftlog.seams import FileSystem
from raftlog.storage import GroupLog
from raftlog.types import (
    METADATA_GROUP,
    ZERO_POSITION,
    Configuration,
    Entry,
    HardState,
    LogPosition,
    ReplicaId,
)

WAL_DIRECTORY = "wal"
METADATA_NAME = "metadata"


class Copy(NamedTuple):
    """This directory's copy of one group."""

    group: int
    topic: str | None
    """None: the metadata quorum."""
    partition: int
    hard_state: HardState
    settled: LogPosition
    """Where the log begins: what lies before it was committed. How much more was, no copy knows."""
    last: LogPosition
    """Its end; the offset is the next one to be given."""
    configuration: Configuration
    """The newest in the log, committed or not."""
    offline: str
    """Why the copy is out of service or cannot be opened, "" when it is intact. It has no figures
    then."""

    @property
    def name(self) -> str:
        """As the command line names it."""
        return METADATA_NAME if self.topic is None else f"{self.topic}:{self.partition}"

    @property
    def rank(self) -> tuple[int, int]:
        """Of two copies the one with the higher rank has what the other has, and more."""
        return self.last.term, self.last.index

    def votes(self, replica: ReplicaId) -> bool:
        """Is it a voter, as far as this copy knows?"""
        return replica in voters_of(self.configuration)

    def alone(self, me: ReplicaId) -> bool:
        """Is this replica the only voter already?"""
        return self.configuration.voters == (me,) and not self.configuration.outgoing

    def others(self, me: ReplicaId) -> tuple[ReplicaId, ...]:
        """The members besides this one."""
        return tuple([member for member in members_of(self.configuration) if member != me])


class Directory(NamedTuple):
    """What `examine` found."""

    properties: Properties
    copies: tuple[Copy, ...]
    """By group."""


class Opened(NamedTuple):
    """A directory whose write-ahead log is open for another round; to be closed."""

    wal: Wal
    logs: dict[int, GroupLog]
    """Of the copies that are intact."""
    copies: dict[int, Copy]

    def write(self) -> None:
        """Make what is staged durable."""
        number = self.wal.write_round()
        if number:
            self.wal.sync_job()()
            self.wal.synced(number)

    def close(self, *, clean: bool) -> None:
        """Release the files. `clean`: as at the orderly end of a broker."""
        self.wal.close(clean=clean)
        for log in self.logs.values():
            log.close()


def examine(fs: FileSystem, part_bytes: int = PART_BYTES) -> Directory:
    """Look at everything; the disk is not changed.

    Raises Misconfigured for a directory that is not formatted, CorruptLog when its write-ahead log
    cannot be trusted, DiskFailed.
    """
    properties = read_properties(fs)
    overlay = OverlayFileSystem(fs)
    if not overlay.exists(WAL_DIRECTORY):
        return Directory(properties, ())
    found = opened(overlay, properties, part_bytes, None, Random(0))
    found.close(clean=False)
    return Directory(properties, tuple(found.copies.values()))


def opened(
    fs: FileSystem,
    properties: Properties,
    part_bytes: int,
    wanted: Iterable[int] | None,
    random: Random,
) -> Opened:
    """Recover the directory as a start does, and the groups in `wanted` (None: all) with it.

    `random` draws the epochs of the write-ahead log, see `Wal.open`.
    """
    wal, recovered = Wal.open(fs, WAL_DIRECTORY, part_bytes=part_bytes, random=random)
    known = {
        group: each
        for group, each in sorted(recovered.groups.items())
        if wanted is None or group in wanted
    }
    copies = _Copies(fs, properties, known)
    replaced = recovered.replay(copies.positions(), copies.append)
    for group in replaced:
        if group in copies.logs:
            wal.stage_reset(group, copies.logs[group].snapshot())
    return Opened(wal, copies.logs, {group: copies.copy(group) for group in known})


class _Copies:
    """The logs of a directory while they are opened and replayed."""

    def __init__(
        self, fs: FileSystem, properties: Properties, known: dict[int, RecoveredGroup]
    ) -> None:
        self._fs = fs
        self._known = known
        self._files = FileCache(fs)
        self._voters = tuple([ReplicaId(v.node_id, v.directory_id) for v in properties.voters])
        self._creations: dict[int, Creation] = {}
        self.logs: dict[int, GroupLog] = {}
        self._broken: dict[int, str] = {}
        for group, each in known.items():
            try:
                self._open(group, each)
            except CorruptLog as error:
                self._broken[group] = str(error)

    def _open(self, group: int, known: RecoveredGroup) -> None:
        if group != METADATA_GROUP:
            self._creations[group] = Creation.decode(known.creation)
        if known.offline:
            self._broken[group] = known.offline
        elif group == METADATA_GROUP:
            self.logs[group] = open_log(self._fs, known, self._voters)
        else:
            self.logs[group] = self._creations[group].open_log(
                self._fs, group, known, LogConfig(), self._files
            )

    def positions(self) -> dict[int, LogPosition]:
        """Where the logs end, for the replay."""
        return {group: log.last() for group, log in self.logs.items()}

    def append(self, group: int, entries: list[Entry]) -> None:
        """Take a run of entries from the replay."""
        if group in self.logs:
            try:
                self.logs[group].append(entries)
            except CorruptLog as error:
                self._broken[group] = str(error)
                self.logs.pop(group).close()

    def copy(self, group: int) -> Copy:
        """What became of the group."""
        creation = self._creations.get(group)
        log = self.logs.get(group)
        configuration = Configuration(() if creation is None else creation.voters)
        settled = last = ZERO_POSITION
        if log is not None:
            snapshot = log.snapshot()
            settled, last = snapshot.position, log.last()
            configuration = Membership(snapshot.configuration, log.configurations()).active
        return Copy(
            group,
            None if creation is None else creation.topic,
            -1 if creation is None else creation.partition,
            self._known[group].hard_state,
            settled,
            last,
            configuration,
            self._broken.get(group, ""),
        )
