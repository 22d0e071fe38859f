"""Random valid histories of metadata records, with a plain-dictionary oracle of their sum."""

from __future__ import annotations

from random import Random
from typing import Any

from metadata import records as r
from metadata.image import MetadataImage
from raftlog.types import ReplicaId
from tests.metadata.samples import registered, uuid


class Oracle:
    """What the records say, kept in the dumbest way: nested dictionaries, changed in place."""

    def __init__(self) -> None:
        self.cluster: tuple[str, int] | None = None
        self.brokers: dict[int, tuple[r.BrokerRegistered, bool]] = {}
        self.topics: dict[bytes, dict[str, Any]] = {}
        self.configs: dict[tuple[int, str, str], str] = {}
        self.next_group = 1
        self.next_producer = 0
        self.next_epoch = 0

    def view(self) -> dict[str, Any]:
        """Everything, comparable with `view_of` an image."""
        return {
            "cluster": self.cluster,
            "brokers": dict(self.brokers),
            "topics": {
                topic_id: (topic["name"], dict(topic["partitions"]))
                for topic_id, topic in self.topics.items()
            },
            "configs": dict(self.configs),
            "counters": (self.next_group, self.next_producer, self.next_epoch),
        }


def view_of(image: MetadataImage) -> dict[str, Any]:
    """An image in the oracle's terms; checks its redundant maps on the way."""
    assert dict(image.topic_ids) == {t.name: t.topic_id for t in image.topics.values()}
    assert dict(image.collision_names) == {
        t.name.replace(".", "_"): t.name for t in image.topics.values()
    }
    groups = {
        partition.group: (topic.topic_id, number)
        for topic in image.topics.values()
        for number, partition in enumerate(topic.partitions)
    }
    assert {g: (ref.topic_id, ref.partition) for g, ref in image.groups.items()} == groups
    assert all(image.configs.values()), "a resource without settings must be absent"
    cluster = image.cluster
    return {
        "cluster": None if cluster is None else (cluster.cluster_id, cluster.feature_level),
        "brokers": {n: (b.registration, b.fenced) for n, b in image.brokers.items()},
        "topics": {
            topic_id: (
                topic.name,
                {
                    number: (p.group, p.replicas, p.assignment_epoch)
                    for number, p in enumerate(topic.partitions)
                },
            )
            for topic_id, topic in image.topics.items()
        },
        "configs": {
            (resource.type.value, resource.name, key): value
            for resource, settings in image.configs.items()
            for key, value in settings.items()
        },
        "counters": (image.next_group_id, image.next_producer_id, image.next_broker_epoch),
    }


