"""The metadata quorum as one document, from DescribeQuorum: voters, observers and their lag."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cli.codes import code_name
from cli.connection import Connection, Unavailable
from partitions import wire
from partitions.errors import ErrorCode

KEY, VERSION = wire.ApiKey.DESCRIBE_QUORUM, 2
TOPIC = "__cluster_metadata"
_UNKNOWN = -1


def describe(connection: Connection) -> dict[str, Any]:
    """What one broker says of the quorum; raises Unavailable."""
    types = wire.messages(KEY)
    part = types.RequestPartitionData(partition_index=0)
    topic = types.RequestTopicData(topic_name=TOPIC, partitions=[part])
    answer = connection.call(KEY, VERSION, types.DescribeQuorumRequest(topics=[topic]))
    partitions = [part for topic in answer.topics for part in topic.partitions]
    codes = [answer.error_code, *(part.error_code for part in partitions)]
    if any(codes) or not partitions:
        error = next((code for code in codes if code), ErrorCode.UNKNOWN_SERVER_ERROR)
        text = answer.error_message or "the quorum cannot be described"
        raise Unavailable(f"{text} [{code_name(error)}]")
    return summarize(partitions[0], addresses(answer.nodes))


def addresses(nodes: Any) -> dict[int, str]:
    """`host:port` by node, of the first listener that each has."""
    return {
        node.node_id: f"{node.listeners[0].host}:{node.listeners[0].port}"
        for node in nodes
        if node.listeners
    }


def summarize(partition: Any, places: Mapping[int, str]) -> dict[str, Any]:
    """The quorum as one document. Times are by the leader's clock, so ages need no other."""
    leader = partition.leader_id
    own = next((each for each in partition.current_voters if each.replica_id == leader), None)
    members = [(each, "voter") for each in partition.current_voters]
    members += [(each, "observer") for each in partition.observers]
    return {
        "leader": leader,
        "epoch": partition.leader_epoch,
        "high_watermark": partition.high_watermark,
        "members": [
            {
                "id": each.replica_id,
                "role": "leader" if each.replica_id == leader else role,
                "log_end": _known(each.log_end_offset),
                "lag": _behind(own and own.log_end_offset, each.log_end_offset),
                "heard_ms_ago": _behind(
                    own and own.last_fetch_timestamp, each.last_fetch_timestamp
                ),
                "caught_up_ms_ago": _behind(
                    own and own.last_caught_up_timestamp, each.last_caught_up_timestamp
                ),
                "address": places.get(each.replica_id),
                "directory": bytes(each.replica_directory_id).hex(),
            }
            for each, role in members
        ],
    }


def _known(number: int) -> int | None:
    return None if number == _UNKNOWN else number


def _behind(leader: int | None, follower: int) -> int | None:
    if leader is None or _UNKNOWN in (leader, follower):
        return None
    return max(0, leader - follower)
