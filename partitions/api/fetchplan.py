"""A Fetch request resolved once into targets, which can then be read as often as needed.

Reading goes over the targets from a start that rotates with the connection's requests, so
that a large partition cannot starve the others of a response's byte limit. Records are not
copied on the way out.
"""

from __future__ import annotations

from typing import Any

from metadata.image import MetadataImage, Topic
from partitions import wire
from partitions.api.context import Body, RequestContext
from partitions.api.leadership import NO_EPOCH, current_leader, leading_replica, reachable
from partitions.api.services import Services
from partitions.errors import ErrorCode, KafkaError
from partitions.replicas.interface import NO_OFFSET, Replica
from partitions.security import Operation, topic_resource

TOPIC_ID_VERSION = 13
"""From here on topics are named by id (KIP-516)."""
LEADER_HINT_VERSION = 12
READ_COMMITTED = 1

_NO_BYTES = b""
_M = wire.messages(wire.ApiKey.FETCH)
_Part, _Topic, _FetchResponse = _M.PartitionData, _M.FetchableTopicResponse, _M.FetchResponse
_HINTED = (ErrorCode.NOT_LEADER_OR_FOLLOWER, ErrorCode.FENCED_LEADER_EPOCH)


class Target:
    """One partition asked for: where to read, or why not."""

    __slots__ = ("epoch", "error", "index", "last_epoch", "max_bytes", "offset", "replica", "topic")

    def __init__(self, part: Any) -> None:
        """`part` is the request's FetchPartition, which is not kept."""
        self.index: int = part.partition
        self.offset: int = part.fetch_offset
        self.max_bytes: int = part.partition_max_bytes
        self.epoch: int = part.current_leader_epoch
        self.last_epoch: int = part.last_fetched_epoch
        self.topic: Topic | None = None
        self.replica: Replica | None = None
        self.error: KafkaError | None = None


