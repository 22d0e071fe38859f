"""Decisions of the controller as entries of the metadata log, answered once they are certain.

A decision is made on the image as it will be when everything proposed is committed. One that
has records is proposed as one entry, and answered at its commit. A refusal, or a decision that
there is nothing to change, has no entry, and yet rests on that image: on entries that may never
be committed, or on the image of a controller that was deposed without knowing it. So it is told
when the last entry under way is committed, or, with none under way, when a majority has
confirmed the leadership.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from metadata.codec import encode_entry
from metadata.controller import Decision, Pipeline
from metadata.errors import MetadataError
from metadata.image import MetadataImage
from metadata.quorum.application import MetadataApplication
from metadata.quorum.client import NOT_CONTROLLER
from metadata.quorum.rpc import UNREACHABLE, Answer, OnAnswer
from raftlog.engine import Outcome
from raftlog.errors import GroupOffline, NotLeader, Overloaded
from raftlog.seams import Reactor
from raftlog.types import EntryKind

T = TypeVar("T")
_Told = Callable[[Outcome], None]


class Deciding:
    """Of the broker that is the controller."""

    def __init__(self, reactor: Reactor, app: MetadataApplication) -> None:
        self._reactor = reactor
        self._app = app
        self._pipeline = Pipeline(app.image)
        self._under_way: list[_Told] | None = None
        """Who waits for the last entry proposed; None when that is settled."""
        self._unconfirmed: list[_Told] = []

    @property
    def image(self) -> MetadataImage:
        """As it will be when everything proposed is committed."""
        return self._pipeline.image

    def start(self) -> None:
        """This broker has become the controller."""
        self._pipeline.start(self._app.image)
        self._under_way = None

    def decide(
        self,
        decide_on: Callable[[MetadataImage], Decision[T]],
        done: Callable[[T], None],
        failed: OnAnswer,
        *,
        at_once: bool = False,
    ) -> None:
        """Decide, propose, and call one of the two back: when it is certain, or `at_once` when
        no entry is needed."""
        try:
            decision = decide_on(self._pipeline.image)
            if decision.records:
                self._propose(decision, done, failed)
                return
        except MetadataError as error:
            refusal = Answer(error=error.code.value, message=error.message)
            tell: Callable[[], None] = partial(failed, refusal)
        except (NotLeader, Overloaded) as error:
            failed(Answer(error=NOT_CONTROLLER, message=str(error)))
            return
        else:
            tell = partial(done, decision.result)
        if at_once:
            tell()
        else:
            self._when_certain(tell, failed)

    def _propose(self, decision: Decision[T], done: Callable[[T], None], failed: OnAnswer) -> None:
        waiting: list[_Told] = []

        def settled(outcome: Outcome) -> None:
            if self._under_way is waiting:
                self._under_way = None
            if outcome is Outcome.DONE:
                done(decision.result)
            else:
                text = "the controller changed; it may be done yet"
                failed(Answer(error=UNREACHABLE, message=text))
            for told in waiting:
                told(outcome)

        payload = encode_entry(decision.records)
        self._app.group.propose(EntryKind.DATA, 1, payload, settled)
        self._pipeline.proposed(decision)
        self._under_way = waiting

    def _when_certain(self, tell: Callable[[], None], failed: OnAnswer) -> None:
        def told(outcome: Outcome) -> None:
            if outcome is Outcome.DONE:
                tell()
            else:
                failed(Answer(error=NOT_CONTROLLER, message="the controller changed"))

        if self._under_way is not None:
            self._under_way.append(told)
            return
        self._unconfirmed.append(told)
        if len(self._unconfirmed) == 1:
            self._reactor.call_soon(self._confirm)

    def _confirm(self) -> None:
        """One round for all that were asked in one pass."""
        waiting, self._unconfirmed = self._unconfirmed, []

        def confirmed(outcome: Outcome) -> None:
            for told in waiting:
                told(outcome)

        try:
            self._app.group.read(confirmed)
        except (NotLeader, GroupOffline):
            confirmed(Outcome.UNKNOWN)
