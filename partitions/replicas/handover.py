"""Handing over leaderships because somebody asked for it, on whichever broker leads.

    hand_over  [[group, node], ...]  ->  [[error or null, sentence or null], ...]

The leader begins what it can begin and answers at once. Whether the other replica then leads
shows in the leader table; a transfer that comes to nothing is given up after an election
time-out, and the leader goes on. Nothing is forced: a replica that is not connected, is offline
or is far behind does not get the leadership.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from metadata.quorum.rpc import UNREACHABLE, Answer, OnAnswer, Rpc
from partitions.errors import ErrorCode, KafkaError
from partitions.replicas.preferred import obstacle
from partitions.replicas.replica import PartitionReplica
from raftlog.engine import Engine
from raftlog.errors import NotLeader
from raftlog.types import ReplicaId

HAND_OVER = "hand_over"
MOVES_PER_CALL_MAX = 1_000
"""So that neither a call nor its answer is long, and no pass begins too many transfers."""
CALL_TIMEOUT_US = 5_000_000


class Move(NamedTuple):
    """A leadership to give to another node."""

    group: int
    node: int


class Refusal(NamedTuple):
    """Why a move was not begun."""

    error: ErrorCode
    message: str


Begun = tuple[Refusal | None, ...]
"""Per move, in their order: None when it was begun."""


class Handover:
    """Asks leaders, and is asked as one."""

    def __init__(self, rpc: Rpc, engine: Engine, replicas: Mapping[int, PartitionReplica]) -> None:
        """`replicas` are this broker's, by group."""
        self._rpc = rpc
        self._engine = engine
        self._replicas = replicas
        rpc.serve(HAND_OVER, self._serve)

    # --- asking

    def ask(self, leader: int, moves: Sequence[Move], on_done: Callable[[Begun], None]) -> None:
        """Have `leader` begin at most MOVES_PER_CALL_MAX moves; `on_done` runs once, at once or
        within CALL_TIMEOUT_US."""

        def answered(answer: Answer) -> None:
            on_done(_begun(answer, leader, len(moves)))

        if not self._engine.links.is_up_node(leader):
            on_done(_all(len(moves), _unreachable(leader)))
            return
        self._rpc.call(leader, HAND_OVER, [list(move) for move in moves], answered, CALL_TIMEOUT_US)

    # --- being asked

    def _serve(self, sender: ReplicaId, arguments: Any, on_answer: OnAnswer) -> None:
        try:
            moves = _moves(arguments)
        except ValueError as error:
            on_answer(Answer(error="INVALID_REQUEST", message=str(error)))
            return
        on_answer(Answer([self._begin(move) for move in moves]))

    def _begin(self, move: Move) -> list[str | None]:
        try:
            self._transfer(move)
        except KafkaError as error:
            return [error.code.name, error.message]
        return [None, None]

    def _transfer(self, move: Move) -> None:
        replica = self._replicas.get(move.group)
        if replica is None or not replica.is_leader:
            raise KafkaError(
                ErrorCode.NOT_LEADER_OR_FOLLOWER,
                "the broker that led the partition does not lead it any more; ask again",
            )
        node, group = replica.group_handle.node, replica.group_handle
        voters = {voter.node: voter for voter in node.configuration.voters}
        target = voters.get(move.node)
        if target == node.me:
            return
        why = "it does not vote" if target is None else obstacle(self._engine, group, target)
        if target is None or why is not None:
            raise KafkaError(
                ErrorCode.PREFERRED_LEADER_NOT_AVAILABLE,
                f"the replica on node {move.node} cannot lead now: {why}",
            )
        try:
            node.transfer(target)
        except NotLeader as error:  # since the last pass
            raise KafkaError(ErrorCode.NOT_LEADER_OR_FOLLOWER, str(error)) from error
        group.mark_dirty()


def _moves(arguments: Any) -> list[Move]:
    if type(arguments) is not list or len(arguments) > MOVES_PER_CALL_MAX:
        raise ValueError(f"{HAND_OVER}: not a list of at most {MOVES_PER_CALL_MAX} moves")
    for row in arguments:
        if type(row) is not list or len(row) != 2 or not all(type(n) is int for n in row):
            raise ValueError(f"{HAND_OVER}: a move is not [group, node]")
    return [Move(*row) for row in arguments]


def _begun(answer: Answer, leader: int, count: int) -> Begun:
    """What the leader's answer says of `count` moves, whatever it is."""
    if answer.error == UNREACHABLE:
        return _all(count, _unreachable(leader))
    rows = answer.value
    if answer.error is not None or type(rows) is not list or len(rows) != count:
        return _all(count, _unreadable(leader))
    return tuple([_outcome(row, leader) for row in rows])


def _outcome(row: Any, leader: int) -> Refusal | None:
    if type(row) is not list or len(row) != 2 or not isinstance(row[0], str | None):
        return _unreadable(leader)
    error, message = row
    if error is None:
        return None
    code = ErrorCode.__members__.get(error, ErrorCode.UNKNOWN_SERVER_ERROR)
    return Refusal(code, message if isinstance(message, str) else "")


def _all(count: int, refusal: Refusal) -> Begun:
    return (refusal,) * count


def _unreachable(leader: int) -> Refusal:
    return Refusal(ErrorCode.REQUEST_TIMED_OUT, f"the leader, node {leader}, does not answer")


def _unreadable(leader: int) -> Refusal:
    text = f"the answer of the leader, node {leader}, is unreadable: does it run another release?"
    return Refusal(ErrorCode.UNKNOWN_SERVER_ERROR, text)