class FetchPlan:
    """A resolved Fetch request: everything that later readings need, and no request body."""

    __slots__ = ("_context", "_services", "_shape", "_start", "isolation", "max_bytes", "targets")

    def __init__(self, services: Services, context: RequestContext, request: Any) -> None:
        self._services = services
        self._context = context
        self._start = context.sequence
        self.isolation = request.isolation_level
        self.max_bytes = max(0, min(request.max_bytes, services.settings.fetch_max_bytes))
        self.targets: list[Target] = []
        self._shape: list[tuple[str, bytes, int]] = []
        """(name, topic id, number of targets) per topic of the response, in request order."""
        self._resolve(request)

    def _resolve(self, request: Any) -> None:
        image = self._services.image()
        by_id = self._context.api_version >= TOPIC_ID_VERSION
        for wanted in request.topics:
            topic, error = self._topic(image, wanted, by_id)
            self._shape.append((wanted.topic, wanted.topic_id, len(wanted.partitions)))
            for part in wanted.partitions:
                target = Target(part)
                self.targets.append(target)
                target.topic = topic
                target.error = error
                if error is None:
                    self._find_replica(target)

    def _topic(
        self, image: MetadataImage, wanted: Any, by_id: bool
    ) -> tuple[Topic | None, KafkaError | None]:
        topic = image.topics.get(wanted.topic_id) if by_id else image.topic(wanted.topic)
        if topic is None and by_id:
            text = f"no topic has id {wanted.topic_id.hex()}"
            return None, KafkaError(ErrorCode.UNKNOWN_TOPIC_ID, text)
        name = wanted.topic if topic is None else topic.name
        if not self._services.authorizer.authorize(
            self._context, Operation.READ, topic_resource(name)
        ):
            text = f"reading {name} is not allowed"
            return None, KafkaError(ErrorCode.TOPIC_AUTHORIZATION_FAILED, text)
        return topic, None

    def _find_replica(self, target: Target) -> None:
        try:
            target.replica = leading_replica(
                self._services, target.topic, target.index, target.epoch
            )
        except KafkaError as error:
            # kept with its traceback it would keep the frames below it, and the request's bytes
            target.error = error.with_traceback(None)

    def refresh(self) -> None:
        """Find the replicas again: who led when the poll began may have lost it, or lost it
        and got it back in a term that fences the client."""
        for target in self.targets:
            if target.error is None:
                self._find_replica(target)

    @property
    def idle(self) -> bool:
        """Nothing can be read and nothing is wrong: reading would yield empty answers only.

        What most polls of a consumer that has caught up meet, so it is asked first, right
        after the plan was made.
        """
        for target in self.targets:
            replica = target.replica
            if replica is None or target.last_epoch != NO_EPOCH:
                return False
            if not replica.high_watermark <= target.offset <= replica.end_offset:
                return False
        return True

    def read(self) -> tuple[list[Any], int, bool]:
        """Read once: (answer per target, bytes of records, does an answer bear bad news)."""
        targets = self.targets
        count = len(targets)
        answers: list[Any] = [None] * count
        available = self._services.response_budget.available
        room = min(self.max_bytes, available)
        total, failed = 0, False
        for step in range(count):
            at = (self._start + step) % count
            answer = answers[at] = self._read_target(
                targets[at], room - total, not total and available > 0
            )
            if answer.error_code or answer.diverging_epoch is not None:
                failed = True
            else:
                total += len(answer.records)
        return answers, total, failed

    def _read_target(self, target: Target, room: int, first: bool) -> Any:
        replica = target.replica
        if target.error is not None:
            return self._failed(target, target.error)
        try:
            assert replica is not None
            if target.last_epoch != NO_EPOCH:
                diverged = self._diverged(target, replica)
                if diverged is not None:
                    return diverged
            return self._records(target, replica, room, first)
        except KafkaError as error:
            return self._failed(target, error)

    def _records(self, target: Target, replica: Replica, room: int, first: bool) -> Any:
        high_watermark = replica.high_watermark
        records: Any = _NO_BYTES
        limit = min(target.max_bytes, room)
        beyond = high_watermark <= target.offset <= replica.end_offset
        if not beyond and (limit > 0 or first):
            records = replica.read(target.offset, max(0, limit), at_least_one=first)
        return _Part(
            partition_index=target.index,
            error_code=0,
            high_watermark=high_watermark,
            last_stable_offset=replica.last_stable_offset,
            log_start_offset=replica.log_start_offset,
            aborted_transactions=() if self.isolation == READ_COMMITTED else None,
            records=records,
        )

    def _diverged(self, target: Target, replica: Replica) -> Any | None:
        """KIP-595: the reader's last batch is of an epoch that ended elsewhere."""
        end = replica.end_of_epoch(target.last_epoch)
        if end is None or (end.epoch == target.last_epoch and end.end_offset >= target.offset):
            return None
        answer = self._empty(target, ErrorCode.NONE)
        answer.diverging_epoch = _M.EpochEndOffset(epoch=end.epoch, end_offset=end.end_offset)
        return answer

    def _empty(self, target: Target, code: ErrorCode) -> Any:
        return _Part(
            partition_index=target.index,
            error_code=code.value,
            high_watermark=NO_OFFSET,
            last_stable_offset=NO_OFFSET,
            log_start_offset=NO_OFFSET,
            aborted_transactions=() if self.isolation == READ_COMMITTED else None,
            records=_NO_BYTES,
        )

    def _failed(self, target: Target, error: KafkaError) -> Any:
        answer = self._empty(target, error.code)
        if error.code in _HINTED and self._context.api_version >= LEADER_HINT_VERSION:
            leader = current_leader(self._services, target.topic, target.index)
            if leader is not None:
                answer.current_leader = _M.LeaderIdAndEpoch(
                    leader_id=leader.node, leader_epoch=leader.term
                )
        elif error.code is ErrorCode.OFFSET_OUT_OF_RANGE and target.replica is not None:
            answer.high_watermark = target.replica.high_watermark
            answer.log_start_offset = target.replica.log_start_offset
        return answer

    def body(self, answers: list[Any]) -> Body:
        """The response that holds `answers`, in the order of the request."""
        topics, position = [], 0
        for name, topic_id, count in self._shape:
            parts = answers[position : position + count]
            position += count
            topics.append(_Topic(topic=name, topic_id=topic_id, partitions=parts))
        return _FetchResponse(responses=topics, node_endpoints=self._endpoints(answers))

    def _endpoints(self, answers: list[Any]) -> list[Any]:
        """Addresses of the leaders that the answers point at (KIP-951)."""
        nodes = {a.current_leader.leader_id: None for a in answers if a.current_leader is not None}
        endpoints = []
        for node in nodes:
            broker, address = reachable(self._services.image(), node, self._context.listener)
            if broker is not None and address is not None:
                rack = broker.registration.rack
                endpoints.append(
                    _M.NodeEndpoint(node_id=node, host=address.host, port=address.port, rack=rack)
                )
        return endpoints
