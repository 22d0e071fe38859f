"""The controller at work: what the leader of the metadata group does with operations.

Decisions come from `metadata.controller`; `deciding` proposes them as one entry each, in order,
and says when they are answered. A broker that does not lead (or whose no-op is
not committed yet) answers NOT_CONTROLLER and does nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import structlog

from metadata import controller as decide
from metadata.controller import Sessions, TopicDefaults
from metadata.errors import RecordError
from metadata.quorum.application import MetadataApplication
from metadata.quorum.client import HEARTBEAT, NOT_CONTROLLER, REGISTER
from metadata.quorum.deciding import Deciding
from metadata.quorum.rpc import Answer, OnAnswer, Rpc
from metadata.records import ConfigResource, FeatureRange, Listener, ResourceType
from raftlog.ready import SoftState
from raftlog.seams import Reactor, Timer
from raftlog.types import ReplicaId, Role

log = structlog.get_logger()

FEATURE_LEVEL = 1
ITEMS_MAX = 10_000
CREATE_TOPICS = "create_topics"
DELETE_TOPICS = "delete_topics"
CREATE_PARTITIONS = "create_partitions"
ALTER_CONFIGS = "alter_configs"
ALLOT_PRODUCER_IDS = "allot_producer_ids"

_SHAPE_ERRORS = (
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    OverflowError,
    RecordError,
)
"""What arguments of another shape than expected raise somewhere in an operation."""


class ControllerSettings(NamedTuple):
    """What the controller needs of the broker's settings."""

    cluster_id: str
    defaults: Callable[[], TopicDefaults]
    """As of now."""
    session_timeout_us: int
    lost: tuple[ReplicaId, ...] = ()
    """Directories that a forced recovery left for lost."""


