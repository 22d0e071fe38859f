"""In place of an AdminClient: consumer groups and logs that a test has made up."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

from confluent_kafka import (
    ConsumerGroupState,
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    TopicPartition,
)
from confluent_kafka.admin import (
    ConsumerGroupDescription,
    ConsumerGroupListing,
    ListConsumerGroupsResult,
    MemberAssignment,
    MemberDescription,
    OffsetSpec,
)

Place = tuple[str, int]
EARLIEST, LATEST = OffsetSpec.earliest()._value, OffsetSpec.latest()._value


def done(result: Any) -> Future[Any]:
    """A future with a result, or with a Kafka error's code."""
    future: Future[Any] = Future()
    if isinstance(result, int):
        future.set_exception(KafkaException(KafkaError(result)))
    else:
        future.set_result(result)
    return future


def member(name: str, *places: Place) -> MemberDescription:
    """Of a group, with what it is assigned."""
    assigned = MemberAssignment([TopicPartition(*place) for place in places])
    return MemberDescription(f"{name}-id", name, "/10.0.0.1", assigned)


class FakeAdmin:
    """Answers from its attributes; `altered` and `deleted` are what was changed."""

    def __init__(self) -> None:
        self.logs: dict[Place, tuple[int, int]] = {("t", 0): (10, 100), ("t", 1): (0, 50)}
        self.at_time: dict[Place, int] = {}
        """First offset at the time asked for; -1: none."""
        self.refused: dict[Place, int] = {}
        """Error codes of ListOffsets."""
        self.refused_commits: dict[Place, int] = {}
        self.commits: dict[str, dict[Place, int]] = {}
        self.groups: dict[str, tuple[ConsumerGroupState, list[MemberDescription]]] = {}
        self.silent_brokers = 0
        self.altered: dict[Place, int] = {}
        self.deleted: list[str] = []
        self.asked_ms: set[int] = set()

    def list_topics(self, timeout: float) -> Any:
        topics: dict[str, Any] = {}
        for topic, number in self.logs:
            topics.setdefault(topic, SimpleNamespace(partitions={})).partitions[number] = None
        return SimpleNamespace(topics=topics)

    def list_consumer_groups(self, **_: Any) -> Future[Any]:
        listed = [
            ConsumerGroupListing(name, False, state, "CLASSIC")
            for name, (state, _) in self.groups.items()
        ]
        # librdkafka hands these out bare, not as exceptions.
        error: Any = KafkaError(KafkaError._TRANSPORT)
        return done(ListConsumerGroupsResult(listed, [error] * self.silent_brokers))

    def describe_consumer_groups(self, names: list[str], **_: Any) -> dict[str, Future[Any]]:
        dead: tuple[Any, list[Any]] = (ConsumerGroupState.DEAD, [])
        node: Any = SimpleNamespace(id=2)
        return {
            name: done(
                ConsumerGroupDescription(
                    name, False, self.groups.get(name, dead)[1], "range",
                    self.groups.get(name, dead)[0], node,
                )
            )
            for name in names
        }  # fmt: skip

    def list_consumer_group_offsets(
        self, asked: list[ConsumerGroupTopicPartitions], **_: Any
    ) -> dict[str, Future[Any]]:
        (group,) = asked
        found = [TopicPartition(*p, o) for p, o in self.commits.get(group.group_id, {}).items()]
        return {group.group_id: done(ConsumerGroupTopicPartitions(group.group_id, found))}

    def list_offsets(
        self, asked: Mapping[TopicPartition, OffsetSpec], **_: Any
    ) -> dict[TopicPartition, Future[Any]]:
        return {each: done(self._offset(each, spec)) for each, spec in asked.items()}

    def _offset(self, each: TopicPartition, spec: OffsetSpec) -> Any:
        place = (each.topic, each.partition)
        if place in self.refused:
            return self.refused[place]
        if place not in self.logs:
            return KafkaError.UNKNOWN_TOPIC_OR_PART
        begin, end = self.logs[place]
        if spec._value not in (EARLIEST, LATEST):
            self.asked_ms.add(spec._value)
            return SimpleNamespace(offset=self.at_time[place])
        return SimpleNamespace(offset=begin if spec._value == EARLIEST else end)

    def alter_consumer_group_offsets(
        self, asked: list[ConsumerGroupTopicPartitions], **_: Any
    ) -> dict[str, Future[Any]]:
        (group,) = asked
        results = []
        for each in group.topic_partitions or ():
            place = (each.topic, each.partition)
            code = self.refused_commits.get(place)
            error = None if code is None else KafkaError(code)
            results.append(SimpleNamespace(topic=place[0], partition=place[1], error=error))
            if error is None:
                self.altered[place] = each.offset
        return {group.group_id: done(SimpleNamespace(topic_partitions=results))}

    def delete_consumer_groups(self, names: list[str], **_: Any) -> dict[str, Future[Any]]:
        return {name: done(self._delete(name)) for name in names}

    def _delete(self, name: str) -> Any:
        if name not in self.groups:
            return KafkaError.GROUP_ID_NOT_FOUND
        if self.groups[name][1]:
            return KafkaError.NON_EMPTY_GROUP
        self.deleted.append(name)
        return None
