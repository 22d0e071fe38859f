"""The controller's answers that need no entry: when they are certain, and what if they are not."""

from __future__ import annotations

from typing import Any

import pytest

from metadata.quorum.client import HEARTBEAT, NOT_CONTROLLER
from metadata.quorum.controller import ALTER_CONFIGS, DELETE_TOPICS
from metadata.quorum.rpc import UNREACHABLE, Answer
from raftlog.engine import Outcome
from tests.metadata.quorum.active import Rig

RIGHT, WRONG = [["set", "log.retention.ms", "5"]], [["set", "retention.ms", "5"]]
DELETE = {"items": [{"topic_id": b"t" * 16}]}


def alteration(changes: list[Any]) -> Any:
    """Of all brokers' settings."""
    item = {"type": 4, "name": "", "changes": changes, "replace": False}
    return {"items": [item], "validate_only": False}


def outcomes(answers: list[Answer]) -> list[str | None]:
    """The first item's error of each answer."""
    return [answer.value[1][0][0] for answer in answers]


BASED_ON_IT = [
    pytest.param(ALTER_CONFIGS, alteration(RIGHT), None, id="same"),
    pytest.param(ALTER_CONFIGS, alteration(WRONG), "INVALID_CONFIG", id="refused"),
    pytest.param(DELETE_TOPICS, DELETE, "UNKNOWN_TOPIC_ID", id="unknown"),
]


@pytest.mark.parametrize(("operation", "arguments", "told"), BASED_ON_IT)
def test_an_answer_waits_for_the_proposals_that_it_rests_on(
    operation: str, arguments: Any, told: str | None
) -> None:
    """A client that asks again what was not answered must not be told that it is so, by a
    controller whose entry nobody else has."""
    for outcome, first, second in (
        (Outcome.DONE, None, told),
        (Outcome.UNKNOWN, UNREACHABLE, NOT_CONTROLLER),
    ):
        rig = Rig()
        proposed = rig.ask(ALTER_CONFIGS, alteration(RIGHT))
        resting = rig.ask(operation, arguments)
        assert (len(rig.app.group.proposed), proposed, resting) == (1, [], [])
        rig.settle(outcome)
        assert (outcomes(proposed), outcomes(resting)) == ([first], [second])
        assert not rig.app.group.reads, "the commit confirms the leadership"


@pytest.mark.parametrize(
    ("outcome", "told"), [(Outcome.DONE, "UNKNOWN_TOPIC_ID"), (Outcome.UNKNOWN, NOT_CONTROLLER)]
)
def test_with_nothing_under_way_a_majority_confirms_the_controller_first(
    outcome: Outcome, told: str
) -> None:
    rig = Rig()
    first, second = rig.ask(DELETE_TOPICS, DELETE), rig.ask(DELETE_TOPICS, DELETE)
    assert first == second == []
    rig.settle(outcome)
    assert outcomes(first + second) == [told, told]
    assert rig.app.group.reads == 1, "one round for both"
    third = rig.ask(DELETE_TOPICS, DELETE)
    rig.settle(outcome)
    assert (outcomes(third), rig.app.group.reads) == ([told], 2)


def test_a_controller_that_has_been_deposed_meanwhile_says_so() -> None:
    rig = Rig()
    answers = rig.ask(DELETE_TOPICS, DELETE)
    rig.app.group.leads = False
    rig.settle(Outcome.DONE)
    assert outcomes(answers) == [NOT_CONTROLLER]


def test_heartbeats_are_answered_at_once() -> None:
    rig = Rig()
    (answer,) = rig.ask(HEARTBEAT, [1, 7, True])
    assert answer.error is not None
    assert not rig.app.group.reads
