"""Idempotent producers of one partition: what has been appended, to refuse what was already.

The table is a function of the log's data entries (KIP-98): any replica that holds the same
entries holds the same table, and cutting the log takes the table back. A leader tells it of a
batch when it proposes it (`append`), before the log writes the entry, so that the next batch
of the same pass is checked against it; the log confirms, or, when the entry never came to be,
the log's next entry makes the table forget it.

The verdicts are Kafka's since KIP-360: a producer of which nothing is known may begin at any
sequence, because its topic was made anew, or it was silent for too long. Nothing known must
then mean nothing in the log; so the table goes up to the log's end whenever it is asked
(recovery, truncation and snapshots see to it), and trims of the log take nothing out of it.

Bounded by `producers_max` and by silence measured in batch timestamps. Forgetting happens at
entries only, never by a clock, so that replicas agree on it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

from partitions.records import BatchHeader
from partitions.storage.errors import InvalidProducerEpoch, OutOfOrderSequence

BATCHES_KEPT = 5
"""Kafka clients have at most five requests in flight (KIP-98)."""
UNDO_MAX = 256
"""Batches that a truncation takes back without reading the log again."""
SWEEP_OFFSETS = 4096
"""Expired producers are dropped by the entry that crosses a multiple of this offset."""
_SEQUENCE_MASK = 0x7FFF_FFFF


class KeptBatch(NamedTuple):
    """One of a producer's last batches."""

    base_sequence: int
    last_sequence: int
    base_offset: int
    end_offset: int
    timestamp: int
    """The batch's maximum timestamp, ms."""


class ProducerState(NamedTuple):
    """A producer's last batches, oldest first."""

    epoch: int
    batches: tuple[KeptBatch, ...]
    timestamp: int
    """Of the last batch, ms."""
    offset: int
    """Base offset of the last batch, markers included."""


class Accepted(NamedTuple):
    """The batch is the next one of its producer."""


class Duplicate(NamedTuple):
    """The batch was appended before; answer as then, once `end_offset` is committed."""

    base_offset: int
    timestamp: int
    end_offset: int


ACCEPTED = Accepted()


class _Undo(NamedTuple):
    base: int
    end: int
    clock: int
    was: tuple[tuple[int, ProducerState | None], ...]
    """States before the batch of every producer that it changed or dropped."""


