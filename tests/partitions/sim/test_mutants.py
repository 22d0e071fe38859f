"""The verdict is worth something: brokers with a fault put in are caught within a few seeds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from partitions.coordinators.groups.appending import Appender
from partitions.coordinators.groups.loading import Loader
from partitions.coordinators.groups.rewriting import Rewriter
from partitions.coordinators.groups.schemas import Change
from partitions.errors import ErrorCode
from partitions.replicas.interface import AppendOutcome
from partitions.replicas.replica import PartitionReplica
from partitions.storage.producers import ACCEPTED, ProducerTable
from partitions.testing import Failure, run_seed
from raftlog.core import Node
from raftlog.core.roles import Leader
from raftlog.disk.wal import Wal
from raftlog.engine.offline import OfflineGroups
from raftlog.types import ReplicaId

Break = Callable[[pytest.MonkeyPatch], None]
SEEDS = range(1, 13)


def seeds(first: int) -> list[int]:
    """All of them; the one that is known to show the fault, first."""
    return sorted(SEEDS, key=lambda seed: seed != first)


def acknowledge_before_commit(patch: pytest.MonkeyPatch) -> None:
    """acks=all is answered when the leader has appended."""
    append = PartitionReplica.append

    def hasty(self: PartitionReplica, batch: Any, header: Any, *, acks: int, on_done: Any) -> Any:
        outcome = append(self, batch, header, acks=1, on_done=on_done)
        assert isinstance(outcome, AppendOutcome)
        self._reactor.call_soon(lambda: on_done(outcome))

    patch.setattr(PartitionReplica, "append", hasty)


def never_sync(patch: pytest.MonkeyPatch) -> None:
    """The write-ahead log says durable and is not."""

    def empty(self: Wal) -> Callable[[], None]:
        target = self._last_round
        return lambda: self._completed.append(target)

    patch.setattr(Wal, "sync_job", empty)


def accept_every_sequence(patch: pytest.MonkeyPatch) -> None:
    """A batch sent again is appended again."""
    patch.setattr(ProducerTable, "check", lambda self, header: ACCEPTED)


def followers_keep_no_producers(patch: pytest.MonkeyPatch) -> None:
    """A new leader knows nothing of what its predecessor was sent."""
    appended = ProducerTable.appended

    def leaders_only(self: ProducerTable, header: Any, base: int) -> None:
        if self._ahead:
            appended(self, header, base)

    patch.setattr(ProducerTable, "appended", leaders_only)


def serve_what_is_not_committed(patch: pytest.MonkeyPatch) -> None:
    """Consumers read up to the leader's end."""
    end = property(lambda self: self.group_handle.node.next_offset, lambda self, value: None)
    patch.setattr(PartitionReplica, "high_watermark", end, raising=False)


def trim_leaders_only(patch: pytest.MonkeyPatch) -> None:
    """Followers keep what was deleted."""
    committed = PartitionReplica.committed

    def lazy(self: PartitionReplica, index: int, offset: int) -> None:
        if not self.is_leader:
            self._controls.clear()
        committed(self, index, offset)

    patch.setattr(PartitionReplica, "committed", lazy)


def vouch_for_what_a_follower_once_knew(patch: pytest.MonkeyPatch) -> None:
    """A follower that restarted is covered at once, refuses, and never hears its leader."""
    cover = Node.cover

    def stale(self: Node, replica: ReplicaId, covered: bool) -> None:
        state = self._replica.state
        progress = state.peers.get(replica) if type(state) is Leader else None
        known = 0 if progress is None else progress.known_commit
        cover(self, replica, covered)
        if progress is not None:
            progress.known_commit = known

    patch.setattr(Node, "cover", stale)


def trust_the_disk(patch: pytest.MonkeyPatch) -> None:
    """Batches are handed to consumers and to followers as they are found."""

    class Fits:
        def __ne__(self, other: object) -> bool:
            return False

    patch.setattr("partitions.storage.reading.crc32c", lambda data: Fits())
    patch.setattr("partitions.storage.segment.crc_matches", lambda batch, header: True)


def go_on_with_a_bad_log(patch: pytest.MonkeyPatch) -> None:
    """A replica that found its log damaged says so and stays in the group."""
    patch.setattr(OfflineGroups, "take", lambda self, group, reason: None)


def forget_the_duplicate(patch: pytest.MonkeyPatch) -> None:
    """A batch sent again is acknowledged at the end of the log."""

    def end(self: PartitionReplica, duplicate: Any, acks: int, on_done: Any) -> None:
        outcome = AppendOutcome(ErrorCode.NONE, self.end_offset, -1, self.log_start_offset)
        self._reactor.call_soon(lambda: on_done(outcome))

    patch.setattr(PartitionReplica, "_answer_duplicate", end)


def answer_groups_before_commit(patch: pytest.MonkeyPatch) -> None:
    """A coordinator applies and answers what it has appended."""
    append = Appender._append

    def hasty(self: Appender, batch: Any) -> None:
        append(self, batch)
        batch.outcome = batch.outcome or ErrorCode.NONE

    patch.setattr(Appender, "_append", hasty)


def serve_groups_before_they_are_loaded(patch: pytest.MonkeyPatch) -> None:
    """A new coordinator knows nothing, and says so as if that were all."""
    patch.setattr(Loader, "start", lambda self: self._later(self._done))


def shorten_without_writing_again(patch: pytest.MonkeyPatch) -> None:
    """A log of groups is trimmed, and what was live in it goes too."""

    def nothing(self: Rewriter) -> list[Change]:
        self._keys = []
        return []

    patch.setattr(Rewriter, "_some", nothing)


@pytest.mark.sim
@pytest.mark.parametrize(
    "broken, scenario, known",
    [
        (acknowledge_before_commit, "cut", 1),
        (never_sync, "power", 1),
        (accept_every_sequence, "cut", 3),
        (followers_keep_no_producers, "storm", 3),
        (serve_what_is_not_committed, "cut", 1),
        (trim_leaders_only, "behind", 1),
        (vouch_for_what_a_follower_once_knew, "idle", 1),
        (forget_the_duplicate, "cut", 1),
        (trust_the_disk, "rot", 8),
        (go_on_with_a_bad_log, "rot", 8),
        (answer_groups_before_commit, "groups", 8),
        (serve_groups_before_they_are_loaded, "groups", 1),
        (shorten_without_writing_again, "groups", 1),
    ],
)
def test_mutant_is_caught(
    broken: Break, scenario: str, known: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken(monkeypatch)
    outcomes = (run_seed(scenario, seed) for seed in seeds(known))
    failure = next((found for found in outcomes if isinstance(found, Failure)), None)
    assert failure is not None, f"no seed of {scenario} noticed"
    assert "again: python -m partitions.testing" in failure.report
    print(failure.report.splitlines()[0])
