"""Arguments of the wrong shape: INVALID_REQUEST, nothing decided, one log line, no exception."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from metadata.quorum.client import HEARTBEAT, REGISTER
from metadata.quorum.controller import (
    ALLOT_PRODUCER_IDS,
    ALTER_CONFIGS,
    CREATE_PARTITIONS,
    CREATE_TOPICS,
    DELETE_TOPICS,
)
from metadata.quorum.rpc import Answer
from raftlog.engine import Outcome
from tests.metadata.quorum.active import OTHER, Rig

OPERATIONS = (
    REGISTER,
    HEARTBEAT,
    CREATE_TOPICS,
    DELETE_TOPICS,
    CREATE_PARTITIONS,
    ALTER_CONFIGS,
    ALLOT_PRODUCER_IDS,
)


def alteration(**fields: Any) -> Any:
    """A change of all brokers' settings, but for `fields`."""
    item = {"type": 4, "name": "", "changes": [], "replace": False, **fields}
    return {"items": [item], "validate_only": False}


SHAPES = [
    pytest.param(REGISTER, {"node": 1}, id="register a map"),
    pytest.param(REGISTER, [1, b"x" * 16, b"y" * 16, 5, "h", 1, None], id="listeners a number"),
    pytest.param(REGISTER, [1, b"x" * 16, b"y" * 16, [["A"]], "h", 1, None], id="short listener"),
    pytest.param(HEARTBEAT, [[], 1, True], id="node a list"),
    pytest.param(HEARTBEAT, None, id="heartbeat null"),
    pytest.param(CREATE_TOPICS, {"validate_only": False}, id="no items"),
    pytest.param(CREATE_TOPICS, {"items": {}, "validate_only": False}, id="items a map"),
    pytest.param(CREATE_TOPICS, {"items": [7], "validate_only": False}, id="topic a number"),
    pytest.param(
        CREATE_TOPICS,
        {
            "items": [
                {
                    "name": ["a"],
                    "partitions": "3",
                    "replication_factor": 1,
                    "assignments": [],
                    "configs": 5,
                }
            ],
            "validate_only": False,
        },
        id="topic of wrong fields",
    ),
    pytest.param(DELETE_TOPICS, {"items": [{"topic_id": {}}]}, id="topic id a map"),
    pytest.param(
        CREATE_PARTITIONS, {"items": [{"name": []}], "validate_only": 0}, id="name a list"
    ),
    pytest.param(ALTER_CONFIGS, alteration(type=3), id="resource of no known type"),
    pytest.param(ALTER_CONFIGS, alteration(name=[]), id="resource name a list"),
    pytest.param(ALTER_CONFIGS, alteration(changes=[["set", "a"]]), id="no value"),
    pytest.param(ALTER_CONFIGS, alteration(changes=[["put", "a", "b"]]), id="unknown operation"),
    pytest.param(ALTER_CONFIGS, alteration(changes=[["set", [], "b"]]), id="setting a list"),
    pytest.param(ALLOT_PRODUCER_IDS, [1], id="no epoch"),
    pytest.param(ALLOT_PRODUCER_IDS, [{}, 1], id="node a map"),
]


@pytest.mark.parametrize(("operation", "arguments"), SHAPES)
def test_wrong_shapes_are_invalid_requests(operation: str, arguments: Any) -> None:
    rig = Rig()
    with capture_logs() as logs:
        first, second = rig.ask(operation, arguments), rig.ask(operation, arguments)
    assert [answer.error for answer in (*first, *second)] == ["INVALID_REQUEST"] * 2
    assert not rig.app.group.proposed
    complaints = [line for line in logs if line["event"] == "unreadable request"]
    assert [line["sender"] for line in complaints] == [OTHER.node]
    assert complaints[0]["exc_info"] is not None


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2**63 - 1) | st.text(max_size=5) | st.binary(),
    lambda inner: st.lists(inner, max_size=7) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=10,
)
item = st.dictionaries(
    st.sampled_from(
        [
            *("name", "partitions", "replication_factor", "assignments", "configs", "topic_id"),
            *("count", "type", "changes", "replace"),
        ]
    ),
    plain,
)
operations = st.fixed_dictionaries(
    {"items": st.lists(item, max_size=2), "validate_only": st.booleans()}
)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(OPERATIONS), plain | operations)
def test_no_arguments_raise_or_answer_twice(operation: str, arguments: Any) -> None:
    rig = Rig()
    with capture_logs():
        answers = rig.ask(operation, arguments)
        rig.settle(Outcome.DONE)
    assert len(answers) == 1


def test_a_fault_of_whoever_takes_the_answer_is_not_called_the_senders() -> None:
    rig = Rig()

    def broken(answer: Answer) -> None:
        raise KeyError("a bug here")

    with pytest.raises(KeyError, match="a bug here"):
        rig.rpc.handlers[DELETE_TOPICS](OTHER, {"items": []}, broken)
