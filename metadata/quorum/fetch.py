"""What observers ask of voters: committed entries, or the image when those are gone.

Two operations, their arguments and answers as CBOR lists:

    metadata_fetch     [next index, max bytes]  ->  [[term, leader or null, confirmed], rows]
    metadata_snapshot  [index or 0, cursor, max bytes]  ->  [index, cursor, data, done]

A row is `[index, term, kind, base, span, payload]`. `rows` is null when entry `next index` has
been compacted: the observer then reads a snapshot. With nothing new, an answer waits for up to
POLL_US. A snapshot is one encoding of the image, cut in chunks; `index` 0 asks for the newest, and
an answer for another index than asked says that the one asked for is not kept any more.

Any voter may answer: what it has applied is committed. How far behind it is, it cannot know.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from metadata.codec import ENTRY_BYTES_MAX
from metadata.image.snapshot import SNAPSHOT_BYTES_MAX
from metadata.quorum.application import MetadataApplication
from metadata.quorum.rpc import Answer, OnAnswer, Rpc
from raftlog.errors import PeerFault
from raftlog.seams import Reactor, Timer
from raftlog.types import MAX_TERM, Entry, EntryKind, LogPosition, ReplicaId

FETCH = "metadata_fetch"
SNAPSHOT = "metadata_snapshot"
POLL_US = 1_000_000
"""How long a voter keeps an observer waiting for news."""
CHUNK_BYTES_MAX = 256 * 1024
"""Of payload in one answer, unless a single entry is larger."""
ROWS_MAX = 1_000
SNAPSHOT_KEPT_US = 30_000_000
"""An encoded image that nobody reads from is dropped after this time."""
_INDEX_MAX = 2**63 - 1
_NODE_MAX = 2**31 - 1


class LeaderView(NamedTuple):
    """Whom a voter takes for the controller."""

    term: int
    node: int | None
    confirmed: bool


class Fetched(NamedTuple):
    """An answer to FETCH."""

    leader: LeaderView
    entries: tuple[Entry, ...] | None
    """None: compacted, read a snapshot."""


class Chunk(NamedTuple):
    """An answer to SNAPSHOT."""

    index: int  # type: ignore[assignment]  # takes the name of tuple.index
    """Position of the image."""
    cursor: int
    data: bytes
    done: bool


class Asked(NamedTuple):
    """What an observer last asked for."""

    next_index: int
    at_us: int


class _Poll(NamedTuple):
    next_index: int
    max_bytes: int
    on_answer: OnAnswer
    timer: Timer


class _Kept(NamedTuple):
    index: int  # type: ignore[assignment]  # takes the name of tuple.index
    data: bytes
    timer: Timer


class MetadataSource:
    """Serves a voter's log and image to observers; bounded by one poll per broker."""

    def __init__(self, reactor: Reactor, rpc: Rpc, app: MetadataApplication) -> None:
        self._reactor = reactor
        self._app = app
        self._polls: dict[int, _Poll] = {}
        self._armed: dict[int, None] = {}
        """Indexes whose being applied will wake the polls."""
        self._kept: _Kept | None = None
        self.asked: dict[ReplicaId, Asked] = {}
        """Only of brokers that were registered when another one first asked."""
        app.watch_leadership(lambda state: self._answer_all())
        rpc.serve(FETCH, self._fetch)
        rpc.serve(SNAPSHOT, self._snapshot)

    # --- entries

    def _fetch(self, sender: ReplicaId, arguments: Any, on_answer: OnAnswer) -> None:
        next_index, max_bytes = _numbers(arguments, (1, 1), FETCH)
        self._answer(sender.node)
        self._note(sender, next_index)
        if self._app.image.position.index >= next_index:
            on_answer(Answer(self._news(next_index, max_bytes)))
            return
        due = self._reactor.now_us() + POLL_US
        timer = self._reactor.call_at(due, lambda: self._answer(sender.node))
        self._polls[sender.node] = _Poll(next_index, max_bytes, on_answer, timer)
        if next_index not in self._armed:
            self._armed[next_index] = None
            self._app.when_applied(next_index, lambda: self._applied(next_index))

    def _note(self, sender: ReplicaId, next_index: int) -> None:
        if sender not in self.asked:
            known = {broker.replica for broker in self._app.image.brokers.values()}
            self.asked = {who: asked for who, asked in self.asked.items() if who in known}
        self.asked[sender] = Asked(next_index, self._reactor.now_us())

    def _news(self, next_index: int, max_bytes: int) -> list[Any]:
        state = self._app.state
        if state is None:
            view = LeaderView(0, None, False)
        else:
            node = None if state.leader is None else state.leader.node
            view = LeaderView(state.term, node, state.confirmed)
        return [list(view), self._rows(next_index, max_bytes)]

    def _rows(self, next_index: int, max_bytes: int) -> list[list[Any]] | None:
        log = self._app.log
        if next_index <= log.snapshot().position.index:
            return None
        high = min(self._app.image.position.index + 1, next_index + ROWS_MAX)
        if next_index >= high:
            return []
        entries = log.read(next_index, high, min(max_bytes, CHUNK_BYTES_MAX))
        return [
            [*entry[:2], int(entry.kind), *entry[3:5], bytes(entry.payload)] for entry in entries
        ]

    def _applied(self, index: int) -> None:
        del self._armed[index]
        applied = self._app.image.position.index
        for node in [n for n, poll in self._polls.items() if poll.next_index <= applied]:
            self._answer(node)

    def _answer_all(self) -> None:
        for node in list(self._polls):
            self._answer(node)

    def _answer(self, node: int) -> None:
        """Answer the poll of `node`, if there is one, with what there is."""
        poll = self._polls.pop(node, None)
        if poll is not None:
            poll.timer.cancel()
            poll.on_answer(Answer(self._news(poll.next_index, poll.max_bytes)))

    # --- snapshots

    def _snapshot(self, sender: ReplicaId, arguments: Any, on_answer: OnAnswer) -> None:
        index, cursor, max_bytes = _numbers(arguments, (0, 0, 1), SNAPSHOT)
        kept = self._keep(index)
        if index != kept.index:
            cursor = 0
        part = kept.data[cursor : cursor + min(max_bytes, CHUNK_BYTES_MAX)]
        done = cursor + len(part) >= len(kept.data)
        on_answer(Answer([kept.index, cursor, part, done]))

    def _keep(self, wanted: int) -> _Kept:
        """The encoded image that is being read, or for whoever begins the present one."""
        kept = self._kept
        present = self._app.image.position.index
        if kept is None or kept.index not in (wanted, present):
            index, data = present, self._app.snapshot()
        else:
            index, data = kept.index, kept.data
        if kept is not None:
            kept.timer.cancel()
        timer = self._reactor.call_at(self._reactor.now_us() + SNAPSHOT_KEPT_US, self._drop)
        self._kept = _Kept(index, data, timer)
        return self._kept

    def _drop(self) -> None:
        self._kept = None


