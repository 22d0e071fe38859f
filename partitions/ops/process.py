"""This process, as the kernel and the interpreter account for it. Linux; elsewhere less is said."""

from __future__ import annotations

import gc
import os
import platform
import resource
from collections.abc import Iterator
from functools import cache, partial
from importlib import metadata
from pathlib import Path

from partitions.ops.exposition import Row, Rows, one

_PROC = Path("/proc/self")
_UNKNOWN = "unknown"


def rows(cluster_id: str, node: int) -> Iterator[Rows]:
    """Everything about the process."""
    times = os.times()
    yield one("process_cpu_seconds_total", round(times.user + times.system, 2))
    yield from _memory()
    yield from _descriptors()
    yield one("process_start_time_seconds", _started())
    generations = gc.get_stats()
    for name, key in (
        ("python_gc_collections_total", "collections"),
        ("python_gc_objects_collected_total", "collected"),
    ):
        yield Rows(
            name,
            partial(_by_generation, generations, key),
        )
    yield Rows(
        "quorate_build_info",
        lambda: [((version(), platform.python_version(), cluster_id, str(node)), 1)],
    )


def _by_generation(generations: list[dict[str, int]], key: str) -> list[Row]:
    return [((str(n),), each[key]) for n, each in enumerate(generations)]


def _memory() -> Iterator[Rows]:
    try:
        virtual, resident = (_PROC / "statm").read_text("ascii").split()[:2]
    except (OSError, ValueError):
        return
    page = os.sysconf("SC_PAGE_SIZE")
    yield one("process_virtual_memory_bytes", int(virtual) * page)
    yield one("process_resident_memory_bytes", int(resident) * page)


def _descriptors() -> Iterator[Rows]:
    try:
        count = len(os.listdir(_PROC / "fd")) - 1  # the one that lists them
    except OSError:
        return
    yield one("process_open_fds", count)
    yield one("process_max_fds", resource.getrlimit(resource.RLIMIT_NOFILE)[0])


@cache
def _started() -> float:
    """Seconds since 1970; 0 where the kernel does not tell."""
    try:
        ticks = int((_PROC / "stat").read_text("utf-8").rpartition(")")[2].split()[19])
        boot = next(
            int(line.split()[1])
            for line in Path("/proc/stat").read_text("ascii").splitlines()
            if line.startswith("btime ")
        )
    except (OSError, ValueError, IndexError, StopIteration):
        return 0.0
    return boot + ticks / os.sysconf("SC_CLK_TCK")


@cache
def version() -> str:
    """The release; a source tree that was not installed has none."""
    try:
        return metadata.version("quorate")
    except metadata.PackageNotFoundError:
        return _UNKNOWN