class Controller:
    """Serves the controller's operations on every broker; only the leader's does anything."""

    def __init__(
        self,
        reactor: Reactor,
        rpc: Rpc,
        app: MetadataApplication,
        settings: ControllerSettings,
    ) -> None:
        self._reactor = reactor
        self._app = app
        self._settings = settings
        self._deciding = Deciding(reactor, app)
        self._sessions = Sessions(settings.session_timeout_us)
        self._active = False
        self._expiry: Timer | None = None
        self._complained: list[str] = []
        app.watch_leadership(self._leadership)
        for operation, handler in (
            (REGISTER, self._register),
            (HEARTBEAT, self._heartbeat),
            (CREATE_TOPICS, self._create_topics),
            (DELETE_TOPICS, self._delete_topics),
            (CREATE_PARTITIONS, self._create_partitions),
            (ALTER_CONFIGS, self._alter_configs),
            (ALLOT_PRODUCER_IDS, self._allot_producer_ids),
        ):
            rpc.serve(operation, self._when_active(handler))

    @property
    def active(self) -> bool:
        """This broker is the controller."""
        return self._active

    # --- leadership

    def _leadership(self, state: SoftState) -> None:
        leads = state.role is Role.LEADER and state.confirmed
        if leads and not self._active:
            self._activate()
        elif not leads and self._active:
            log.info("controller resigned")
            self._active = False
            if self._expiry is not None:
                self._expiry.cancel()

    def _activate(self) -> None:
        log.info("controller active", term=self._app.group.node.term)
        self._active = True
        self._deciding.start()
        self._sessions.start(self._app.image, self._reactor.now_us())
        if self._app.image.cluster is None:
            self._deciding.decide(
                lambda image: decide.create_cluster(
                    image, self._settings.cluster_id, FEATURE_LEVEL
                ),
                lambda result: None,
                _log_failure,
            )
        if self._settings.lost:
            self._deciding.decide(
                lambda image: decide.fence_lost(image, self._settings.lost),
                lambda nodes: log.warning("lost brokers fenced", nodes=list(nodes)),
                _log_failure,
            )
        self._expire()

    def _expire(self) -> None:
        """Fence silent brokers, now and whenever the next session may end."""
        if not self._active:
            return
        now = self._reactor.now_us()
        if self._sessions.expired(now):
            self._deciding.decide(
                lambda image: decide.fence_expired(image, self._sessions, now),
                lambda nodes: log.warning("brokers fenced", nodes=list(nodes)) if nodes else None,
                _log_failure,
                at_once=True,
            )
        due = self._sessions.deadline or now + self._settings.session_timeout_us
        self._expiry = self._reactor.call_at(max(due, now + 1), self._expire)

    def _when_active(
        self, handler: Callable[[Any, OnAnswer], None]
    ) -> Callable[[ReplicaId, Any, OnAnswer], None]:
        def serve(sender: ReplicaId, arguments: Any, on_answer: OnAnswer) -> None:
            if not self._active:
                on_answer(Answer(error=NOT_CONTROLLER, message="this broker is not the controller"))
                return
            answered = False

            def answer(result: Answer) -> None:
                nonlocal answered
                answered = True
                on_answer(result)

            try:
                handler(arguments, answer)
            except _SHAPE_ERRORS as error:
                if answered:
                    raise  # whoever took the answer is at fault, not the arguments
                self._complain(sender, handler, error)
                text = f"the controller cannot read the request: {error}"
                on_answer(Answer(error="INVALID_REQUEST", message=text))

        return serve

    def _complain(
        self, sender: ReplicaId, handler: Callable[[Any, OnAnswer], None], error: Exception
    ) -> None:
        """Log the first request that each operation could not read, with the place in the code:
        whether the sender or this broker is at fault shows only there."""
        name = handler.__name__
        if name not in self._complained:
            self._complained.append(name)
            log.error("unreadable request", sender=sender.node, operation=name, exc_info=error)

    # --- operations

    def _register(self, arguments: Any, on_answer: OnAnswer) -> None:
        node, directory, incarnation, listeners, host, port, rack = arguments
        request = decide.BrokerRegistration(
            self._settings.cluster_id,
            node,
            directory,
            incarnation,
            tuple([Listener(*listener) for listener in listeners]),
            host,
            port,
            rack,
            (FeatureRange(decide.LEVEL_FEATURE, FEATURE_LEVEL, FEATURE_LEVEL),),
        )
        now = self._reactor.now_us()
        self._deciding.decide(
            lambda image: decide.register_broker(image, request, self._sessions, now),
            lambda registered: on_answer(Answer(registered.epoch)),
            on_answer,
        )

    def _heartbeat(self, arguments: Any, on_answer: OnAnswer) -> None:
        node, epoch, caught_up = arguments
        request = decide.Heartbeat(node, epoch, bool(caught_up))
        now = self._reactor.now_us()
        self._deciding.decide(
            lambda image: decide.heartbeat(image, request, self._sessions, now),
            lambda reply: on_answer(Answer(not reply.fenced)),
            on_answer,
            at_once=True,
        )

    def _create_topics(self, arguments: Any, on_answer: OnAnswer) -> None:
        items = _items(arguments)
        validate_only = bool(arguments["validate_only"])

        def create(item: Mapping[str, Any], gather: _Gather) -> None:
            request = decide.NewTopic(
                item["name"],
                item["partitions"],
                item["replication_factor"],
                {n: tuple(nodes) for n, nodes in enumerate(item["assignments"])},
                item["configs"],
            )
            topic_id = self._reactor.random.randbytes(16)
            self._deciding.decide(
                lambda image: decide.create_topic(
                    image,
                    request,
                    topic_id,
                    self._settings.defaults(),
                    validate_only=validate_only,
                ),
                lambda made: gather.done(
                    {
                        "topic_id": made.topic_id,
                        "partitions": made.partitions,
                        "replication_factor": made.replication_factor,
                    }
                ),
                gather.failed,
            )

        self._each(items, on_answer, create)

    def _delete_topics(self, arguments: Any, on_answer: OnAnswer) -> None:
        def delete(item: Mapping[str, Any], gather: _Gather) -> None:
            self._deciding.decide(
                lambda image: decide.delete_topic(image, item["topic_id"]),
                lambda topic: gather.done({}),
                gather.failed,
            )

        self._each(_items(arguments), on_answer, delete)

    def _create_partitions(self, arguments: Any, on_answer: OnAnswer) -> None:
        validate_only = bool(arguments["validate_only"])

        def create(item: Mapping[str, Any], gather: _Gather) -> None:
            topic = self._deciding.image.topic(item["name"])
            first = 0 if topic is None else len(topic.partitions)
            given = enumerate(item["assignments"] or (), start=first)
            request = decide.NewPartitions(
                item["name"], item["count"], {n: tuple(nodes) for n, nodes in given}
            )
            self._deciding.decide(
                lambda image: decide.create_partitions(image, request, validate_only=validate_only),
                lambda total: gather.done({} if topic is None else {"topic_id": topic.topic_id}),
                gather.failed,
            )

        self._each(_items(arguments), on_answer, create)

    def _alter_configs(self, arguments: Any, on_answer: OnAnswer) -> None:
        validate_only = bool(arguments["validate_only"])

        def alter(item: Mapping[str, Any], gather: _Gather) -> None:
            resource = ConfigResource(ResourceType(item["type"]), item["name"])
            changes = [
                decide.ConfigChange(decide.ConfigOperation(operation), name, value)
                for operation, name, value in item["changes"]
            ]
            replace = bool(item["replace"])
            self._deciding.decide(
                lambda image: decide.alter_configs(
                    image, resource, changes, replace=replace, validate_only=validate_only
                ),
                lambda changed: gather.done({}),
                gather.failed,
            )

        self._each(_items(arguments), on_answer, alter)

    def _each(
        self,
        items: list[Any],
        on_answer: OnAnswer,
        work: Callable[[Mapping[str, Any], _Gather], None],
    ) -> None:
        """Do `work` for every item and answer when all outcomes are there."""
        outcomes = _Outcomes(len(items), self._app, on_answer)
        if not items:
            outcomes.answer()
        for at, item in enumerate(items):
            work(item, _Gather(outcomes, at))

    def _allot_producer_ids(self, arguments: Any, on_answer: OnAnswer) -> None:
        node, epoch = arguments
        self._deciding.decide(
            lambda image: decide.allot_producer_ids(image, node, epoch),
            lambda block: on_answer(Answer([block.first, block.count])),
            on_answer,
        )


