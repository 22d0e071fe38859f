"""DescribeQuorum (key 55): the metadata quorum, as its leader sees it. Any broker asks it.

The log is called `__cluster_metadata`, partition 0, as in Kafka, though no topic of this name
can be read. Its offsets are indexes of Raft entries: the first entry has 1, and a log end offset is
the index of the last entry.
"""

from __future__ import annotations

from typing import Any

from metadata.image import MetadataImage
from metadata.quorum.description import QuorumMember, QuorumView
from partitions import wire
from partitions.api.context import Answer, Body, CancellablePending, RequestContext
from partitions.api.services import QuorumReply, Services
from partitions.errors import ErrorCode, KafkaError
from partitions.security import CLUSTER, Operation

TOPIC, PARTITION = "__cluster_metadata", 0
PEER_LISTENER = "PEER"
"""What the address that voters have for each other is called here; it has no name of its own."""
NO_NODE = NO_EPOCH = NO_OFFSET = -1
_M = wire.messages(wire.ApiKey.DESCRIBE_QUORUM)


class _Description(CancellablePending):
    """Waits for the leader's view."""

    __slots__ = ("_request", "_services")

    def __init__(self, services: Services, request: Any) -> None:
        super().__init__()
        self._services = services
        self._request = [_asked(topic) for topic in request.topics]

    def cancel(self) -> None:
        """The client has left."""
        self.done = True

    def replied(self, reply: QuorumReply) -> None:
        """The callback of `describe_quorum`."""
        if not self.done:
            self.resolve_with(lambda: self._body(reply))

    def _body(self, reply: QuorumReply) -> Body:
        if reply.view is None:
            return _failed(reply.error, reply.message, self._request)
        told = False
        topics = []
        for name, numbers in self._request:
            partitions = []
            for number in numbers:
                partitions.append(_partition(name, number, None if told else reply.view))
                told = told or (name, number) == (TOPIC, PARTITION)
            topics.append(_M.ResponseTopicData(topic_name=name, partitions=partitions))
        nodes = _nodes(self._services.image(), reply.view)
        return _M.DescribeQuorumResponse(
            error_code=0, error_message=None, topics=topics, nodes=nodes
        )


def handle(services: Services, context: RequestContext, request: Any) -> Answer:
    """Ask the leader, wherever it is."""
    if not services.authorizer.authorize(context, Operation.DESCRIBE, CLUSTER):
        raise KafkaError(
            ErrorCode.CLUSTER_AUTHORIZATION_FAILED, "describing the quorum is not allowed"
        )
    description = _Description(services, request)
    services.describe_quorum(description.replied)
    return description


def _asked(topic: Any) -> tuple[str, list[int]]:
    return topic.topic_name, [partition.partition_index for partition in topic.partitions]


def _partition(name: str, number: int, view: QuorumView | None) -> Any:
    """The answer to one item; `view` is None when an item before it has told everything."""
    if (name, number) != (TOPIC, PARTITION):
        text = f"only {TOPIC}-{PARTITION} is the metadata quorum's log"
        return _no_partition(number, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, text)
    if view is None:
        return _no_partition(number, ErrorCode.INVALID_REQUEST, "the partition is asked for twice")
    return _M.ResponsePartitionData(
        partition_index=number,
        error_code=0,
        error_message=None,
        leader_id=view.leader,
        leader_epoch=view.term,
        high_watermark=view.commit,
        current_voters=[_state(member) for member in view.voters],
        observers=[_state(member) for member in view.observers],
    )


def _state(member: QuorumMember) -> Any:
    return _M.ReplicaState(
        replica_id=member.node,
        replica_directory_id=member.directory,
        log_end_offset=member.end,
        last_fetch_timestamp=member.heard_ms,
        last_caught_up_timestamp=member.caught_up_ms,
    )


def _nodes(image: MetadataImage, view: QuorumView) -> list[Any]:
    """The voters' addresses, of those that ever registered."""
    found = []
    for voter in view.voters:
        broker = image.brokers.get(voter.node)
        if broker is not None:
            mine = broker.registration
            address = _M.Listener(name=PEER_LISTENER, host=mine.peer_host, port=mine.peer_port)
            found.append(_M.Node(node_id=voter.node, listeners=[address]))
    return found


def _no_partition(number: int, code: ErrorCode, message: str | None) -> Any:
    return _M.ResponsePartitionData(
        partition_index=number,
        error_code=code.value,
        error_message=message,
        leader_id=NO_NODE,
        leader_epoch=NO_EPOCH,
        high_watermark=NO_OFFSET,
        current_voters=[],
        observers=[],
    )


def _failed(code: ErrorCode, message: str | None, asked: list[tuple[str, list[int]]]) -> Body:
    return _M.DescribeQuorumResponse(
        error_code=code.value,
        error_message=message,
        topics=[
            _M.ResponseTopicData(
                topic_name=name,
                partitions=[_no_partition(number, code, message) for number in numbers],
            )
            for name, numbers in asked
        ],
        nodes=[],
    )


def refuse(context: RequestContext, request: Any, error: KafkaError) -> Body:
    """The error as a whole and for every partition asked for."""
    return _failed(error.code, error.message, [_asked(topic) for topic in request.topics])
