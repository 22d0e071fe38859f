"""ElectLeaders (key 43): leadership given to preferred replicas. Any broker takes it.

The preferred replica of a partition is the first of its assignment. Nothing is elected by
decree: the partition's present leader is asked to hand over (`partitions.replicas.handover`),
and the answer is success once this broker has heard that the preferred replica leads. Without a
leader there is nobody to ask: the replicas elect one by themselves as soon as a majority can. An
unclean election would let a minority's copy lead, which only an operator may decide, on a
stopped broker.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from metadata.image import Partition, Topic
from partitions import wire
from partitions.api.context import Answer, Body, RequestContext
from partitions.api.gather import Gather
from partitions.api.leadership import live_replicas, partition_state
from partitions.api.services import Services
from partitions.errors import ErrorCode, KafkaError
from partitions.replicas.handover import MOVES_PER_CALL_MAX, Begun, Move
from partitions.security import CLUSTER, Operation

PREFERRED, UNCLEAN = 0, 1
TIMEOUT_MS_MAX = 120_000
"""A client's time-out is cut to this."""
TRANSFER_US = 5_000_000
"""A leadership that has not moved so long after the leader began to hand it over stays."""
POLL_US = 10_000
UNCLEAN_REFUSED = (
    "the partition has no leader, and none is elected without a majority of its replicas: start "
    "their brokers, or, if they are lost for good, see `quorate cluster recover`"
)
_M = wire.messages(wire.ApiKey.ELECT_LEADERS)


class _Election(NamedTuple):
    """A leadership that is to move, and the answer that says what came of it."""

    answer: Any
    group: int
    before: int
    """The node that leads."""
    preferred: int


class _Transfers(Gather):
    """Asks leaders to hand over and watches the leader table."""

    __slots__ = ("_begun", "_services")

    def __init__(self, services: Services) -> None:
        super().__init__()
        self._services = services
        self._begun: dict[int, tuple[_Election, int]] = {}
        """What was begun, by group, and until when it is waited for (us)."""

    def ask(self, leader: int, elections: list[_Election]) -> None:
        """Have `leader` hand over all of these."""
        moves = [Move(each.group, each.preferred) for each in elections]
        self._services.hand_over(leader, moves, lambda begun: self._asked(elections, begun))

    def _asked(self, elections: list[_Election], begun: Begun) -> None:
        due = self._services.reactor.now_us() + TRANSFER_US
        idle = not self._begun
        for election, refusal in zip(elections, begun, strict=True):
            if refusal is None:
                self._begun[election.group] = (election, due)
            else:
                self._settle(election, refusal.error, refusal.message)
        if idle and self._begun:
            self._look()

    def _look(self) -> None:
        """Settle what has moved, or will not; look again while anything is open."""
        if self.done:
            return
        now = self._services.reactor.now_us()
        for group, (election, due) in list(self._begun.items()):
            leader = self._services.leader(group)
            node = None if leader is None else leader.node
            if node == election.preferred:
                del self._begun[group]
                self._settle(election, ErrorCode.NONE, None)
            elif node not in (None, election.before) or now >= due:
                del self._begun[group]
                text = f"the replica on node {election.preferred} did not win; node {node} leads"
                self._settle(election, ErrorCode.PREFERRED_LEADER_NOT_AVAILABLE, text)
        if self._begun:
            self._services.reactor.call_at(now + POLL_US, self._look)

    def _settle(self, election: _Election, code: ErrorCode, message: str | None) -> None:
        if not self.done:
            _say(election.answer, code, message)
            self.arrived()


def handle(services: Services, context: RequestContext, request: Any) -> Answer:
    """Elect for the partitions named, or with null for all that need it."""
    if not services.authorizer.authorize(context, Operation.ALTER, CLUSTER):
        raise KafkaError(ErrorCode.CLUSTER_AUTHORIZATION_FAILED, "electing leaders is not allowed")
    kind = request.election_type
    if kind not in (PREFERRED, UNCLEAN):
        raise KafkaError(
            ErrorCode.INVALID_REQUEST,
            f"election_type {kind} is neither preferred (0) nor unclean (1)",
        )
    work = _Work(services, kind)
    named = request.topic_partitions
    results = work.all() if named is None else [work.topic(t.topic, t.partitions) for t in named]
    body = _M.ElectLeadersResponse(error_code=0, replica_election_results=results)
    return work.start(body, context.received_us + _timeout_us(request.timeout))


