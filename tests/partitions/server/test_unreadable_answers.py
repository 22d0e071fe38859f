"""What another broker answers as the controller is checked before it is believed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from metadata.quorum.rpc import Answer
from partitions.api.services import ControllerReply, ProducerIdReply, QuorumReply
from partitions.errors import ErrorCode
from partitions.server.services import BrokerServices, ProducerIds


class FakeClient:
    """A controller that answers the same thing always."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def call(
        self,
        operation: str,
        arguments: Any,
        on_answer: Callable[[Answer], None],
        *,
        timeout_us: int,
    ) -> None:
        on_answer(Answer(self.value))

    def when_applied(self, index: int, callback: Callable[[], None]) -> None:
        callback()


class FakeLife:
    epoch = 1


@pytest.mark.parametrize("value", [None, 7, [1], [1, 0], [-1, 5], ["1", 5], [1, 5, 9], {"a": 1}])
def test_producer_ids_from_something_else_than_a_block(value: Any) -> None:
    replies: list[ProducerIdReply] = []
    ids = ProducerIds(FakeClient(value), FakeLife(), 1)  # type: ignore[arg-type]
    ids.take(replies.append)
    ids.take(replies.append)
    assert [reply.error for reply in replies] == [ErrorCode.COORDINATOR_NOT_AVAILABLE] * 2


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ([5, [[None, None, {}]]], ErrorCode.NONE),
        (None, ErrorCode.UNKNOWN_SERVER_ERROR),
        ([5], ErrorCode.UNKNOWN_SERVER_ERROR),
        (["5", [[None, None, {}]]], ErrorCode.UNKNOWN_SERVER_ERROR),
        ([5, []], ErrorCode.UNKNOWN_SERVER_ERROR),
        ([5, [[None, None]]], ErrorCode.UNKNOWN_SERVER_ERROR),
        ([5, [[None, None, 7]]], ErrorCode.UNKNOWN_SERVER_ERROR),
        ([5, [[None, 9, {}]]], ErrorCode.UNKNOWN_SERVER_ERROR),
        ([5, [[[], None, {}]]], ErrorCode.UNKNOWN_SERVER_ERROR),
    ],
)
def test_outcomes_of_another_shape_than_the_items_asked_for(value: Any, error: ErrorCode) -> None:
    services = BrokerServices.__new__(BrokerServices)
    client = FakeClient(value)
    services._client = services._app = client  # type: ignore[assignment]
    replies: list[ControllerReply] = []
    services.call_controller("delete_topics", {"items": [{}]}, replies.append)
    assert [reply.error for reply in replies] == [error]


@pytest.mark.parametrize(
    ("value", "error"),
    [([1, 7, 9, [], []], ErrorCode.NONE), (None, ErrorCode.UNKNOWN_SERVER_ERROR)],
)
def test_a_description_of_the_quorum(value: Any, error: ErrorCode) -> None:
    services = BrokerServices.__new__(BrokerServices)
    services._client = FakeClient(value)  # type: ignore[assignment]
    replies: list[QuorumReply] = []
    services.describe_quorum(replies.append)
    assert [(reply.error, reply.view is None) for reply in replies] == [(error, error != 0)]