class _Outcomes:
    """Collects one outcome per item, in the items' order, and answers with the last one."""

    def __init__(self, count: int, app: MetadataApplication, on_answer: OnAnswer) -> None:
        self._app = app
        self._outcomes: list[Any] = [None] * count
        self._missing = count
        self._on_answer = on_answer

    def put(self, at: int, outcome: list[Any]) -> None:
        """The outcome of item `at`: [error or None, message, values]."""
        self._outcomes[at] = outcome
        self._missing -= 1
        if not self._missing:
            self.answer()

    def answer(self) -> None:
        """[position of the image that holds it all, outcomes]"""
        self._on_answer(Answer([self._app.image.position.index, self._outcomes]))


class _Gather:
    """Takes one item's outcome."""

    def __init__(self, outcomes: _Outcomes, at: int) -> None:
        self._outcomes = outcomes
        self._at = at

    def done(self, values: Mapping[str, Any]) -> None:
        """The item succeeded."""
        self._outcomes.put(self._at, [None, None, values])

    def failed(self, answer: Answer) -> None:
        """The item was refused."""
        self._outcomes.put(self._at, [answer.error, answer.message, {}])


def _items(arguments: Any) -> list[Any]:
    items = arguments["items"]
    if not isinstance(items, list) or len(items) > ITEMS_MAX:
        raise ValueError(f"items: not a list of at most {ITEMS_MAX}")
    return items


def _log_failure(answer: Answer) -> None:
    log.warning("controller decision failed", error=answer.error, reason=answer.message)
