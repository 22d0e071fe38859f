"""A broker's way to the controller, wherever it is: operations, registration, heartbeats."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import structlog

from metadata.quorum.image_holder import ImageHolder
from metadata.quorum.rpc import UNREACHABLE, Answer, OnAnswer, Rpc
from metadata.records import Listener
from raftlog.ready import SoftState
from raftlog.seams import Reactor, Timer
from raftlog.types import ReplicaId

log = structlog.get_logger()

RETRY_US = 50_000
NOT_CONTROLLER = "NOT_CONTROLLER"
"""Answer of a broker that is not the controller: nothing was done, ask another."""

REGISTER = "register_broker"
HEARTBEAT = "broker_heartbeat"


@dataclass(frozen=True, slots=True)
class Registration:
    """What a broker tells the controller of itself."""

    incarnation: bytes
    listeners: tuple[Listener, ...]
    peer_host: str
    peer_port: int
    rack: str | None


class _Attempt(NamedTuple):
    operation: str
    arguments: Any
    on_answer: OnAnswer
    deadline_us: int


class ControllerClient:
    """Finds the controller and asks it again when it has just moved.

    An operation is sent again only when it certainly was not carried out: no controller was
    known, or the one asked said that it is not (any more). An answer that got lost is
    reported as UNREACHABLE: the caller must find out.
    """

    def __init__(
        self,
        reactor: Reactor,
        rpc: Rpc,
        app: ImageHolder,
        is_up: Callable[[ReplicaId], bool] = lambda replica: True,
    ) -> None:
        """`is_up(replica)`: it is connected, or this very one; others are not even asked."""
        self._reactor = reactor
        self._rpc = rpc
        self._app = app
        self._is_up = is_up

    def controller(self) -> int | None:
        """The node of the confirmed leader of the metadata group, as far as known."""
        state = self._app.state
        return None if state is None or state.leader is None else state.leader.node

    def call(self, operation: str, arguments: Any, on_answer: OnAnswer, *, timeout_us: int) -> None:
        """Have the controller carry out `operation`; one answer within `timeout_us`."""
        deadline = self._reactor.now_us() + timeout_us
        self._try(_Attempt(operation, arguments, on_answer, deadline))

    def _try(self, attempt: _Attempt) -> None:
        node = self.controller()
        left_us = attempt.deadline_us - self._reactor.now_us()
        if left_us <= 0:
            message = "no controller could be reached: has the quorum lost its majority?"
            attempt.on_answer(Answer(error=NOT_CONTROLLER, message=message))
        elif node is None or not self.reachable():
            self._again(attempt)
        else:
            self._rpc.call(
                node,
                attempt.operation,
                attempt.arguments,
                lambda answer: self._answered(attempt, answer),
                left_us,
            )

    def reachable(self) -> bool:
        """Is a controller known and connected? What is sent to one that is not is lost."""
        state = self._app.state
        return state is not None and state.leader is not None and self._is_up(state.leader)

    def _again(self, attempt: _Attempt) -> None:
        self._reactor.call_at(self._reactor.now_us() + RETRY_US, lambda: self._try(attempt))

    def _answered(self, attempt: _Attempt, answer: Answer) -> None:
        if answer.error == NOT_CONTROLLER:
            self._again(attempt)
        else:
            attempt.on_answer(answer)


class BrokerLife:
    """Registers this broker's process and keeps telling the controller that it lives."""

    def __init__(
        self,
        reactor: Reactor,
        client: ControllerClient,
        app: ImageHolder,
        me: ReplicaId,
        registration: Registration,
        *,
        interval_us: int,
        timeout_us: int,
    ) -> None:
        self._reactor = reactor
        self._client = client
        self._app = app
        self._me = me
        self._registration = registration
        self._interval_us = interval_us
        self._timeout_us = timeout_us
        self._epoch: int | None = None
        self._asking = False
        self._asked: int | None = None
        """The controller when it was last asked."""
        self._questions = 0
        """So many were asked or given up; only the answer to the last one counts."""
        self._timer: Timer | None = None
        self.on_fatal: Callable[[str], None] = lambda reason: None
        """Called with a sentence when the controller says this broker must not run."""
        app.watch_leadership(self._controller_changed)

    @property
    def epoch(self) -> int | None:
        """The registration's epoch; None until registered."""
        return self._epoch

    @property
    def caught_up(self) -> bool:
        """The image here covers this process's registration, so nothing in it is outdated."""
        mine = self._app.image.brokers.get(self._me.node)
        return mine is not None and mine.epoch == self._epoch

    def start(self) -> None:
        """Begin; goes on for the process's life."""
        self._next(0)

    def _next(self, delay_us: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._reactor.call_at(self._reactor.now_us() + delay_us, self._tick)

    def _controller_changed(self, state: SoftState) -> None:
        """Its session for this broker runs already. What the former one was asked may take as long
        to fail: it is forgotten, and harmless if it was done."""
        if state.leader is not None and (not self._asking or state.leader.node != self._asked):
            self._asking = False
            self._questions += 1
            self._next(0)

    def _tick(self) -> None:
        if self._asking:
            return
        if self._epoch is None:
            self._ask(REGISTER, self._fields(), self._registered)
        else:
            arguments = [self._me.node, self._epoch, self.caught_up]
            self._ask(HEARTBEAT, arguments, self._heartbeat_answered)

    def _ask(self, operation: str, arguments: Any, on_answer: OnAnswer) -> None:
        self._asking, self._asked = True, self._client.controller()
        self._questions += 1
        question = self._questions

        def answered(answer: Answer) -> None:
            if question == self._questions:
                on_answer(answer)

        self._client.call(operation, arguments, answered, timeout_us=self._timeout_us)

    def _fields(self) -> list[Any]:
        mine = self._registration
        return [
            self._me.node,
            self._me.directory,
            mine.incarnation,
            [list(listener) for listener in mine.listeners],
            mine.peer_host,
            mine.peer_port,
            mine.rack,
        ]

    def _registered(self, answer: Answer) -> None:
        self._asking = False
        if answer.error is None and type(answer.value) is int:
            self._epoch = answer.value
            log.info("registered", epoch=self._epoch)
            self._next(0)
        elif answer.error is None:
            log.error("the controller's answer to the registration is no epoch")
            self._next(self._interval_us)
        elif answer.error in (UNREACHABLE, NOT_CONTROLLER):
            self._next(RETRY_US)
        elif answer.error in ("DUPLICATE_BROKER_REGISTRATION", "INCONSISTENT_CLUSTER_ID"):
            # a former process's session has to end, or the cluster has just been founded
            self._next(self._interval_us // 4)
        else:
            log.error("registration refused", error=answer.error, reason=answer.message)
            self.on_fatal(f"the controller refuses this broker: {answer.message}")

    def _heartbeat_answered(self, answer: Answer) -> None:
        self._asking = False
        if answer.error == "STALE_BROKER_EPOCH":
            self._epoch = None
            self._next(0)
        elif answer.error is None and answer.value is False:
            self._next(RETRY_US)  # fenced still: the controller waits for our image to catch up
        else:
            self._next(self._interval_us)
