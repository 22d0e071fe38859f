"""Opening a data directory whose groups are state machines: logs, replay, and into the engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from raftlog.disk.segment_log import SegmentLog
from raftlog.disk.wal import Recovered, RecoveredGroup, Wal
from raftlog.engine.engine import Engine
from raftlog.engine.machine import MachineReplica
from raftlog.errors import CorruptLog, Misconfigured
from raftlog.seams import FileSystem
from raftlog.types import NO_HARD_STATE, ZERO_POSITION, Configuration, SnapshotMeta


def open_machines(
    fs: FileSystem,
    engine: Engine,
    recovered: Recovered,
    founders: Configuration,
    machines: Mapping[int, MachineReplica[Any]],
) -> None:
    """Open or create the log of every group in `machines` (by group id), and start it.

    `engine` is new and its `wal` was opened together with `recovered`. `founders` are the
    members that a new group begins with: the same on every node, this one among them or not.
    A group whose files are damaged goes offline. Blocks. Raises Misconfigured when the
    directory holds a group that `machines` lacks; CorruptLog, DiskFailed and OSError.
    """
    unknown = sorted(set(recovered.groups) - set(machines))
    if unknown:
        raise Misconfigured(
            f"the data directory holds group {unknown[0]}, for which there is no state machine: "
            "add it under that id, or point the service to the right directory"
        )
    logs: dict[int, SegmentLog] = {}
    for group, machine in machines.items():
        try:
            logs[group] = _open(fs, engine, group, recovered.groups.get(group), founders)
        except CorruptLog as error:
            machine.offline(str(error))
            engine.add_offline(group, str(error))
    opened = {group: log.last() for group, log in logs.items() if group in recovered.groups}
    for group in recovered.replay(opened, lambda group, entries: logs[group].append(entries)):
        engine.wal.stage_reset(group, logs[group].snapshot())
    _make_durable(engine.wal)
    for group, log in logs.items():
        _start(engine, group, log, recovered.groups.get(group), machines[group])


def _open(
    fs: FileSystem,
    engine: Engine,
    group: int,
    known: RecoveredGroup | None,
    founders: Configuration,
) -> SegmentLog:
    """The group's log; CorruptLog when it is damaged, or was offline before."""
    path = f"group-{group}"
    if known is not None and known.offline:
        raise CorruptLog(known.offline)
    if known is not None and (known.checkpoint is not None or known.trusted):
        return SegmentLog.open(fs, path, known.checkpoint, known.trusted)
    log = SegmentLog.create(fs, path, SnapshotMeta(ZERO_POSITION, founders))
    fs.sync_directory("")
    if known is None:
        engine.wal.stage_create(group, b"")
    return log


def _make_durable(wal: Wal) -> None:
    """A group may say something only once its creation cannot be forgotten."""
    number = wal.write_round()
    if number:
        wal.sync_job()()
        wal.synced(number)


def _start(
    engine: Engine,
    group: int,
    log: SegmentLog,
    known: RecoveredGroup | None,
    machine: MachineReplica[Any],
) -> None:
    machine.adopt(log)
    hard_state = NO_HARD_STATE if known is None else known.hard_state
    machine.group = engine.add_group(group, log, machine, hard_state)
