"""Request bodies, short to write."""

from __future__ import annotations

from typing import Any

from partitions import wire
from partitions.records import build_batch
from partitions.records.record import Record

PRODUCE = wire.messages(0)
FETCH = wire.messages(1)


def batch(count: int = 1, value: bytes = b"value", **identity: Any) -> bytes:
    """A valid batch of `count` records; `identity` of its producer as `build_batch` takes it."""
    records = [Record(n, 1000 + n, None, value, ()) for n in range(count)]
    return bytes(build_batch(records, base_timestamp=1000, **identity))


def produce(
    *parts: tuple[str, int, bytes | None],
    acks: int = -1,
    timeout: int = 1000,
    transactional_id: str | None = None,
) -> Any:
    """A ProduceRequest; neighbours of one topic are put together."""
    topics: list[Any] = []
    for name, index, records in parts:
        if not topics or topics[-1].name != name:
            topics.append(PRODUCE.TopicProduceData(name=name, partition_data=[]))
        topics[-1].partition_data.append(PRODUCE.PartitionProduceData(index=index, records=records))
    return PRODUCE.ProduceRequest(
        acks=acks, timeout=timeout, topic_data=topics, transactional_id=transactional_id
    )


def fetch(
    *parts: tuple[str, int, int],
    topic_id: bytes = bytes(16),
    epoch: int = -1,
    last_epoch: int = -1,
    part_bytes: int = 1_000_000,
    **fields: Any,
) -> Any:
    """A FetchRequest of (topic, partition, offset); with version 13 on give the one `topic_id`."""
    topics: list[Any] = []
    for name, index, offset in parts:
        if not topics or topics[-1].topic != name:
            topics.append(FETCH.FetchTopic(topic=name, topic_id=topic_id, partitions=[]))
        topics[-1].partitions.append(
            FETCH.FetchPartition(
                partition=index,
                fetch_offset=offset,
                partition_max_bytes=part_bytes,
                current_leader_epoch=epoch,
                last_fetched_epoch=last_epoch,
            )
        )
    fields = {"max_wait": 500, "min_bytes": 1, "max_bytes": 1_000_000, **fields}
    return FETCH.FetchRequest(topics=topics, **fields)


def descriptions(m: Any) -> dict[int, Any]:
    """Ordinary requests of the describing APIs about topic `t`; `m` has the structs of one."""
    return {
        35: lambda: m.DescribeLogDirsRequest(
            topics=[m.DescribableLogDirTopic(topic="t", partitions=[0])]
        ),
        43: lambda: m.ElectLeadersRequest(
            topic_partitions=[m.TopicPartitions(topic="t", partitions=[0])], timeout=1000
        ),
        46: lambda: m.ListPartitionReassignmentsRequest(topics=None),
        55: lambda: m.DescribeQuorumRequest(
            topics=[
                m.RequestTopicData(
                    topic_name="__cluster_metadata",
                    partitions=[m.RequestPartitionData(partition_index=0)],
                )
            ]
        ),
        60: lambda: m.DescribeClusterRequest(include_fenced_brokers=True),
        61: lambda: m.DescribeProducersRequest(
            topics=[m.TopicRequest(name="t", partition_indexes=[0])]
        ),
        75: lambda: m.DescribeTopicPartitionsRequest(
            topics=[m.TopicRequest(name="t")], response_partition_limit=10, cursor=None
        ),
    }
