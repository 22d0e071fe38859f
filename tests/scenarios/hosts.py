"""Mistakes around the core: disks, engines, partitions."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from pytest import MonkeyPatch

from partitions.records import parse_header
from partitions.replicas.replica import PartitionReplica
from partitions.storage import terms
from partitions.storage.producers import ProducerTable
from partitions.storage.segmented import SegmentedLog
from raftlog.core import following
from raftlog.disk import wal_opening, wal_recovery
from raftlog.disk.segment_log import SegmentLog
from raftlog.disk.wal_staging import Staging
from raftlog.disk.wal_state import Fact
from raftlog.engine import Engine
from raftlog.engine.peers import Peer
from raftlog.ready import SoftState
from raftlog.testing.disk import VirtualFile
from raftlog.types import Role


def takes_a_failed_sync_for_done(patch: MonkeyPatch) -> None:
    """The error is not looked at, and the broker goes on leading."""
    right = VirtualFile.sync

    def sync(self: VirtualFile) -> None:
        with suppress(OSError):
            right(self)

    patch.setattr(VirtualFile, "sync", sync)


def keeps_configurations_that_were_cut_on_disk(patch: MonkeyPatch) -> None:
    """A log's files forget an entry that is cut, but not the configuration in it."""
    right = SegmentLog.truncate

    def truncate(self: SegmentLog, first: int) -> None:
        known = list(self._configurations)
        right(self, first)
        self._configurations = known

    patch.setattr(SegmentLog, "truncate", truncate)


def syncs_again_after_a_failure(patch: MonkeyPatch) -> None:
    """A log's files are synced by the next job as if nothing had happened."""
    forgetful = property(lambda self: None, lambda self, error: None)
    patch.setattr(SegmentLog, "_failed", forgetful, raising=False)


def believes_the_page_cache(patch: MonkeyPatch) -> None:
    """What recovery could read is taken for durable, and not copied."""
    patch.setattr(
        wal_opening,
        "_replace_unproven",
        lambda fs, directory, listing, result, random: result.parts,
    )


def lets_checkpoints_vouch_for_what_was_cut(patch: MonkeyPatch) -> None:
    """A checkpoint on its way to the disk counts, whatever was truncated since it was staged."""
    right = Staging.stage_truncate

    def stage(self: Staging, group: int, first_index: int) -> None:
        marks = [
            (mark, mark.value)
            for mark in (*self._ledger.pending, *self._marks)
            if mark.fact is Fact.CHECKPOINT
        ]
        right(self, group, first_index)
        for mark, value in marks:
            mark.value = value

    patch.setattr(Staging, "stage_truncate", stage)


def cuts_at_any_damage(patch: MonkeyPatch) -> None:
    """Damaged bytes end the log as a torn write does, also where it had been durable."""
    patch.setattr(wal_recovery, "_refuse_proof", lambda rest, position, number, directory: None)
    patch.setattr(wal_opening, "_refuse_lost", lambda directory, witness, result: None)


def starts_as_new_without_its_log(patch: MonkeyPatch) -> None:
    """Nobody remembers that there was a write-ahead log."""
    patch.setattr(wal_opening, "_refuse_lost", lambda directory, witness, result: None)


def reports_rounds_before_they_are_durable(patch: MonkeyPatch) -> None:
    """The core hears that a round is stored when it is written."""
    right = Engine._write_round

    def write_round(self: Engine, decided: Any) -> None:
        right(self, decided)
        for group, ready in decided:
            if ready.must_store:
                group.node.stored(ready.number)

    patch.setattr(Engine, "_write_round", write_round)


def vouches_for_ever(patch: MonkeyPatch) -> None:
    """What one peer heartbeat covered stays covered, silence or not."""
    patch.setattr(Peer, "check", lambda self, now, patience_us, groups, touched: None)
    patch.setattr(Peer, "disconnected", lambda self, now, groups, touched: None)


def takes_entries_at_any_offset(patch: MonkeyPatch) -> None:
    """A follower does not compare offsets: the map of its log differs from the leader's."""
    patch.setattr(following, "check_offset", lambda log, entry: None)


def believes_entries_about_their_offsets(patch: MonkeyPatch) -> None:
    """What an entry says of its batch is written down, whatever the batch says."""
    patch.setattr(SegmentedLog, "_checked_header", lambda self, entry: parse_header(entry.payload))


def keeps_producers_of_what_was_cut(patch: MonkeyPatch) -> None:
    """Sequences are remembered apart from the log, and not rolled back with it."""
    patch.setattr(ProducerTable, "truncate", lambda self, offset: True)


def keeps_proposals_that_were_never_written(patch: MonkeyPatch) -> None:
    """What a deposed leader had proposed still counts as appended."""
    patch.setattr(ProducerTable, "forget_unwritten", lambda self: None)


def shows_a_term_before_it_is_confirmed(patch: MonkeyPatch) -> None:
    """A new leader serves, and names its term as the epoch, before its no-op is committed."""
    right = PartitionReplica.leadership

    def leadership(self: PartitionReplica, state: SoftState) -> None:
        right(self, state._replace(confirmed=state.role is Role.LEADER))

    patch.setattr(PartitionReplica, "leadership", leadership)


def knows_epochs_by_their_number_alone(patch: MonkeyPatch) -> None:
    """Epochs are taken to be consecutive: one that wrote nothing has no end to tell."""

    def end_of_epoch(epochs: Any, asked: int, end_offset: int) -> tuple[int, int]:
        known = dict(epochs)
        if asked not in known:
            return terms.UNDEFINED
        return asked, known.get(asked + 1, end_offset)

    patch.setattr("partitions.storage.log.end_of_epoch", end_of_epoch)
