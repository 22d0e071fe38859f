"""Topics that come to be because a client asked for their metadata (auto.create.topics.enable)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from partitions.api.context import Answer, CancellablePending, RequestContext
from partitions.api.services import CREATE_TOPICS, ControllerReply, Services
from partitions.errors import ErrorCode
from partitions.internal import INTERNAL_TOPICS
from partitions.security import CLUSTER, Operation, topic_resource

AUTO_CREATE_MAX = 100
"""Topics that one Metadata request may create; the rest are answered as unknown."""
BY_DEFAULT = -1
"""Partitions and replication factor: the controller's defaults."""


class AutoCreate(CancellablePending):
    """Waits for the controller, then builds the response by `answer(failures by name)`."""

    __slots__ = ("_answer", "_names")

    def __init__(
        self,
        services: Services,
        names: list[str],
        answer: Callable[[dict[str, ErrorCode]], Answer],
    ) -> None:
        super().__init__()
        self._names = names
        self._answer = answer
        items = [
            {
                "name": name,
                "partitions": BY_DEFAULT,
                "replication_factor": BY_DEFAULT,
                "assignments": [],
                "configs": {},
            }
            for name in names
        ]
        services.call_controller(
            CREATE_TOPICS, {"items": items, "validate_only": False}, self._created
        )

    def cancel(self) -> None:
        """The client has left; the topics are made all the same."""
        self.done = True

    def _created(self, reply: ControllerReply) -> None:
        if not self.done:
            self.resolve_with(lambda: self._answer(self._failures(reply)))

    def _failures(self, reply: ControllerReply) -> dict[str, ErrorCode]:
        """What to say of names that the image does not show after the call."""
        if reply.error is not ErrorCode.NONE:
            return dict.fromkeys(self._names, ErrorCode.LEADER_NOT_AVAILABLE)
        failures = {}
        for name, item in zip(self._names, reply.items, strict=True):
            exists = item.error in (ErrorCode.NONE, ErrorCode.TOPIC_ALREADY_EXISTS)
            # Decided, but not in this broker's image yet: the client asks again by itself.
            failures[name] = ErrorCode.LEADER_NOT_AVAILABLE if exists else item.error
        return failures


def creatable(
    services: Services, context: RequestContext, request: Any, wanted: list[Any] | None
) -> list[str]:
    """Names asked for that do not exist and that this request may create, each once."""
    if not wanted or not request.allow_auto_topic_creation:
        return []
    if not services.settings.auto_create_topics:
        return []
    image = services.image()
    names = [w.name for w in wanted if w.name is not None and image.topic(w.name) is None]
    names = [name for name in dict.fromkeys(names) if name not in INTERNAL_TOPICS]
    allowed = [name for name in names if _may_create(services, context, name)]
    return allowed[:AUTO_CREATE_MAX]


def _may_create(services: Services, context: RequestContext, name: str) -> bool:
    authorize = services.authorizer.authorize
    resource = topic_resource(name)
    return authorize(context, Operation.DESCRIBE, resource) and (
        authorize(context, Operation.CREATE, CLUSTER)
        or authorize(context, Operation.CREATE, resource)
    )
