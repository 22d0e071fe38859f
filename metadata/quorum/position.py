"""How far the metadata log is committed, for a broker that must not go by an outdated image.

    metadata_position  []  ->  index

The leader confirms its leadership after it was asked, so whatever any broker's image held before
is at or below the index. Once an image covers it, what that image lacks is gone, or never was.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from metadata.quorum.application import MetadataApplication
from metadata.quorum.client import NOT_CONTROLLER, ControllerClient
from metadata.quorum.image_holder import ImageHolder
from metadata.quorum.rpc import Answer, OnAnswer, Rpc
from raftlog.engine import Outcome
from raftlog.types import ReplicaId, Role

POSITION = "metadata_position"
_TIMEOUT_US = 5_000_000


def serve_position(rpc: Rpc, app: MetadataApplication) -> None:
    """Answer POSITION on a voter; only the leader does."""

    def serve(sender: ReplicaId, arguments: Any, on_answer: OnAnswer) -> None:
        def confirmed(outcome: Outcome) -> None:
            if outcome is Outcome.DONE:
                on_answer(Answer(app.image.position.index))
            else:
                on_answer(Answer(error=NOT_CONTROLLER, message="the leadership was lost"))

        node = app.group.node
        if node.role is Role.LEADER and node.confirmed:
            app.group.read(confirmed)
        else:
            on_answer(Answer(error=NOT_CONTROLLER, message="this broker is not the controller"))

    rpc.serve(POSITION, serve)


def catch_up(client: ControllerClient, app: ImageHolder, on_done: Callable[[bool], None]) -> None:
    """Call back with True once the image here covers all that was committed before this call;
    with False when the controller does not say, within some seconds."""

    def answered(answer: Answer) -> None:
        if answer.error is None and type(answer.value) is int:
            app.when_applied(answer.value, lambda: on_done(True))
        else:
            on_done(False)

    client.call(POSITION, [], answered, timeout_us=_TIMEOUT_US)
