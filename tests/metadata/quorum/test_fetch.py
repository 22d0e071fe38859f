"""Fetching metadata: what no voter or observer would send is refused, and answers are bounded."""

from __future__ import annotations

from typing import Any

import cbor2
import pytest

from metadata.codec import encode_entry
from metadata.quorum import fetch, observer
from metadata.quorum.fetch import FETCH, POLL_US, SNAPSHOT
from metadata.quorum.rpc import Answer, OnAnswer
from raftlog.types import EntryKind, ReplicaId
from tests.metadata.quorum.voters import (
    FOUNDING,
    TEN,
    TWENTY,
    Net,
    Step,
    both_at,
    entries,
    followed,
    topic,
)
from tests.metadata.samples import replica

GOOD_VIEW = [1, 1, True]


def row(**changes: Any) -> list[Any]:
    """Entry 11 as it would be right, but for `changes`."""
    right = entries(TWENTY)[10]._asdict()
    fields = {**right, "kind": int(right["kind"]), **changes}
    return list(fields.values())


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(None, id="nothing"),
        pytest.param([GOOD_VIEW], id="no rows"),
        pytest.param([[1, True, True], []], id="leader is a boolean"),
        pytest.param([[-1, 1, True], []], id="negative term"),
        pytest.param([[1, 1, 1], []], id="confirmed is a number"),
        pytest.param([GOOD_VIEW, [row(index=12)]], id="a gap"),
        pytest.param([GOOD_VIEW, [row(index=10)]], id="once more"),
        pytest.param([GOOD_VIEW, [row(), row()]], id="twice"),
        pytest.param([GOOD_VIEW, [row(term=0)]], id="a lower term"),
        pytest.param([GOOD_VIEW, [row(term=2**31)]], id="a term too large"),
        pytest.param([GOOD_VIEW, [row(base=0)]], id="another offset"),
        pytest.param([GOOD_VIEW, [row(span=-1)]], id="negative span"),
        pytest.param([GOOD_VIEW, [row(kind=1)]], id="a no-op with a span"),
        pytest.param([GOOD_VIEW, [row(kind=9)]], id="unknown kind"),
        pytest.param([GOOD_VIEW, [row(payload="text")]], id="text"),
        pytest.param([GOOD_VIEW, [row(payload=b"\xff")]], id="not CBOR"),
        pytest.param([GOOD_VIEW, [row(payload=encode_entry(topic(1)))]], id="a topic twice"),
        pytest.param([GOOD_VIEW, [row()[:5]]], id="a row too short"),
    ],
)
def test_nonsense_closes_the_connection_and_another_voter_is_asked(value: Any) -> None:
    net = Net()
    log = entries(TWENTY)
    both_at(net, log[:10])
    net.start(1)
    net.wait(lambda: followed(net, 10))
    net.voters[1].rpc.serve(FETCH, lambda sender, arguments, answer: answer(Answer(value)))
    net.wait(lambda: net.faults)
    assert net.position() == 10
    net.connect(2)
    net.voters[2].commit(log)
    net.wait(lambda: followed(net, 20))
    assert not net.failures


@pytest.mark.parametrize(
    "value",
    [
        pytest.param([], id="nothing"),
        pytest.param([10, 0, b"", False], id="no progress"),
        pytest.param([10, 5, b"12345", False], id="a gap"),
        pytest.param([10, 0, b"not a snapshot", True], id="not a snapshot"),
        pytest.param([-1, 0, b"1", True], id="negative index"),
        pytest.param([10, 0, bytes(fetch.CHUNK_BYTES_MAX + 1), False], id="too large"),
    ],
)
def test_nonsense_for_a_snapshot_is_refused(value: Any) -> None:
    net = Net()
    both_at(net, entries(TEN))
    net.voters[1].rpc.serve(SNAPSHOT, lambda sender, arguments, answer: answer(Answer(value)))
    net.start(1)
    net.wait(lambda: net.faults)
    assert net.position() == 0
    net.connect(2)
    net.wait(lambda: followed(net, 10))


def test_a_snapshot_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observer, "SNAPSHOT_BYTES_MAX", 100)
    net = Net(count=1)

    def serve(sender: ReplicaId, arguments: Any, answer: OnAnswer) -> None:
        answer(Answer([10, arguments[1], b"0123456789", False]))

    net.voters[1].rpc.serve(SNAPSHOT, serve)
    net.start(1)
    net.wait(lambda: net.faults)


def test_a_record_of_a_later_release_ends_the_broker() -> None:
    net = Net(count=1)
    log = entries(TEN)
    net.voters[1].commit(log)
    net.start(1)
    net.wait(lambda: followed(net, 10))
    fields = row(payload=later(log[2].payload))
    net.voters[1].rpc.serve(
        FETCH, lambda sender, arguments, answer: answer(Answer([GOOD_VIEW, [fields]]))
    )
    net.wait(lambda: net.failures)
    assert "this release does not know" in net.failures[0]
    assert net.position() == 10


def later(payload: bytes) -> bytes:
    """An entry whose record has a type that nobody knows."""
    envelope, records = cbor2.loads(payload)
    records[0][0] = 200
    return cbor2.dumps([envelope, records])


# --- bounds at the voter


def test_idle_observers_leave_nothing_behind_at_the_voter() -> None:
    net = Net(count=1)
    voter = net.voters[1]
    voter.commit(entries(TEN))
    net.start(1)
    net.run(POLL_US * 60)
    assert len(net.asked) < 70, "long polls"
    assert len(voter.app._waiting) == 1
    assert len(voter.source._polls) == 1
    assert voter.source._kept is None, "the encoded image is dropped"


def test_a_second_poll_of_a_broker_ends_its_first() -> None:
    net = Net(count=1)
    voter = net.voters[1]
    voter.commit(entries(TEN))
    net.up.append(replica(1))
    answers: list[Answer] = []
    for _ in range(50):
        net.rpc.call(1, FETCH, [11, 1000], answers.append, 10_000_000)
    net.run(POLL_US // 2)
    assert len(answers) == 49
    assert len(voter.source._polls) == 1
    net.run(POLL_US)
    assert len(answers) == 50
    assert all(answer == Answer([[0, None, False], []]) for answer in answers)


def test_one_answer_is_bounded() -> None:
    net = Net(count=1)
    steps: list[Step] = [*FOUNDING, *[None] * (fetch.ROWS_MAX + 10)]
    net.voters[1].commit(entries(steps))
    net.up.append(replica(1))
    answers: list[Answer] = []
    net.rpc.call(1, FETCH, [1, 1000], answers.append, 10_000_000)
    net.rpc.call(1, FETCH, [2, 1], answers.append, 10_000_000)
    net.run(10_000)
    assert [len(answer.value[1]) for answer in answers] == [fetch.ROWS_MAX, 1]
    assert answers[0].value[1][0][2] == EntryKind.NOOP


@pytest.mark.parametrize("operation", [FETCH, SNAPSHOT])
@pytest.mark.parametrize("arguments", [None, [], [0, 0, 0], [1, "x"], ["x", 1, 1], [-1, 1]])
def test_a_request_of_the_wrong_shape_closes_the_connection(operation: str, arguments: Any) -> None:
    net = Net(count=1)
    net.up.append(replica(1))
    net.rpc.call(1, operation, arguments, lambda answer: None, 10_000_000)
    net.run(10_000)
    assert len(net.faults) == 1