class History:
    """Draws valid records one after another and keeps the oracle in step."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.oracle = Oracle()
        self._topics_made = 0

    def records(self, count: int) -> list[r.Record]:
        """The next `count` records, the cluster's creation first."""
        drawn: list[r.Record] = []
        while len(drawn) < count:
            if self.oracle.cluster is None:
                self.oracle.cluster = ("c", 1)
                drawn.append(r.ClusterCreated("c", 1))
                continue
            step = self.random.choice(self._STEPS)
            record = step(self)
            if record is not None:
                drawn.append(record)
        return drawn

    def _level(self) -> r.Record:
        assert self.oracle.cluster is not None
        name, level = self.oracle.cluster
        self.oracle.cluster = (name, level + 1)
        return r.FeatureLevelSet(level + 1)

    def _register(self) -> r.Record:
        epoch = self.oracle.next_epoch + self.random.randrange(2)
        record = registered(self.random.randrange(6), epoch, self.random.choice(["a", None]))
        self.oracle.next_epoch = epoch + 1
        self.oracle.brokers[record.node] = (record, True)
        return record

    def _fence(self) -> r.Record | None:
        return self._fencing(r.BrokerFenced, fenced=True)

    def _unfence(self) -> r.Record | None:
        return self._fencing(r.BrokerUnfenced, fenced=False)

    def _fencing(self, kind: Any, fenced: bool) -> r.Record | None:
        if not self.oracle.brokers:
            return None
        node = self.random.choice(list(self.oracle.brokers))
        registration, _ = self.oracle.brokers[node]
        self.oracle.brokers[node] = (registration, fenced)
        record: r.Record = kind(node, registration.epoch)
        return record

    def _remove(self) -> r.Record | None:
        if not self.oracle.brokers or self.random.random() < 0.5:
            return None
        node = self.random.choice(list(self.oracle.brokers))
        registration, _ = self.oracle.brokers.pop(node)
        self._drop(4, str(node))
        return r.BrokerRemoved(node, registration.epoch)

    def _create(self) -> r.Record:
        self._topics_made += 1
        free = [n for n in "uvwxyz" if n not in self._names()]
        name = f"{self.random.choice(free)}" if free else f"t.{self._topics_made}"
        topic_id = uuid(self.random.getrandbits(100) * 1000 + self._topics_made)
        self.oracle.topics[topic_id] = {"name": name, "partitions": {}}
        return r.TopicCreated(topic_id, name)

    def _delete(self) -> r.Record | None:
        if not self.oracle.topics or self.random.random() < 0.5:
            return None
        topic_id = self.random.choice(list(self.oracle.topics))
        topic = self.oracle.topics.pop(topic_id)
        self._drop(2, topic["name"])
        return r.TopicDeleted(topic_id)

    def _partition(self) -> r.Record | None:
        if not self.oracle.topics:
            return None
        topic_id = self.random.choice(list(self.oracle.topics))
        partitions = self.oracle.topics[topic_id]["partitions"]
        group = self.oracle.next_group + self.random.randrange(2)
        self.oracle.next_group = group + 1
        record = r.PartitionAssigned(topic_id, len(partitions), group, self._replicas(), 0)
        partitions[record.partition] = (group, record.replicas, 0)
        return record

    def _reassign(self) -> r.Record | None:
        assigned = [
            (topic_id, number, facts)
            for topic_id, topic in self.oracle.topics.items()
            for number, facts in topic["partitions"].items()
        ]
        if not assigned:
            return None
        topic_id, number, (group, _, epoch) = self.random.choice(assigned)
        record = r.PartitionAssigned(topic_id, number, group, self._replicas(), epoch + 1)
        facts = (group, record.replicas, epoch + 1)
        self.oracle.topics[topic_id]["partitions"][number] = facts
        return record

    def _config(self) -> r.Record | None:
        names = [(r.ResourceType.TOPIC, name) for name in self._names()]
        names += [(r.ResourceType.BROKER, str(node)) for node in self.oracle.brokers]
        kind, name = self.random.choice([*names, (r.ResourceType.BROKER, "")])
        key = self.random.choice(["retention.ms", "segment.bytes"])
        value = self.random.choice([None, "1", "2", "ü"])
        if value is None:
            self.oracle.configs.pop((kind.value, name, key), None)
        else:
            self.oracle.configs[(kind.value, name, key)] = value
        return r.ConfigSet(kind, name, key, value)

    def _producer_ids(self) -> r.Record:
        record = r.ProducerIdsAllotted(1, self.oracle.next_producer, 1000)
        self.oracle.next_producer += 1000
        return record

    def _counters(self) -> r.Record:
        oracle = self.oracle
        oracle.next_group += self.random.randrange(3)
        return r.CountersSet(oracle.next_group, oracle.next_producer, oracle.next_epoch)

    def _replicas(self) -> tuple[ReplicaId, ...]:
        nodes = self.random.sample(range(6), self.random.randint(1, 3))
        return tuple(ReplicaId(node, uuid(1000 + node)) for node in nodes)

    def _names(self) -> list[str]:
        return [topic["name"] for topic in self.oracle.topics.values()]

    def _drop(self, kind: int, name: str) -> None:
        for key in [k for k in self.oracle.configs if k[:2] == (kind, name)]:
            del self.oracle.configs[key]

    _STEPS = (
        _level,
        _register,
        _register,
        _fence,
        _unfence,
        _remove,
        _create,
        _create,
        _delete,
        _partition,
        _partition,
        _partition,
        _reassign,
        _config,
        _config,
        _producer_ids,
        _counters,
    )
