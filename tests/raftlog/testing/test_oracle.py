"""The referees on hand-made histories: each complaint, and the silence where all is well."""

from __future__ import annotations

import pytest

from raftlog.messages import AppendReply, Heartbeat, VoteReply, VoteRequest
from raftlog.testing.history import History, Violation
from raftlog.testing.promises import Promises
from raftlog.testing.store import Image, Round
from raftlog.testing.workload import Ledger, Operation
from raftlog.types import (
    ZERO_POSITION,
    Configuration,
    Entry,
    EntryKind,
    HardState,
    ReplicaId,
    SnapshotMeta,
)

A, B, C = (ReplicaId(n, bytes([n]) * 16) for n in (1, 2, 3))


def entry(index: int, term: int, payload: bytes = b"x") -> Entry:
    return Entry(index, term, EntryKind.DATA, index - 1, 1, payload)


def image(term: int, vote: ReplicaId | None, *terms: int) -> Image:
    found = Image(SnapshotMeta(ZERO_POSITION, Configuration((A, B, C))))
    entries = tuple(entry(index, t) for index, t in enumerate(terms, 1))
    found.apply(Round(1, entries=entries, hard_state=HardState(term, vote)))
    return found


def ended(ledger: Ledger, span: int, base: int) -> Operation:
    operation = ledger.invoke(span)
    ledger.finish(operation, "ok", base)
    return operation


def test_ledger_accepts_a_linear_history() -> None:
    ledger = Ledger()
    ended(ledger, 2, 0)
    ended(ledger, 0, 2)
    ended(ledger, 1, 2)
    unknown = ledger.invoke(1)
    ledger.finish(unknown, "info")
    ledger.judge([1, 1, 3])
    ledger.judge([1, 1, 3, unknown.id])


def test_a_read_may_overlap_a_write_but_not_miss_one_that_ended() -> None:
    ledger = Ledger()
    early = ledger.invoke(0)
    ended(ledger, 1, 0)
    ledger.finish(early, "ok", 0)
    with pytest.raises(Violation, match="linearizable"):
        ended(ledger, 0, 0)


def test_a_read_may_not_go_back_behind_another_and_a_write_not_before_a_read() -> None:
    ledger = Ledger()
    writing = ledger.invoke(1)
    ended(ledger, 0, 1)
    with pytest.raises(Violation, match="linearizable"):
        ended(ledger, 0, 0)
    ledger.finish(writing, "ok", 0)
    with pytest.raises(Violation, match="was written at"):
        ended(ledger, 1, 0)


@pytest.mark.parametrize(
    ("final", "complaint"),
    [
        ([], "no acknowledged write is lost"),
        ([1, 1], "no phantom"),
        ([1, 2], "no phantom"),
        ([1, 77], "no phantom"),
        ([3, 1], "no acknowledged write is lost"),
    ],
)
def test_ledger_judges_the_final_list(final: list[int], complaint: str) -> None:
    ledger = Ledger()
    ended(ledger, 1, 0)
    ledger.finish(ledger.invoke(1), "fail")
    ledger.finish(ledger.invoke(1), "info")
    ledger.judge([1])
    with pytest.raises(Violation, match=complaint):
        ledger.judge(final)


def test_history_has_one_leader_per_term() -> None:
    history = History()
    history.elected(1, A, 0)
    history.elected(1, A, 0)
    with pytest.raises(Violation, match="one leader per term"):
        history.elected(1, B, 0)
    with pytest.raises(Violation, match="one leader per term"):
        history.elected(1, A, 1)


def test_history_holds_logs_against_each_other() -> None:
    history = History()
    history.written(1, 0, [entry(1, 1), entry(2, 2)])
    history.written(2, 0, [entry(1, 1)])
    history.written(2, 1, [entry(2, 3)])
    for previous, wrong in ((0, entry(2, 2)), (1, entry(2, 2, b"y"))):
        with pytest.raises(Violation, match="log matching"):
            history.written(3, previous, [wrong])
    with pytest.raises(Violation, match="log matching"):
        history.written(3, 3, [entry(9, 2)])


def test_history_keeps_what_was_committed_and_by_whom() -> None:
    history = History()
    history.commits(2, [entry(1, 1), entry(2, 2)])
    history.commits(4, [entry(3, 4)])
    assert [history.commit_before(term) for term in (1, 2, 3, 4, 5)] == [0, 0, 2, 2, 3]
    history.check_committed(1, [entry(2, 2)])
    with pytest.raises(Violation, match="committed entries never change"):
        history.check_committed(1, [entry(2, 3)])
    history.applied(1, 2, 77, 2)
    with pytest.raises(Violation, match="equal state"):
        history.applied(2, 2, 78, 2)


def test_an_ack_needs_a_durable_entry_and_term() -> None:
    promises = Promises(History())
    promises.sent(A, image(3, None, 1, 3), B, AppendReply(3, True, 2))
    assert promises.acknowledged(A, 3) == 2
    assert promises.acknowledged(A, 2) == 0
    with pytest.raises(Violation, match="before it is durable"):
        promises.sent(A, image(3, None, 1), B, AppendReply(3, True, 2))
    with pytest.raises(Violation, match="term is durable"):
        promises.sent(A, image(2, None, 1, 2), B, AppendReply(3, True, 2))


def test_a_vote_needs_to_be_durable_and_to_stay() -> None:
    promises = Promises(History())
    with pytest.raises(Violation, match="no vote leaves"):
        promises.sent(A, image(2, None), B, VoteReply(2, granted=True, pre_vote=False))
    promises.sent(A, image(1, None), B, VoteReply(2, granted=True, pre_vote=True))
    promises.sent(A, image(2, B), B, VoteReply(2, granted=True, pre_vote=False))
    assert promises.has_vote(B, A, 2)
    with pytest.raises(Violation, match="one vote per term"):
        promises.sent(A, image(2, A), C, VoteRequest(2, 0, 0, pre_vote=False))
    with pytest.raises(Violation, match="one vote per term"):
        promises.restarted(A, HardState(2, None))
    with pytest.raises(Violation, match="term is monotonic"):
        promises.restarted(A, HardState(1, None))
    promises.restarted(A, HardState(2, B))
    promises.restarted(A, HardState(3, None))


def test_a_hard_state_never_goes_back() -> None:
    promises = Promises(History())
    promises.wrote(A, HardState(2, None), HardState(2, B))
    for after in (HardState(1, None), HardState(2, C), HardState(2, None)):
        with pytest.raises(Violation):
            promises.wrote(A, HardState(2, B), after)


def test_only_the_elected_speak_for_a_term() -> None:
    history = History()
    promises = Promises(history)
    with pytest.raises(Violation, match="only the leader"):
        promises.sent(A, image(2, A), B, Heartbeat(2, 0, 0))
    history.elected(2, A, 0)
    promises.sent(A, image(2, A), B, Heartbeat(2, 0, 0))
    with pytest.raises(Violation, match="only the leader"):
        promises.sent(B, image(2, A), A, Heartbeat(2, 0, 0))