def _timeout_us(timeout_ms: int) -> int:
    return max(0, min(timeout_ms, TIMEOUT_MS_MAX)) * 1000


class _Work:
    """One request: every partition is answered here or becomes an election."""

    def __init__(self, services: Services, kind: int) -> None:
        self._services = services
        self._kind = kind
        self._image = services.image()
        self._live = live_replicas(self._image)
        self._open: list[_Election] = []
        self._seen: set[int] = set()

    def all(self) -> list[Any]:
        """Every partition but those whose leader is the right one."""
        names = sorted(self._image.topic_ids)
        results = [self.topic(name, None) for name in names]
        return [result for result in results if result.partition_result]

    def topic(self, name: str, numbers: Any) -> Any:
        """The result of one topic; `numbers` None: of all its partitions that need an election."""
        topic = self._image.topic(name)
        if numbers is None:
            numbers = range(0 if topic is None else len(topic.partitions))
            answers = [self._answer(topic, number) for number in numbers]
            needless = ErrorCode.ELECTION_NOT_NEEDED.value
            answers = [answer for answer in answers if answer.error_code != needless]
        else:
            answers = [self._answer(topic, number) for number in numbers]
        return _M.ReplicaElectionResult(topic=name, partition_result=answers)

    def _answer(self, topic: Topic | None, number: int) -> Any:
        answer = _result(
            number, ErrorCode.REQUEST_TIMED_OUT, "the leadership has not moved in time"
        )
        try:
            if topic is None or not 0 <= number < len(topic.partitions):
                raise KafkaError(
                    ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, "there is no such topic or partition"
                )
            self._open.append(self._election(answer, topic.partitions[number]))
        except KafkaError as error:
            _say(answer, error.code, error.message)
        return answer

    def _election(self, answer: Any, partition: Partition) -> _Election:
        """The election that is needed; KafkaError when none is, or none is possible."""
        if partition.group in self._seen:
            raise KafkaError(ErrorCode.INVALID_REQUEST, "the partition is asked for twice")
        self._seen.add(partition.group)
        state = partition_state(self._services, self._live, partition)
        preferred = partition.replicas[0].node
        leader = state.leader
        if leader is not None and (self._kind == UNCLEAN or leader.node == preferred):
            raise KafkaError(
                ErrorCode.ELECTION_NOT_NEEDED, f"node {leader.node} leads the partition"
            )
        if self._kind == UNCLEAN:
            raise KafkaError(ErrorCode.ELIGIBLE_LEADERS_NOT_AVAILABLE, UNCLEAN_REFUSED)
        if leader is None:
            text = "the partition has no leader: a majority of its replicas has to be in service"
            raise KafkaError(ErrorCode.PREFERRED_LEADER_NOT_AVAILABLE, text)
        if preferred in state.offline:
            text = f"the replica on node {preferred} is out of service, or its broker is down"
            raise KafkaError(ErrorCode.PREFERRED_LEADER_NOT_AVAILABLE, text)
        return _Election(answer, partition.group, leader.node, preferred)

    def start(self, body: Body, due_us: int) -> Answer:
        """Ask the leaders, each for a bounded number at a time."""
        transfers = _Transfers(self._services)
        by_leader: dict[int, list[_Election]] = {}
        for election in self._open:
            transfers.expect()
            by_leader.setdefault(election.before, []).append(election)
        answer = transfers.start(body, self._services.deadlines, due_us)
        for leader, elections in by_leader.items():
            for part in _parts(elections):
                transfers.ask(leader, part)
        return answer


def _parts(elections: list[_Election]) -> Iterator[list[_Election]]:
    for first in range(0, len(elections), MOVES_PER_CALL_MAX):
        yield elections[first : first + MOVES_PER_CALL_MAX]


def _result(number: int, code: ErrorCode, message: str | None) -> Any:
    return _M.PartitionResult(partition_id=number, error_code=code.value, error_message=message)


def _say(answer: Any, code: ErrorCode, message: str | None) -> None:
    answer.error_code, answer.error_message = code.value, message


def refuse(context: RequestContext, request: Any, error: KafkaError) -> Body:
    """The error as a whole, which version 0 has no place for, and for every partition named."""
    return _M.ElectLeadersResponse(
        error_code=error.code.value,
        replica_election_results=[
            _M.ReplicaElectionResult(
                topic=topic.topic,
                partition_result=[_result(n, error.code, error.message) for n in topic.partitions],
            )
            for topic in request.topic_partitions or ()
        ],
    )