class ProducerTable:
    """See the module. Offsets are Kafka's; `end` is the end offset of the last batch noted."""

    def __init__(self, producers_max: int, expiration_ms: int) -> None:
        self._max = producers_max
        self._expiration_ms = expiration_ms
        self._states: dict[int, ProducerState] = {}
        self._undo: deque[_Undo] = deque()
        self._lost = 0
        """End offset up to which batches can no longer be taken back."""
        self._ahead: deque[tuple[int, int, int, int]] = deque()
        """(base, producer, epoch, sequence) noted by `append` and not yet by the log."""
        self.clock_ms = -1
        """Largest timestamp of these producers' batches: what silence is measured against."""

    def __len__(self) -> int:
        return len(self._states)

    def state(self, producer_id: int) -> ProducerState | None:
        """What is known of a producer."""
        return self._states.get(producer_id)

    def states(self) -> Iterable[tuple[int, ProducerState]]:
        """(producer id, state) of all that are remembered."""
        return self._states.items()

    # --- before the append

    def check(self, header: BatchHeader) -> Accepted | Duplicate:
        """May this batch of a client be appended?

        Raises InvalidProducerEpoch, OutOfOrderSequence.
        """
        state = self._states.get(header.producer_id)
        epoch, base = header.producer_epoch, header.base_sequence
        if state is None:
            return ACCEPTED
        if epoch < state.epoch:
            raise InvalidProducerEpoch(
                f"producer {header.producer_id} has epoch {state.epoch} here, the batch {epoch}"
            )
        if epoch > state.epoch or not state.batches:
            if base != 0:
                raise OutOfOrderSequence(
                    f"producer {header.producer_id} starts epoch {epoch} at sequence {base}"
                )
            return ACCEPTED
        if base == (state.batches[-1].last_sequence + 1) & _SEQUENCE_MASK:
            return ACCEPTED
        return _repeated(header, state)

    # --- the append

    def append(self, header: BatchHeader, base: int) -> None:
        """A leader proposes the batch at offset `base`; nothing happens without a producer id."""
        if header.producer_id >= 0:
            self._ahead.append(
                (base, header.producer_id, header.producer_epoch, header.base_sequence)
            )
            self._note(header, base)

    def appended(self, header: BatchHeader, base: int) -> None:
        """The log wrote the batch at offset `base`; called for every data entry, in order."""
        if self._ahead and self._confirmed(header, base):
            return
        if header.producer_id >= 0:
            self._note(header, base)

    def _confirmed(self, header: BatchHeader, base: int) -> bool:
        first = self._ahead[0]
        identity = (base, header.producer_id, header.producer_epoch, header.base_sequence)
        if first == identity:
            self._ahead.popleft()
            return True
        if first[0] < base + header.last_offset_delta + 1 or header.producer_id >= 0:
            self.forget_unwritten()
        return False

    def forget_unwritten(self) -> None:
        """Take back what was proposed and never written: the leadership ended before."""
        if self._ahead:
            self.truncate(self._ahead[0][0])

    def _note(self, header: BatchHeader, base: int) -> None:
        producer, end = header.producer_id, base + header.last_offset_delta + 1
        old = self._states.get(producer)
        was: list[tuple[int, ProducerState | None]] = [(producer, old)]
        clock = self.clock_ms
        self.clock_ms = max(clock, header.max_timestamp)
        if base // SWEEP_OFFSETS != end // SWEEP_OFFSETS:
            was += self._sweep(producer)
        if old is None and len(self._states) >= self._max:
            was += self._drop_silent()
        self._states[producer] = _after(old, header, base, end)
        self._push(_Undo(base, end, clock, tuple(was)))

    def _push(self, undo: _Undo) -> None:
        self._undo.append(undo)
        if len(self._undo) > UNDO_MAX + len(self._ahead):
            self._lost = self._undo.popleft().end

    def _sweep(self, keep: int) -> list[tuple[int, ProducerState | None]]:
        horizon = self.clock_ms - self._expiration_ms
        gone = [
            (producer, state)
            for producer, state in self._states.items()
            if state.timestamp < horizon and producer != keep
        ]
        return self._drop(gone)

    def _drop_silent(self) -> list[tuple[int, ProducerState | None]]:
        """Full: drop the quarter that has not written for longest, by offset."""
        order = sorted(self._states.items(), key=lambda item: item[1].offset)
        return self._drop(order[: max(1, self._max // 4)])

    def _drop(
        self, gone: list[tuple[int, ProducerState]]
    ) -> list[tuple[int, ProducerState | None]]:
        for producer, _ in gone:
            del self._states[producer]
        return [(producer, state) for producer, state in gone]

    # --- taking back

    def truncate(self, offset: int) -> bool:
        """Forget the batches at or after `offset`.

        False: that lies too far back; the table is useless until it is read from the log anew.
        """
        if offset < self._lost:
            return False
        while self._undo and self._undo[-1].base >= offset:
            _take_back(self._states, undo := self._undo.pop())
            self.clock_ms = undo.clock
        while self._ahead and self._ahead[-1][0] >= offset:
            self._ahead.pop()
        return True

    def settled(self, offset: int) -> None:
        """Batches below `offset` are committed: they will never be taken back."""
        undo = self._undo
        while undo and undo[0].end <= offset:
            self._lost = undo.popleft().end

    # --- for snapshots

    def written(self) -> tuple[int, dict[int, ProducerState]]:
        """(clock, states) as the log has them, without what is only proposed."""
        if not self._ahead:
            return self.clock_ms, self._states
        states, clock = dict(self._states), self.clock_ms
        for undo in reversed(self._undo):
            if undo.base < self._ahead[0][0]:
                break
            _take_back(states, undo)
            clock = undo.clock
        return clock, states

    def restore(self, offset: int, clock_ms: int, states: dict[int, ProducerState]) -> None:
        """Become the table that `written` returned when the log ended at `offset`."""
        self._states = dict(states)
        self.clock_ms = clock_ms
        self._undo.clear()
        self._ahead.clear()
        self._lost = offset


def _take_back(states: dict[int, ProducerState], undo: _Undo) -> None:
    for producer, state in undo.was:
        if state is None:
            states.pop(producer, None)
        else:
            states[producer] = state


def _after(old: ProducerState | None, header: BatchHeader, base: int, end: int) -> ProducerState:
    epoch, timestamp = header.producer_epoch, header.max_timestamp
    batches = old.batches if old is not None and old.epoch == epoch else ()
    if header.base_sequence < 0:
        # A transaction's marker: it may raise the epoch, and takes no sequence.
        return ProducerState(epoch, batches, timestamp, base)
    if len(batches) == BATCHES_KEPT:
        batches = batches[1:]
    kept = KeptBatch(header.base_sequence, header.last_sequence, base, end, timestamp)
    return ProducerState(epoch, (*batches, kept), timestamp, base)


def _repeated(header: BatchHeader, state: ProducerState) -> Duplicate:
    """A batch that is not the next one: one of the last five, or wrong."""
    base, last = header.base_sequence, header.last_sequence
    for kept in state.batches:
        if kept.base_sequence == base and kept.last_sequence == last:
            return Duplicate(kept.base_offset, kept.timestamp, kept.end_offset)
    expected = (state.batches[-1].last_sequence + 1) & _SEQUENCE_MASK
    raise OutOfOrderSequence(
        f"producer {header.producer_id}: sequence {expected} is next, the batch starts at {base}"
    )
