"""Partition directories as a whole: made durable, removed, and those that nobody owns."""

from __future__ import annotations

from collections.abc import Iterable

import structlog

from partitions.replicas.creation import PARTITIONS_DIRECTORY
from raftlog.errors import CorruptLog
from raftlog.seams import FileSystem

log = structlog.get_logger()


def sync_files(fs: FileSystem, path: str) -> None:
    """Make durable what an offline partition's directory holds (blocking).

    For people only: the write-ahead log will not keep its copy, so this is all there will be
    to inspect. No promise rests on it, because such a replica acknowledges nothing any more.
    So nothing here is fatal: what cannot be opened as a file, as a directory that somebody put
    there, is passed over, and a failed sync is said and not tried again.
    """
    try:
        names = fs.listdir(path)
    except (OSError, CorruptLog):
        return  # it is gone, which the partition's reason says
    for name in names:
        try:
            file = fs.open(f"{path}/{name}")
        except (OSError, CorruptLog):
            continue
        try:
            file.sync()
        except OSError as error:
            _say(f"{path}/{name}", error)
        finally:
            file.close()
    try:
        fs.sync_directory(path)
    except (OSError, CorruptLog) as error:
        _say(path, error)


def _say(path: str, error: Exception) -> None:
    log.warning("an offline partition's file may not survive", path=path, reason=str(error))


def remove_directory(fs: FileSystem, path: str) -> None:
    """Remove a partition's directory. One that cannot be is left: no group gets its name again."""
    try:
        if fs.exists(path):
            fs.rmtree(path)
    except CorruptLog as error:
        log.warning("cannot remove a partition's directory", path=path, reason=str(error))


def partition_directories(fs: FileSystem) -> list[str]:
    """Names of partitions' directories. Other names are somebody else's."""
    if not fs.exists(PARTITIONS_DIRECTORY):
        return []
    names = fs.listdir(PARTITIONS_DIRECTORY)
    return [name for name in names if name.partition("-")[0].isdigit()]


def remove_orphans(fs: FileSystem, known: Iterable[int]) -> None:
    """Remove directories of groups whose creation or removal a crash interrupted."""
    groups = {str(group) for group in known}
    for name in partition_directories(fs):
        if name.partition("-")[0] not in groups:
            log.info("removing an orphaned partition directory", name=name)
            remove_directory(fs, f"{PARTITIONS_DIRECTORY}/{name}")
