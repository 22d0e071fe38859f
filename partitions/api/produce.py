"""Produce (key 0): validate each batch's header and CRC, append, answer when durable enough.

Cost is per batch: records are never looked at one by one. Batches of one connection are
appended in the order they came, before the response to an earlier request exists, so a
client may pipeline. The frame's memory is the connection's: nothing here keeps a view of it.

While a leadership moves away from here, a refused batch is answered once its new leader is known:
the client goes there at once, instead of coming back after its back-off to be refused again.
"""

from __future__ import annotations

from typing import Any

from metadata.image import Topic
from partitions import wire
from partitions.api.context import Answer, Body, CloseConnection, RequestContext
from partitions.api.gather import Gather
from partitions.api.leadership import current_leader, leading_replica, reachable
from partitions.api.services import Services
from partitions.api.timestamps import check_timestamps
from partitions.errors import ErrorCode, KafkaError
from partitions.internal import check_not_internal
from partitions.records import HEADER_BYTES, BatchHeader, parse_header, validate_batch
from partitions.records.header import MAGIC
from partitions.replicas.interface import NO_OFFSET, AppendOutcome, Replica
from partitions.security import Operation, topic_resource

ALL, LEADER, NONE = -1, 1, 0
"""The values of `acks`."""

LEADER_HINT_VERSION = 10
"""From here on an answer names the leader it should have been sent to (KIP-951)."""

SUCCESSOR_WAIT_US = 250_000
"""Answers leave in order, so those of other partitions wait as well; a move takes less."""
SUCCESSOR_POLL_US = 10_000

_OPEN_CODE = ErrorCode.REQUEST_TIMED_OUT.value
_OPEN_MESSAGE = "not committed in time; the batch may still become visible"
_M = wire.messages(wire.ApiKey.PRODUCE)
_ProduceResponse, _Topic, _Part = (
    _M.ProduceResponse,
    _M.TopicProduceResponse,
    _M.PartitionProduceResponse,
)


class _Unfinished:
    """One appended batch whose fate is open; its answer says REQUEST_TIMED_OUT until then."""

    __slots__ = ("_answer", "_header", "_produce", "_topic")

    def __init__(self, produce: _Produce, topic: Topic, answer: Any, header: BatchHeader) -> None:
        self._answer = answer
        self._header = header
        self._produce = produce
        self._topic = topic

    def done(self, outcome: AppendOutcome) -> None:
        """The append's callback."""
        produce = self._produce
        if outcome.error is not ErrorCode.NONE:
            produce.note_refused(self._topic.name, self._answer.index, self._header)
        if not produce.done:
            produce.fill(self._topic, self._answer, outcome)
            produce.arrived()


class _Produce(Gather):
    """One request being answered."""

    __slots__ = ("_context", "_endpoints", "_moving", "_services", "failed")

    def __init__(self, services: Services, context: RequestContext) -> None:
        super().__init__()
        self._services = services
        self._context = context
        self._endpoints: dict[int, Any] = {}
        """NodeEndpoint by node id, for the leaders that the answers name."""
        self._moving: list[tuple[Topic, Any]] = []
        """Refused answers whose partitions have no known leader but this broker, which was it."""
        self.failed: str | None = None
        """The last refusal, for acks=0 where no response can carry it."""

    def append_topic(self, wanted: Any, acks: int) -> Any:
        """Append all batches of one topic; the topic's part of the response."""
        topic = self._services.image().topic(wanted.name)
        allowed = self._services.authorizer.authorize(
            self._context, Operation.WRITE, topic_resource(wanted.name)
        )
        answers = []
        for part in wanted.partition_data:
            answer = _Part(
                index=part.index,
                error_code=0,
                base_offset=NO_OFFSET,
                log_append_time=-1,
            )
            answers.append(answer)
            try:
                if not allowed:
                    raise _denied(wanted.name)
                check_not_internal(wanted.name)
                replica = leading_replica(self._services, topic, part.index)
                assert topic is not None
                self._append(topic, replica, part.records, acks, answer)
            except KafkaError as error:
                self._refuse(topic, answer, error.code, error.message)
                header = _readable(part.records)
                if header is not None:
                    self.note_refused(wanted.name, part.index, header)
        return _Topic(name=wanted.name, partition_responses=answers)

    def _append(self, topic: Topic, replica: Replica, records: Any, acks: int, answer: Any) -> None:
        header = _checked(replica, records)
        check_timestamps(header, replica.config, self._services.reactor.wall_ms())
        if header.base_sequence > 0 and len(self._services.refused_batches):
            self._check_predecessor(replica, header)
        answer.error_code = _OPEN_CODE
        answer.error_message = _OPEN_MESSAGE
        unfinished = _Unfinished(self, topic, answer, header)
        outcome = replica.append(records, header, acks=acks, on_done=unfinished.done)
        if outcome is None:
            self.expect()
        else:
            self.fill(topic, answer, outcome)

    def _check_predecessor(self, replica: Replica, header: BatchHeader) -> None:
        """Where the producer is known, its sequences say as much, and better."""
        origin = (self._context.connection_id, replica.topic, replica.partition)
        precede = self._services.refused_batches.precede(origin, header)
        if precede and not replica.knows_producer(header.producer_id):
            raise KafkaError(
                ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER,
                f"producer {header.producer_id}: the batch before sequence "
                f"{header.base_sequence} was refused",
            )

    def note_refused(self, topic: str, partition: int, header: BatchHeader) -> None:
        """What follows the batch on its connection is not to take its place."""
        origin = (self._context.connection_id, topic, partition)
        self._services.refused_batches.note(origin, header)

    def fill(self, topic: Topic, answer: Any, outcome: AppendOutcome) -> None:
        """Write an outcome into its answer."""
        if outcome.error is not ErrorCode.NONE:
            self._refuse(topic, answer, outcome.error, outcome.message)
            return
        answer.error_code = 0
        answer.error_message = None
        answer.base_offset = outcome.base_offset
        answer.log_append_time = outcome.log_append_time
        answer.log_start_offset = outcome.log_start_offset

    def _refuse(
        self, topic: Topic | None, answer: Any, code: ErrorCode, message: str | None
    ) -> None:
        answer.error_code = code.value
        answer.error_message = message
        self.failed = message or code.name
        if code is not ErrorCode.NOT_LEADER_OR_FOLLOWER:
            return
        if topic is not None and self._is_moving(topic, answer):
            self.expect()
            if not self._moving:
                self._look_later(self._services.reactor.now_us() + SUCCESSOR_WAIT_US)
            self._moving.append((topic, answer))
        else:
            self._hint(topic, answer)

    def _is_moving(self, topic: Topic, answer: Any) -> bool:
        leader = current_leader(self._services, topic, answer.index)
        return leader is not None and leader.node == self._services.node_id

    def _look_later(self, due_us: int) -> None:
        reactor = self._services.reactor
        reactor.call_at(reactor.now_us() + SUCCESSOR_POLL_US, lambda: self._look(due_us))

    def _look(self, due_us: int) -> None:
        """Answer for the partitions that have arrived somewhere; for all when it is late."""
        if self.done:
            return
        late = self._services.reactor.now_us() >= due_us
        moving, self._moving = self._moving, []
        for topic, answer in moving:
            if not late and self._is_moving(topic, answer):
                self._moving.append((topic, answer))
            else:
                self._hint(topic, answer)
                self.arrived()
        if self._moving:
            self._look_later(due_us)

    def _hint(self, topic: Topic | None, answer: Any) -> None:
        """Say who leads, as far as known; never that this broker does, which has just refused."""
        leader = current_leader(self._services, topic, answer.index)
        if leader is None or leader.node == self._services.node_id:
            return
        if self._context.api_version < LEADER_HINT_VERSION:
            return
        image = self._services.image()
        broker, address = reachable(image, leader.node, self._context.listener)
        if broker is None or address is None:
            return
        answer.current_leader = _M.LeaderIdAndEpoch(leader_id=leader.node, leader_epoch=leader.term)
        self._endpoints[leader.node] = _M.NodeEndpoint(
            node_id=leader.node,
            host=address.host,
            port=address.port,
            rack=broker.registration.rack,
        )

    def finish(self, body: Body) -> Body:
        """Name where the leaders are; they may have been learnt while waiting."""
        body.node_endpoints = list(self._endpoints.values())
        return body


