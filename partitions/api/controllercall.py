"""Forwarding a request's items to the controller and spreading its reply over the answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from partitions.api.context import Answer, Body, CancellablePending, RequestContext
from partitions.api.services import ControllerReply, Services
from partitions.errors import ErrorCode

TIMEOUT_MS_MAX = 120_000
"""A client's time-out is cut to this."""

Show = Callable[[Any, Mapping[str, Any]], None]
"""Writes the values of a successful outcome into its answer."""


class Items:
    """The answers of a request in its order, and those of them that the controller decides."""

    __slots__ = ("answers", "asked", "open")

    def __init__(self) -> None:
        self.answers: list[Any] = []
        self.open: list[Any] = []
        self.asked: list[dict[str, Any]] = []

    def ask(self, answer: Any, item: dict[str, Any]) -> None:
        """The controller is asked about `item`."""
        self.answers.append(answer)
        self.open.append(answer)
        self.asked.append(item)

    def refuse(self, answer: Any, code: ErrorCode, message: str | None) -> None:
        """The item is refused here and now."""
        fail(answer, code, message)
        self.answers.append(answer)


def fail(answer: Any, code: ErrorCode, message: str | None) -> None:
    """Write an error into an answer that has the two usual fields."""
    answer.error_code = code.value
    answer.error_message = message


class ControllerCall(CancellablePending):
    """Resolves with `body` when the controller has replied, or when the time is up."""

    __slots__ = ("_body", "_deadline", "_open", "_show")

    def __init__(self, body: Body, open_answers: list[Any], show: Show | None) -> None:
        super().__init__()
        self._body = body
        self._open = open_answers
        self._show = show

    def start(
        self, services: Services, operation: str, arguments: Mapping[str, Any], when_us: int
    ) -> None:
        """Call the controller."""
        self._deadline = services.deadlines.add(when_us, self._expire)
        services.call_controller(operation, arguments, self._replied)

    def cancel(self) -> None:
        """The client has left; what was asked may be done all the same."""
        self._deadline.cancel()
        self.done = True

    def _replied(self, reply: ControllerReply) -> None:
        self._deadline.cancel()
        if self.done:
            return
        self.resolve_with(lambda: self._filled(reply))

    def _filled(self, reply: ControllerReply) -> Body:
        if reply.error is not ErrorCode.NONE:
            self._fail_all(reply.error, reply.message)
            return self._body
        for answer, outcome in zip(self._open, reply.items, strict=True):
            if outcome.error is not ErrorCode.NONE:
                fail(answer, outcome.error, outcome.message)
            elif self._show is not None:
                self._show(answer, outcome.values)
        return self._body

    def _expire(self) -> None:
        self._fail_all(
            ErrorCode.REQUEST_TIMED_OUT, "the controller did not answer in time; it may be done yet"
        )
        self.resolve(self._body)

    def _fail_all(self, code: ErrorCode, message: str | None) -> None:
        for answer in self._open:
            fail(answer, code, message)


def forward(
    services: Services,
    context: RequestContext,
    operation: str,
    extra: Mapping[str, Any],
    items: Items,
    body: Body,
    timeout_ms: int,
    show: Show | None = None,
) -> Answer:
    """Answer `body` once the open answers in it are filled in; at once when none is."""
    if not items.asked:
        return body
    call = ControllerCall(body, items.open, show)
    when_us = context.received_us + max(0, min(timeout_ms, TIMEOUT_MS_MAX)) * 1000
    call.start(services, operation, {"items": items.asked, **extra}, when_us)
    return call
