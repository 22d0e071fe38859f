"""The write-ahead log of one data directory, shared by all its groups.

Use, on the loop thread unless said otherwise:

    wal, recovered = Wal.open(fs, "wal", random=random)
    ... open each GroupLog with recovered.groups[g], then recovered.replay(...) ...
    wal.stage_entries(group, entries); wal.stage_hard_state(group, state)
    number = wal.write_round()          one write of everything staged
    job = wal.sync_job()                run on the storage thread
    wal.synced(number)                  back on the loop: the round is durable

What is staged in one round is written in the order of staging. A crash keeps a prefix of the
rounds, whole ones only. A failed write or sync is final (DiskFailed): the kernel may have
dropped the pages, so nothing after it can be trusted; every later call raises it again.

Recycling: `retirable()` names the parts that are complete and durable. For each, oldest
first: sync the GroupLogs of its `dirty` groups and stage their checkpoints, call
`carry_forward`, write a round, and when that is durable call `recycle`. `prepare_spare_job`
then turns the file into a spare (or deletes it) in the background.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from random import Random
from typing import Final

from crc32c import crc32c

from raftlog.disk import wal_opening
from raftlog.disk.wal_format import (
    FLAG_CLEAN,
    PART_HEADER_BYTES,
    RECORDS_MAX,
    ROUND_HEADER_BYTES,
    ROW_BYTES,
    PartHeader,
    RoundHeader,
    encode_part_header,
    encode_round_header,
    new_epoch,
)
from raftlog.disk.wal_ledger import Ledger
from raftlog.disk.wal_replay import Recovered, RecoveredGroup
from raftlog.disk.wal_spares import Spares
from raftlog.disk.wal_staging import Staging
from raftlog.disk.wal_state import Part, RetirablePart, WalStatistics, make_durable
from raftlog.errors import DiskFailed
from raftlog.seams import File, FileSystem
from raftlog.types import Buffer

__all__ = ["PART_BYTES", "Recovered", "RecoveredGroup", "RetirablePart", "Wal", "WalStatistics"]

PART_BYTES: Final = 64 * 1024 * 1024


class Wal(Staging):
    """See the module. Built by `Wal.open` only."""

    def __init__(
        self,
        fs: FileSystem,
        directory: str,
        spares: Spares,
        opening: wal_opening.Opening,
        *,
        part_bytes: int,
        random: Random,
    ) -> None:
        groups = {group: book.state for group, book in opening.books.groups.items()}
        super().__init__(Ledger(opening.parts, groups, opening.low))
        self._fs = fs
        self._directory = directory
        self._spares = spares
        self._witness = opening.witness
        self._part_bytes = part_bytes
        self._random = random
        self._failed: Exception | None = None
        self._sealed = True
        """The next round begins a new part: an earlier run's epochs are never written again."""
        self._next_sequence = opening.next_sequence
        self._previous_epoch = opening.parts[-1].epoch if opening.parts else 0
        """Of the newest part there ever was, even if it is retired."""
        self._owed = False
        """A round must be written although nothing is staged: `low` rose."""
        self._last_round = self._durable = opening.last_round
        self._completed: list[int] = []
        """Rounds covered by sync jobs that returned; appended to by storage threads."""
        self._unsynced: deque[tuple[int, int]] = deque()
        """(round, bytes), oldest first."""
        self._rounds = self._written_bytes = self._syncs = self._rolls = self._cold_rolls = 0

    @classmethod
    def open(
        cls,
        fs: FileSystem,
        directory: str,
        *,
        part_bytes: int = PART_BYTES,
        spare_parts: int = 1,
        random: Random,
    ) -> tuple[Wal, Recovered]:
        """Recover what is in `directory` (made when missing). Blocks; call it before the loop.

        `random` draws the epochs: in production it must be seeded by the operating system.
        Raises CorruptLog when durable bytes have changed, DiskFailed when the disk errs.
        """
        spares = Spares(fs, directory, part_bytes, spare_parts)
        try:
            opening = wal_opening.recover(fs, directory, spares, random)
        except OSError as error:
            raise DiskFailed(f"write-ahead log {directory}: {error}") from error
        wal = cls(fs, directory, spares, opening, part_bytes=part_bytes, random=random)
        return wal, opening.recovered

    def write_round(self) -> int:
        """Write everything staged; the round's number, or 0 when nothing was staged.

        More than RECORDS_MAX records make several rounds, of which the last is returned.
        """
        self._check()
        if not self._rows and not self._owed:
            return 0
        return self._write(0)

    def _write(self, flags: int) -> int:
        rows, payloads = self._rows, self._payloads
        count = -(-len(rows) // RECORDS_MAX) or 1
        size = count * ROUND_HEADER_BYTES + len(rows) * ROW_BYTES + self._payload_bytes
        vectors: list[Buffer] = []
        part = self._part_for(size, vectors)
        at = part.end if not vectors else 0
        for start in range(0, count * RECORDS_MAX, RECORDS_MAX):
            if count == 1:
                self._add_round(vectors, part, flags, rows, payloads)
            else:
                end = start + RECORDS_MAX
                self._add_round(vectors, part, flags, rows[start:end], payloads[start:end])
        try:
            part.file.pwrite(vectors, at)
        except OSError as error:
            raise self._refuse(error) from error
        part.end += size
        part.capacity = max(part.capacity, part.end)
        self._account(part, size)
        return self._last_round

    def _add_round(
        self,
        vectors: list[Buffer],
        part: Part,
        flags: int,
        rows: list[bytes],
        payloads: list[Buffer],
    ) -> None:
        table = b"".join(rows)
        crc = crc32c(table, part.salt)
        body_bytes = len(table)
        for payload in payloads:
            crc = crc32c(payload, crc)
            body_bytes += len(payload)
        self._last_round += 1
        header = RoundHeader(
            flags, self._last_round, self._durable, self._ledger.low, len(rows), body_bytes, crc
        )
        vectors.append(encode_round_header(part.epoch, header) + table)
        vectors.extend(payloads)

    def _account(self, part: Part, size: int) -> None:
        number = part.last_round = self._last_round
        part.entries.update(self._staged_last)
        for mark in self._marks:
            mark.round = number
        self._ledger.pending.extend(self._marks)
        self._rows, self._payloads, self._marks = [], [], []
        self._payload_bytes = 0
        self._staged_last.clear()
        self._owed = False
        self._unsynced.append((number, size))
        self._rounds += 1
        self._written_bytes += size

    def _part_for(self, size: int, vectors: list[Buffer]) -> Part:
        """The part for a round of `size`; a new part's header goes in front of `vectors`."""
        if not self._sealed:
            part = self._ledger.parts[-1]
            if part.end + size <= self._part_bytes:
                return part
        spare = self._spares.take(PART_HEADER_BYTES + size)
        try:
            part = self._new_part(spare)
        except OSError as error:
            raise self._refuse(error) from error
        previous, self._previous_epoch = self._previous_epoch, part.epoch
        self._ledger.parts.append(part)
        self._sealed = False
        self._rolls += 1
        self._next_sequence += 1
        rest = (part.first_round, self._durable, self._ledger.low, part.sequence, part.capacity)
        header = PartHeader(part.sequence, part.epoch, previous, *rest)
        vectors.append(encode_part_header(header))
        return part

    def _new_part(self, spare: tuple[str, File] | None) -> Part:
        epoch = new_epoch(self._random, self._next_sequence)
        if spare is not None:
            part = Part(*spare, self._next_sequence, epoch, self._last_round + 1)
            part.capacity = self._part_bytes
            return part
        self._cold_rolls += 1
        name = self._spares.new_name()
        file = self._fs.open(f"{self._directory}/{name}", create=True)
        part = Part(name, file, self._next_sequence, epoch, self._last_round + 1)
        part.directory_synced = False
        return part

    def _check(self) -> None:
        if self._failed is not None:
            raise self._failed

    def _refuse(self, error: OSError) -> DiskFailed:
        """Remember the failure for good, and give it its final form."""
        failure = DiskFailed(
            f"write-ahead log {self._directory}: {error}. What was written last may be lost and "
            "this process must end; see the system's log for the device's state"
        )
        self._failed = self._failed or failure
        return failure

    # Durability -----------------------------------------------------------------------

    @property
    def last_round(self) -> int:
        """Number of the newest round written; 0 for a new log."""
        return self._last_round

    @property
    def durable_round(self) -> int:
        """Number of the newest round known to be durable."""
        return self._durable

    def sync_job(self) -> Callable[[], None]:
        """A blocking job that makes every round written so far durable; DiskFailed.

        Run it once, on any thread. Jobs made later may run at the same time or after it.
        """
        return self._sync_job(self._last_round)

    def _sync_job(self, claim: int) -> Callable[[], None]:
        target = self._last_round
        parts = [part for part in self._ledger.parts if part.last_round > self._durable]

        def work() -> None:
            self._check()
            try:
                make_durable(self._fs, self._directory, parts)
                self._witness.testify(claim, parts)
            except OSError as error:
                raise self._refuse(error) from error
            self._completed.append(target)

        return work

    def synced(self, round_number: int) -> None:
        """A sync job that was made after `round_number` was written has returned.

        ValueError when none has: nothing may be called durable before it is.
        """
        self._check()
        completed, self._completed = self._completed, []
        self._syncs += len(completed)
        durable = max(completed, default=self._durable)
        if durable > self._durable:
            self._durable = durable
            self._ledger.durable(durable)
            while self._unsynced and self._unsynced[0][0] <= durable:
                self._unsynced.popleft()
        if round_number > self._durable:
            raise ValueError(f"round {round_number} is not durable, {self._durable} is the last")

    # Recycling ------------------------------------------------------------------------

    def retirable(self) -> list[RetirablePart]:
        """Parts that are complete and durable, oldest first; costs time per group."""
        parts = self._ledger.parts if self._sealed else self._ledger.parts[:-1]
        return [
            RetirablePart(
                part.sequence,
                part.end,
                self._ledger.dirty(part),
                tuple(state.group for state in self._ledger.held(part.sequence)),
            )
            for part in parts
            if part.last_round <= self._durable
        ]

    def recycle(self, sequence: int) -> bool:
        """The oldest part is no longer needed. False, and nothing happens, when it still is.

        It still is when a group's checkpoint could not be staged because its log was cut in
        the meantime; `retirable` then names the group again. The file is reused or removed by
        `prepare_spare_job` once a further round (the next one, written even if nothing else
        is staged) is durable. ValueError for a part that is not the oldest complete one.
        """
        self._check()
        if self._ledger.part(sequence).last_round > self._durable:
            raise ValueError(f"part {sequence} has rounds that are not durable")
        if sequence == self.active_sequence:
            raise ValueError(f"part {sequence} is being written to")
        part = self._ledger.retire(sequence, self._last_round + 1)
        if part is None:
            return False
        self._spares.retire(part, self._last_round + 1)
        self._owed = True
        return True

    def prepare_spare_job(self) -> Callable[[], None] | None:
        """Blocking work for the background lane, or None when there is none.

        Releases recycled parts and allocates spares (zeros written and synced). A full disk
        is not an error: see `statistics().spare_failed` and `room_bytes`.
        """
        self._check()
        work = self._spares.job(self._durable)
        if work is None:
            return None

        def job() -> None:
            self._check()
            try:
                work()
            except OSError as error:
                raise self._refuse(error) from error

        return job

    def room_bytes(self) -> int:
        """Bytes that can be staged and written into space that is allocated already."""
        room = len(self._spares) * (self._part_bytes - PART_HEADER_BYTES)
        if not self._sealed:
            part = self._ledger.parts[-1]
            room += max(0, part.capacity - part.end)
        return room

    @property
    def active_sequence(self) -> int:
        """Sequence of the part being written to; it changes when the log rolls. 0: none yet."""
        return 0 if self._sealed else self._ledger.parts[-1].sequence

    @property
    def spares(self) -> int:
        """Allocated parts in waiting."""
        return len(self._spares)

    @property
    def part_used_bytes(self) -> int:
        """Bytes written since the last roll."""
        return 0 if self._sealed else self._ledger.parts[-1].end

    def statistics(self) -> WalStatistics:
        """Counters and sizes as of now."""
        return WalStatistics(
            rounds=self._rounds,
            bytes=self._written_bytes,
            syncs=self._syncs,
            last_round=self._last_round,
            durable_round=self._durable,
            unsynced_bytes=sum(size for _, size in self._unsynced),
            staged_bytes=self._payload_bytes + len(self._rows) * ROW_BYTES,
            parts=len(self._ledger.parts),
            part_bytes_used=sum(part.end for part in self._ledger.parts),
            spares=len(self._spares),
            rolls=self._rolls,
            rolls_without_spare=self._cold_rolls,
            room_bytes=self.room_bytes(),
            spare_failed=self._spares.failed,
        )

    def close(self, *, clean: bool = True) -> None:
        """Release files. `clean`: first write and sync what is staged, and a clean mark.

        Blocks. Background jobs must have ended. A Wal that failed is closed without a mark.
        """
        try:
            if clean and self._failed is None:
                self.write_round()
                last = self._last_round
                self.sync_job()()
                self.synced(last)
                self._witness.sync()
                self._write(FLAG_CLEAN)
                # The next run gives the mark's number to a round: it is not claimed.
                self._sync_job(last)()
        finally:
            self._failed = self._failed or ValueError("the write-ahead log is closed")
            for part in self._ledger.parts:
                part.file.close()
            self._spares.close()
            self._witness.close()
