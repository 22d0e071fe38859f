"""Handing over leaderships: what asks and answers of other brokers may be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from metadata.quorum.rpc import UNREACHABLE, Answer, OnAnswer
from partitions.errors import ErrorCode
from partitions.replicas.handover import HAND_OVER, MOVES_PER_CALL_MAX, Begun, Handover, Move
from raftlog.types import ReplicaId

PEER = ReplicaId(2, b"2" * 16)


class FakeRpc:
    """Another broker that answers the same thing always."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.asked: list[tuple[int, Any]] = []
        self.handler: Callable[[ReplicaId, Any, OnAnswer], None]

    def serve(self, operation: str, handler: Callable[[ReplicaId, Any, OnAnswer], None]) -> None:
        assert operation == HAND_OVER
        self.handler = handler

    def call(
        self, node: int, operation: str, arguments: Any, on_answer: OnAnswer, timeout_us: int
    ) -> None:
        self.asked.append((node, arguments))
        on_answer(self.answer)


class FakeEngine:
    """Connected to node 2 and to nobody else."""

    @property
    def links(self) -> FakeEngine:
        return self

    def is_up_node(self, node: int) -> bool:
        return node == 2


def rig(answer: Answer) -> tuple[FakeRpc, Handover]:
    rpc = FakeRpc(answer)
    return rpc, Handover(rpc, FakeEngine(), {})  # type: ignore[arg-type]


def ask(answer: Answer, leader: int = 2) -> list[tuple[str, ...]]:
    """Names of the errors of two moves, "" where it was begun; per call of `on_done`."""
    _, handover = rig(answer)
    answers: list[Begun] = []
    handover.ask(leader, [Move(7, 1), Move(8, 1)], answers.append)
    return [tuple(each.error.name if each else "" for each in begun) for begun in answers]


def test_a_leader_that_is_not_connected_is_not_asked() -> None:
    assert ask(Answer([[None, None]] * 2), leader=3) == [("REQUEST_TIMED_OUT",) * 2]


@pytest.mark.parametrize(
    ("answer", "errors"),
    [
        (Answer([[None, None], ["NOT_LEADER_OR_FOLLOWER", "x"]]), ("", "NOT_LEADER_OR_FOLLOWER")),
        (Answer([[None, None], ["NO_SUCH_CODE", None]]), ("", "UNKNOWN_SERVER_ERROR")),
        (Answer([[None, None], [7, None]]), ("", "UNKNOWN_SERVER_ERROR")),
        (Answer([[None, None], None]), ("", "UNKNOWN_SERVER_ERROR")),
        (Answer([[None, None]]), ("UNKNOWN_SERVER_ERROR",) * 2),
        (Answer(None), ("UNKNOWN_SERVER_ERROR",) * 2),
        (Answer(error="UNSUPPORTED_VERSION"), ("UNKNOWN_SERVER_ERROR",) * 2),
        (Answer(error=UNREACHABLE), ("REQUEST_TIMED_OUT",) * 2),
    ],
)
def test_every_move_has_an_outcome_whatever_the_leader_answers(
    answer: Answer, errors: tuple[str, ...]
) -> None:
    assert ask(answer) == [errors]


@pytest.mark.parametrize(
    "arguments", [None, {}, [[1]], [[1, 2, 3]], [[True, 1]], [["1", 1]], [7]], ids=repr
)
def test_what_is_no_list_of_moves_is_refused(arguments: Any) -> None:
    rpc, _ = rig(Answer())
    answers: list[Answer] = []
    rpc.handler(PEER, arguments, answers.append)
    rpc.handler(PEER, [[1, 1]] * (MOVES_PER_CALL_MAX + 1), answers.append)
    assert [answer.error for answer in answers] == ["INVALID_REQUEST"] * 2


def test_a_partition_that_is_not_led_here() -> None:
    rpc, _ = rig(Answer())
    answers: list[Answer] = []
    rpc.handler(PEER, [[7, 1]], answers.append)
    ((row,),) = [answer.value for answer in answers]
    assert ErrorCode[row[0]] is ErrorCode.NOT_LEADER_OR_FOLLOWER
