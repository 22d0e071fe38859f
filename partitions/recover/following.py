"""Bringing another survivor along, after a recovery was forced on one of them."""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from metadata.quorum.application import METADATA_DIRECTORY
from partitions.recover import audit
from partitions.recover.copies import Copy, Directory, opened
from partitions.recover.report import Report
from raftlog.disk.properties import Properties, replace_properties
from raftlog.errors import Misconfigured
from raftlog.seams import FileSystem
from raftlog.types import METADATA_GROUP


class Following(NamedTuple):
    """What was done, or (as a plan) would be."""

    properties: Properties
    """As they are then."""
    retired: tuple[Copy, ...]
    """Copies of groups that go on without them: out of service from now on."""


def plan_follow(here: Directory, report: Report) -> Following:
    """What following the broker that `report` is of would do; Misconfigured if it cannot be."""
    mine, theirs = here.properties, report.properties
    if mine.cluster_id != theirs.cluster_id:
        raise Misconfigured(f"the report is of cluster {theirs.cluster_id!r}, not this one")
    if mine.replica == theirs.replica:
        raise Misconfigured("the report is this directory's own")
    if not report.forced:
        raise Misconfigured("the report says that nothing was forced: there is nobody to follow")
    if mine.replica in theirs.abandoned:
        raise Misconfigured(
            f"node {theirs.node_id} left this directory for lost, and refuses it from now on: "
            "format a new one for this broker. (Its report had to be given with --compare.)"
        )
    abandoned = tuple(sorted({*mine.abandoned, *theirs.abandoned}))
    after = mine._replace(abandoned=abandoned)
    if METADATA_GROUP in report.forced:
        after = after._replace(voters=theirs.voters, recovery=theirs.recovery)
    elif mine.recovery != theirs.recovery:
        raise Misconfigured("the report is of another side of a forced recovery of the metadata")
    retired = [copy for copy in here.copies if copy.group in report.forced]
    return Following(after, tuple(retired))


def follow(
    fs: FileSystem,
    wanted: Following,
    leader: Report,
    wall_ms: int,
    *,
    part_bytes: int,
    random: Random,
) -> None:
    """Carry a plan out, durably. The caller holds the directory's lock.

    The copy of the metadata group goes; copies of partitions stay as files, out of service: they
    may hold records that were not carried over. Raises CorruptLog, DiskFailed and OSError.
    """
    facts = {
        "follows_node": leader.properties.node_id,
        "follows_directory": leader.properties.directory_id.hex(),
        "recovery": wanted.properties.recovery,
        "retired": [copy.name for copy in wanted.retired],
    }
    audit.record(fs, wall_ms, "following a forced recovery begins", facts)
    replace_properties(fs, wanted.properties)
    if wanted.retired:
        _retire(fs, wanted, leader, part_bytes, random)
    audit.record(fs, wall_ms, "following a forced recovery is durable", facts)


def _retire(
    fs: FileSystem, wanted: Following, leader: Report, part_bytes: int, random: Random
) -> None:
    found = opened(fs, wanted.properties, part_bytes, (), random)
    for copy in wanted.retired:
        if copy.group == METADATA_GROUP:
            found.wal.stage_drop(copy.group)
        elif not copy.offline:
            node = leader.properties.node_id
            found.wal.stage_offline(
                copy.group, f"node {node} went on without it by a forced recovery"
            )
    found.write()
    found.close(clean=True)
    if any(copy.group == METADATA_GROUP for copy in wanted.retired):
        if fs.exists(METADATA_DIRECTORY):
            fs.rmtree(METADATA_DIRECTORY)
            fs.sync_directory("")
