"""Temporary directories of clusters, and those that killed runs left behind.

A run holds a lock on a file in its directory. When the process is killed the kernel lets go of the
lock, and the next run finds the file unlocked: that directory is nobody's. A directory that is kept
on purpose, for its logs or as --data, has no such file.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from raftlog.disk.properties import LOCK_NAME

PREFIX = "quorate-dev-"
LOCK_FILE = "dev.lock"
BROKER_LOCKS = f"broker-*/data/{LOCK_NAME}"


@contextmanager
def locked_directory() -> Iterator[Path]:
    """A new directory and the lock on it. What becomes of the directory is the caller's matter."""
    directory = Path(tempfile.mkdtemp(prefix=PREFIX))
    # Locked first and named then: nobody ever sees it unlocked.
    draft = directory / f".{LOCK_FILE}"
    descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        draft.rename(directory / LOCK_FILE)
        yield directory
    finally:
        os.close(descriptor)


def keep(directory: Path) -> None:
    """From now on it is somebody's, with or without a process."""
    (directory / LOCK_FILE).unlink(missing_ok=True)


def remove_abandoned() -> list[Path]:
    """Remove the directories of this user's runs that were killed; returns which those were."""
    return [each for each in _all() if _remove_if_abandoned(each)]


def running() -> list[Path]:
    """The directories of this user's runs that go on."""
    return [each for each in _all() if _is_running(each)]


def _all() -> list[Path]:
    return sorted(Path(tempfile.gettempdir()).glob(f"{PREFIX}*"))


def _is_running(directory: Path) -> bool:
    try:
        mine = not directory.is_symlink() and directory.stat().st_uid == os.getuid()
        return mine and _is_locked(directory / LOCK_FILE)
    except OSError:  # no lock, or gone in the meantime
        return False


def _remove_if_abandoned(directory: Path) -> bool:
    try:
        if directory.is_symlink() or directory.stat().st_uid != os.getuid():
            return False
        locks = [directory / LOCK_FILE, *directory.glob(BROKER_LOCKS)]
        if not locks[0].exists() or any(map(_is_locked, locks)):
            return False
        shutil.rmtree(directory)
    except OSError:  # gone in the meantime, or not ours after all
        return False
    return True


def _is_locked(path: Path) -> bool:
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
