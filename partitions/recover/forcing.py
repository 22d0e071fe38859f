"""Making this copy the only voter of the groups that an operator names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from random import Random
from typing import NamedTuple

from partitions.recover import audit
from partitions.recover.copies import Copy, Opened, opened
from raftlog.disk.forcing import forced_term, stage_sole_voter
from raftlog.disk.properties import (
    ABANDONED_MAX,
    Properties,
    Voter,
    next_recovery,
    read_properties,
    replace_properties,
)
from raftlog.errors import Misconfigured
from raftlog.seams import FileSystem
from raftlog.types import METADATA_GROUP, HardState, ReplicaId


class Forced(NamedTuple):
    """What was done, or (as a plan) would be."""

    properties: Properties
    """As they are then."""
    copies: tuple[Copy, ...]
    """The groups forced, as they were."""
    terms: tuple[int, ...]
    """Of their forced entries."""


def plan(
    properties: Properties,
    copies: Sequence[Copy],
    survivors: Iterable[ReplicaId],
    *,
    accept_worse: bool,
    digits: bytes,
) -> Forced:
    """What forcing `copies` would do; Misconfigured when one of them cannot or must not be.

    `survivors` are replicas on brokers that will be brought along, so they are not left for lost.
    `digits`: 8 random bytes for the recovery id.
    """
    me = properties.replica
    for copy in copies:
        _check(copy, me, accept_worse=accept_worse)
    kept = {me, *survivors}
    lost = {member for copy in copies for member in copy.others(me)} - kept
    abandoned = tuple(sorted({*properties.abandoned, *lost}))
    if len(abandoned) > ABANDONED_MAX:
        raise Misconfigured(
            f"{len(abandoned)} replicas would be left for lost, {ABANDONED_MAX} are the most; "
            "recover fewer groups, or give the reports of the survivors with --compare"
        )
    after = properties._replace(abandoned=abandoned)
    if any(copy.group == METADATA_GROUP for copy in copies):
        recovery = next_recovery(properties.recovery, digits)
        after = after._replace(voters=(_own_voter(properties),), recovery=recovery)
    terms = tuple([forced_term(copy.hard_state.term, copy.last.term) for copy in copies])
    return Forced(after, tuple(copies), terms)


def _check(copy: Copy, me: ReplicaId, *, accept_worse: bool) -> None:
    if copy.offline:
        raise Misconfigured(
            f"{copy.name}: this copy is out of service and must not lead: {copy.offline}"
        )
    if copy.alone(me):
        raise Misconfigured(
            f"{copy.name}: this copy is the only voter already; start the broker, it needs nobody"
        )
    if copy.group == METADATA_GROUP and not copy.last.index:
        raise Misconfigured(f"{copy.name}: this copy is empty, there is nothing to go on with")
    if not copy.votes(me) and not accept_worse:
        raise Misconfigured(
            f"{copy.name}: this copy is no voter, so that no commit waited for it, and it may lack "
            "much. Look for a voter's copy; if there is none, add --accept-worse-copy"
        )


def _own_voter(properties: Properties) -> Voter:
    for voter in properties.voters:
        if (voter.node_id, voter.directory_id) == properties.replica:
            return voter
    raise Misconfigured("metadata: meta.properties does not name this directory among the voters")


def force(fs: FileSystem, wanted: Forced, wall_ms: int, *, part_bytes: int, random: Random) -> None:
    """Carry a plan out, durably. The caller holds the directory's lock.

    The properties come first, see the package. Raises Misconfigured when the directory is not as it
    was when the plan was made, CorruptLog, DiskFailed and OSError.
    """
    before = read_properties(fs)
    groups = [copy.group for copy in wanted.copies]
    found = opened(fs, before, part_bytes, groups, random)
    _check_unchanged(found, wanted)
    facts = _facts(wanted)
    audit.record(fs, wall_ms, "forced recovery begins", facts)
    _save_founders(fs, found)
    if before != wanted.properties:
        replace_properties(fs, wanted.properties)
    me = wanted.properties.replica
    for copy, term in zip(wanted.copies, wanted.terms, strict=True):
        staged = stage_sole_voter(found.wal, copy.group, me, copy.hard_state, copy.last)
        assert staged == HardState(term, me), f"{copy.name}: {staged} instead of term {term}"
    found.write()
    found.close(clean=True)
    audit.record(fs, wall_ms, "forced recovery is durable", facts)


def _check_unchanged(found: Opened, wanted: Forced) -> None:
    for copy in wanted.copies:
        if found.copies.get(copy.group) != copy:
            found.close(clean=False)
            raise Misconfigured(
                f"{copy.name}: it has changed since it was looked at; has the broker run in "
                "between? Begin again"
            )


def _save_founders(fs: FileSystem, found: Opened) -> None:
    """Checkpoint the metadata group's log, whose founding configuration lies in its own files.

    A log without a checkpoint is founded anew at a start, by the voters in the properties: between
    their change and the forced entry this copy would be elected alone, in a term that is not new.
    """
    log = found.logs.get(METADATA_GROUP)
    if log is None:
        return
    checkpoint = log.checkpoint()
    log.sync_job()()
    fs.sync_directory("")
    found.wal.stage_checkpoint(METADATA_GROUP, checkpoint)
    found.write()


def _facts(wanted: Forced) -> dict[str, object]:
    properties = wanted.properties
    return {
        "cluster_id": properties.cluster_id,
        "node_id": properties.node_id,
        "directory_id": properties.directory_id.hex(),
        "recovery": properties.recovery,
        "abandoned": [f"{node}:{directory.hex()}" for node, directory in properties.abandoned],
        "groups": [
            {
                "group": copy.group,
                "name": copy.name,
                "last_term": copy.last.term,
                "last_index": copy.last.index,
                "end_offset": copy.last.offset,
                "forced_term": term,
                "former_voters": [str(voter.node) for voter in copy.configuration.voters],
            }
            for copy, term in zip(wanted.copies, wanted.terms, strict=True)
        ],
    }