def handle(services: Services, context: RequestContext, request: Any) -> Answer:
    """Append everything, then answer: at once, when committed, or when the time is up."""
    acks = request.acks
    if not NONE <= acks <= LEADER and acks != ALL:
        code = ErrorCode.INVALID_REQUIRED_ACKS
        return refuse(context, request, KafkaError(code, f"acks is {acks}, not -1, 0 or 1"))
    if request.transactional_id is not None:
        return refuse(context, request, _no_transactions())
    produce = _Produce(services, context)
    topics = [produce.append_topic(wanted, acks) for wanted in request.topic_data]
    if acks == NONE:
        if produce.failed is not None:
            # The client waits for nothing: only a closed connection makes it look again.
            raise CloseConnection(f"a batch sent with acks=0 was refused: {produce.failed}")
        return None
    timeout_ms = max(0, min(request.timeout, services.settings.produce_timeout_ms_max))
    when_us = context.received_us + timeout_ms * 1000
    return produce.start(_ProduceResponse(responses=topics), services.deadlines, when_us)


def _checked(replica: Replica, records: memoryview | None) -> BatchHeader:
    """The header of the one valid batch that `records` must be."""
    if not records:
        raise KafkaError(ErrorCode.INVALID_RECORD, "records: empty; send exactly one batch")
    if len(records) > replica.max_message_bytes:
        raise KafkaError(
            ErrorCode.MESSAGE_TOO_LARGE,
            f"the batch has {len(records)} bytes; max.message.bytes of {replica.topic} is "
            f"{replica.max_message_bytes}",
        )
    header = parse_header(records)
    if HEADER_BYTES <= header.size < len(records) and header.magic == MAGIC:
        raise KafkaError(
            ErrorCode.INVALID_RECORD,
            f"records: {len(records)} bytes, but the first batch has {header.size}; "
            "send exactly one batch per partition",
        )
    validate_batch(records, header)
    if header.transactional:
        raise _no_transactions()
    return header


def _readable(records: memoryview | None) -> BatchHeader | None:
    """The header of a refused batch, if it has one."""
    try:
        return parse_header(records) if records else None
    except KafkaError:
        return None


def _no_transactions() -> KafkaError:
    return KafkaError(
        ErrorCode.INVALID_TXN_STATE,
        "this broker does not serve transactions; produce without a transactional.id",
    )


def _denied(name: str) -> KafkaError:
    return KafkaError(ErrorCode.TOPIC_AUTHORIZATION_FAILED, f"writing to {name} is not allowed")


def refuse(context: RequestContext, request: Any, error: KafkaError) -> Body | None:
    """The same error for every partition of the request."""
    if request.acks == NONE:
        raise CloseConnection(f"a request with acks=0 was refused: {error.message}")
    return _ProduceResponse(
        responses=[
            _Topic(
                name=topic.name,
                partition_responses=[
                    _Part(
                        index=part.index,
                        error_code=error.code.value,
                        base_offset=NO_OFFSET,
                        log_append_time=-1,
                        error_message=error.message,
                    )
                    for part in topic.partition_data
                ],
            )
            for topic in request.topic_data
        ]
    )