# --- reading what came from another broker


def fetched(value: Any, after: LogPosition) -> Fetched:
    """A voter's answer to FETCH; PeerFault unless its entries follow `after` without a gap."""
    view, rows = _fields(value, (list, list | None), FETCH)
    term, node, confirmed = _fields(view, (int, int | None, bool), f"{FETCH}: leader")
    _within(term, 0, MAX_TERM, "leader's term")
    if node is not None:
        _within(node, 0, _NODE_MAX, "leader's node")
    leader = LeaderView(term, node, confirmed)
    if rows is None:
        return Fetched(leader, None)
    if len(rows) > ROWS_MAX:
        raise PeerFault(f"{FETCH}: {len(rows)} entries, at most {ROWS_MAX} are sent at once")
    entries = []
    for row in rows:
        entry = _entry(row, after)
        after = LogPosition(entry.index, entry.term, entry.end)
        entries.append(entry)
    return Fetched(leader, tuple(entries))


def _entry(row: Any, after: LogPosition) -> Entry:
    index, term, kind, base, span, payload = _fields(
        row, (int, int, int, int, int, bytes), f"{FETCH}: entry"
    )
    _within(index, after.index + 1, after.index + 1, "entry's index")
    _within(term, max(after.term, 1), MAX_TERM, "entry's term")
    _within(kind, min(EntryKind), max(EntryKind), "entry's kind")
    _within(base, after.offset, after.offset, "entry's base")
    _within(span, 0, _NODE_MAX if kind == EntryKind.DATA else 0, "entry's span")
    _within(len(payload), 0, ENTRY_BYTES_MAX, "entry's length")
    return Entry(index, term, EntryKind(kind), base, span, payload)


def chunk(value: Any) -> Chunk:
    """A voter's answer to SNAPSHOT; PeerFault unless it is one and makes progress."""
    index, cursor, data, done = _fields(value, (int, int, bytes, bool), SNAPSHOT)
    _within(index, 0, _INDEX_MAX, "snapshot's index")
    _within(cursor, 0, SNAPSHOT_BYTES_MAX, "snapshot's cursor")
    _within(len(data), 1, CHUNK_BYTES_MAX, "snapshot chunk's length")
    return Chunk(index, cursor, data, done)


def _numbers(arguments: Any, lows: tuple[int, ...], where: str) -> list[int]:
    numbers = _fields(arguments, (int,) * len(lows), where)
    for number, low in zip(numbers, lows, strict=True):
        _within(number, low, _INDEX_MAX, "argument")
    return numbers


def _fields(value: Any, types: tuple[Any, ...], where: str) -> list[Any]:
    if (
        type(value) is not list
        or len(value) != len(types)
        or not all(_is(part, wanted) for part, wanted in zip(value, types, strict=True))
    ):
        raise PeerFault(f"{where}: not a list of {len(types)} values of the right types")
    return value


def _is(part: object, wanted: Any) -> bool:
    return isinstance(part, wanted) and (wanted is bool or type(part) is not bool)


def _within(number: int, low: int, high: int, what: str) -> None:
    if not low <= number <= high:
        allowed = str(low) if low == high else f"{low} to {high}"
        raise PeerFault(f"{what} is {number}, expected {allowed}")
