"""Administration while groups work, and what must hold afterwards because it was acknowledged."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable
from random import Random
from typing import Any

from partitions import wire
from partitions.errors import ErrorCode
from partitions.internal import CONSUMER_OFFSETS
from partitions.wire import ApiKey
from tests.live.soak.asking import Cast, Unanswered
from tests.live.soak.history import History
from tests.live.waiting import wait_for

TOPIC, BROKER = 2, 4
TIMEOUT_MS = 3_000
PATIENCE_S = 5.0
SEEN_S = 15.0
LONE = "raw-lone"
"""A group that has offsets and never a member."""
SETTINGS = {
    (BROKER, "", "group.max.session.timeout.ms"): ("600000", "1200000", "1800000"),
    (BROKER, "", "group.min.session.timeout.ms"): ("1000", "3000", "6000"),
    (BROKER, "", "group.max.size"): ("50", "100", "1000"),
    (BROKER, "", "group.initial.rebalance.delay.ms"): ("0", "200", "1000"),
    (BROKER, "", "offsets.retention.minutes"): ("2", "1000", "10080"),
    (TOPIC, "raw", "retention.ms"): ("100000000", "200000000", "-1"),
}
GONE_WELL = (ErrorCode.NONE, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
_META = wire.messages(ApiKey.METADATA)
_CREATE = wire.messages(ApiKey.CREATE_TOPICS)
_DELETE = wire.messages(ApiKey.DELETE_TOPICS)
_PARTS = wire.messages(ApiKey.CREATE_PARTITIONS)
_ALTER = wire.messages(ApiKey.INCREMENTAL_ALTER_CONFIGS)
_CONFIGS = wire.messages(ApiKey.DESCRIBE_CONFIGS)
_ELECT = wire.messages(ApiKey.ELECT_LEADERS)
_GROUPS = wire.messages(ApiKey.DELETE_GROUPS)
_OFFSETS = wire.messages(ApiKey.OFFSET_DELETE)


class Admin:
    """One administrator, who does one thing at a time."""

    def __init__(self, cast: Cast, history: History, seed: int) -> None:
        self._cast, self._history, self._random = cast, history, Random(seed)
        self.complaints: list[str] = []
        self.grown: Callable[[int], None] = lambda count: None
        """Called with the new number of partitions of the topic that real clients use."""
        self._topics: dict[str, set[int]] = defaultdict(lambda: {0})
        """How many partitions each may have; 0: none such."""
        self._settings: dict[tuple[int, str, str], set[str]] = {}
        self._next = 0
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def join_thread(self) -> None:
        self._thread.join(60)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        acts: list[Callable[[], None]] = [
            self._make_topics,
            self._delete_topics,
            self._add_partitions,
            self._grow_real,
            self._set,
            self._elect,
            self.remake_fleeting,
            self._delete_group,
            self._delete_group,
            self._delete_offsets,
        ]
        while not self._cast.ended.is_set():
            act = self._random.choice(acts)
            self._cast.told[f"admin {act.__name__.strip('_')}"] += 1
            act()
            self._cast.sleep(self._random.uniform(0.1, 1.0))

    def _ask(
        self, key: ApiKey, body: Any, broker: int | None = None, patience_s: float = PATIENCE_S
    ) -> Any:
        try:
            return self._cast.ask(key, body, broker, patience_s)
        except Unanswered:
            self._cast.told[f"{key.name} without answer"] += 1
            return None

    def _complete(self, what: str, asked: set[Any], answered: list[Any]) -> None:
        if sorted(asked) != sorted(answered):
            self.complaints.append(f"{what}: asked for {asked}, answered {answered}")

    # --- topics

    def create(self, name: str, count: int) -> bool:
        """With an item beside it that must be refused; True when it is there."""
        names = {name: count, "not a name!": 1}
        answer = self._ask(
            ApiKey.CREATE_TOPICS,
            _CREATE.CreateTopicsRequest(
                topics=[
                    _CREATE.CreatableTopic(name=each, num_partitions=parts, replication_factor=3)
                    for each, parts in names.items()
                ],
                timeout=TIMEOUT_MS,
            ),
        )
        if answer is None:
            self._topics[name].add(count)
            return False
        self._complete("CreateTopics", set(names), [each.name for each in answer.topics])
        error = {each.name: each.error_code for each in answer.topics}[name]
        if error == ErrorCode.NONE:
            self._topics[name] = {count}
        elif error == ErrorCode.TOPIC_ALREADY_EXISTS:
            self._topics[name] -= {0}
            return True
        else:
            self._topics[name].add(count)
        return bool(error == ErrorCode.NONE)

    def _make_topics(self) -> None:
        self._next += 1
        self.create(f"admin-{self._next}", self._random.randint(1, 4))

    def _known(self) -> list[str]:
        return [name for name in self._topics if name.startswith("admin-")]

    def _delete_topics(self) -> None:
        if known := self._known():
            self.delete(self._random.choice(known))

    def delete(self, name: str) -> bool:
        names = [name, "never-made"]
        answer = self._ask(
            ApiKey.DELETE_TOPICS,
            _DELETE.DeleteTopicsRequest(
                topics=[_DELETE.DeleteTopicState(name=each) for each in names], timeout=TIMEOUT_MS
            ),
        )
        if answer is not None:
            self._complete("DeleteTopics", set(names), [each.name for each in answer.responses])
            error = {each.name: each.error_code for each in answer.responses}[name]
            if error in GONE_WELL:
                self._topics[name] = {0}
                return True
        self._topics[name].add(0)
        return False

    def _add_partitions(self) -> None:
        sure = [name for name in self._known() if len(self._topics[name]) == 1]
        if sure:
            self._grow(self._random.choice(sure))

    def _grow_real(self) -> None:
        """Twice at most."""
        if len(self._topics["real"]) == 1 and max(self._topics["real"]) < 8:
            self._grow("real")
            if len(self._topics["real"]) == 1:
                self.grown(*self._topics["real"])

    def _grow(self, name: str) -> None:
        (count,) = self._topics[name]
        wanted = count + 2
        answer = self._ask(
            ApiKey.CREATE_PARTITIONS,
            _PARTS.CreatePartitionsRequest(
                topics=[
                    _PARTS.CreatePartitionsTopic(name=name, count=wanted, assignments=None),
                    _PARTS.CreatePartitionsTopic(name="never-made", count=3, assignments=None),
                ],
                timeout=TIMEOUT_MS,
            ),
        )
        if answer is None:
            self._topics[name].add(wanted if count else 0)
            return
        self._complete(
            "CreatePartitions", {name, "never-made"}, [each.name for each in answer.results]
        )
        error = {each.name: each.error_code for each in answer.results}[name]
        if error == ErrorCode.NONE and count:
            self._topics[name] = {wanted}
        elif error == ErrorCode.NONE:
            self.complaints.append(f"CreatePartitions of {name}, which was deleted, went well")
        elif count:
            self._topics[name].add(wanted)

    def remake_fleeting(self) -> None:
        """Delete the topic that a group has offsets in, and make it again."""
        places = {w.place for w in list(self._history.writes) if w.place[1] == "fleeting"}
        gone = self._history.deleting(sorted(places))
        self.delete("fleeting")
        self._cast.sleep(self._random.uniform(0.0, 1.0))
        while not self.create("fleeting", 4) and not self._cast.ended.is_set():
            self._cast.sleep(0.3)
        deadline = time.monotonic() + SEEN_S
        while time.monotonic() < deadline and not self._cast.ended.is_set():
            ids = {self._topic_id(broker, "fleeting") for broker in self._cast.addresses}
            if len(ids) == 1 and None not in ids:
                # Every broker knows the new topic: the old one's end has no effect after this.
                for each in gone:
                    each.end = time.monotonic()
                return
            self._cast.sleep(0.1)

    def _topic_id(self, broker: int, name: str) -> Any:
        found = self._described(broker, [name])
        return None if found is None or found[0].error_code else found[0].topic_id

    def _described(self, broker: int, names: list[str]) -> Any:
        wanted = [_META.MetadataRequestTopic(name=name) for name in names]
        body = _META.MetadataRequest(topics=wanted, allow_auto_topic_creation=False)
        answer = self._ask(ApiKey.METADATA, body, broker)
        return None if answer is None else answer.topics

    def _elect(self) -> None:
        topic, parts = self._random.choice([(CONSUMER_OFFSETS, 50), ("raw", 4), ("real", 4)])
        asked = sorted(self._random.sample(range(parts), self._random.randint(1, parts)))
        answer = self._ask(
            ApiKey.ELECT_LEADERS,
            _ELECT.ElectLeadersRequest(
                election_type=0,
                topic_partitions=[_ELECT.TopicPartitions(topic=topic, partitions=asked)],
                timeout=TIMEOUT_MS,
            ),
        )
        if answer is not None and not answer.error_code:
            found = [
                part.partition_id
                for each in answer.replica_election_results
                for part in each.partition_result
            ]
            self._complete(f"ElectLeaders {topic}", set(asked), found)

    # --- settings

    def _set(self) -> None:
        chosen = self._random.choice(list(SETTINGS))
        kind, name, key = chosen
        value = self._random.choice(SETTINGS[chosen])
        change = _ALTER.AlterableConfig(name=key, config_operation=0, value=value)
        no = _ALTER.AlterableConfig(name="retention.ms", config_operation=0, value="no number")
        answer = self._ask(
            ApiKey.INCREMENTAL_ALTER_CONFIGS,
            _ALTER.IncrementalAlterConfigsRequest(
                resources=[
                    _ALTER.AlterConfigsResource(
                        resource_type=kind, resource_name=name, configs=[change]
                    ),
                    _ALTER.AlterConfigsResource(
                        resource_type=TOPIC, resource_name="real", configs=[no]
                    ),
                ],
                validate_only=False,
            ),
        )
        if answer is not None:
            named = [each.resource_name for each in answer.responses]
            self._complete("IncrementalAlterConfigs", {name, "real"}, named)
            if {each.resource_name: each.error_code for each in answer.responses}[name] == 0:
                self._settings[chosen] = {value}
                return
        if chosen in self._settings:  # else nothing was promised yet
            self._settings[chosen].add(value)

    def _value(self, setting: tuple[int, str, str], broker: int) -> str | None:
        kind, name, key = setting
        one = _CONFIGS.DescribeConfigsResource(
            resource_type=kind, resource_name=name or str(broker), configuration_keys=[key]
        )
        answer = self._ask(
            ApiKey.DESCRIBE_CONFIGS, _CONFIGS.DescribeConfigsRequest(resources=[one]), broker
        )
        if answer is None:
            return None
        return next((each.value for r in answer.results for each in r.configs), None)

    # --- groups

    def _delete_group(self) -> None:
        group = "raw-churn"
        broker = self._cast.coordinator(group)
        if broker is None:
            return
        places = sorted({w.place for w in list(self._history.writes) if w.place[0] == group})
        gone = self._history.deleting([*places, (group, "", 0)])
        self._history.deletions.append(gone[-1])
        names = [group, "never-was-a-group"]
        answer = self._ask(
            ApiKey.DELETE_GROUPS, _GROUPS.DeleteGroupsRequest(groups_names=names), broker
        )
        if answer is None:
            return
        found = {each.group_id: each.error_code for each in answer.results}
        self._complete("DeleteGroups", set(names), [each.group_id for each in answer.results])
        self._cast.told[f"group deletion told {ErrorCode(found[group]).name}"] += 1
        self._settle(gone, found[group])

    def _settle(self, gone: list[Any], error: int) -> None:
        for each in gone:
            if error == ErrorCode.NONE:
                each.acknowledged, each.end = True, time.monotonic()
            each.refused = error in (
                ErrorCode.NON_EMPTY_GROUP,
                ErrorCode.GROUP_ID_NOT_FOUND,
                ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC,
            )

    def _delete_offsets(self) -> None:
        group = self._random.choice(["raw-churn", LONE])
        broker = self._cast.coordinator(group)
        if broker is not None:
            self.delete_offsets(group, broker, sorted(self._random.sample(range(4), 2)))

    def delete_offsets(
        self, group: str, broker: int, asked: list[int], patience_s: float = PATIENCE_S
    ) -> None:
        """Of partitions of one topic; `broker` may coordinate the group no more."""
        topic = "raw"
        gone = self._history.deleting([(group, topic, each) for each in asked])
        parts = [_OFFSETS.OffsetDeleteRequestPartition(partition_index=each) for each in asked]
        wanted = _OFFSETS.OffsetDeleteRequestTopic(name=topic, partitions=parts)
        body = _OFFSETS.OffsetDeleteRequest(group_id=group, topics=[wanted])
        answer = self._ask(ApiKey.OFFSET_DELETE, body, broker, patience_s)
        if answer is None:
            return
        if answer.error_code:
            self._settle(gone, answer.error_code)
            return
        found = {p.partition_index: p.error_code for t in answer.topics for p in t.partitions}
        self._complete("OffsetDelete", set(asked), list(found))
        for each in gone:
            self._cast.told[f"offset deletion told {ErrorCode(found[each.place[2]]).name}"] += 1
            self._settle([each], found[each.place[2]])

    # --- afterwards

    def check_everywhere(self) -> None:
        """What was acknowledged is what every broker says."""
        for broker in self._cast.addresses:
            for name, counts in self._topics.items():
                wait_for(
                    lambda b=broker, n=name, c=counts: self._count(b, n) in c,  # type: ignore[misc]
                    SEEN_S,
                    f"broker {broker} to have one of {counts} partitions of {name}",
                )
            for setting, values in self._settings.items():
                wait_for(
                    lambda b=broker, s=setting, v=values: self._value(s, b) in v,  # type: ignore[misc]
                    SEEN_S,
                    f"broker {broker} to have one of {values} for {setting}",
                )

    def _count(self, broker: int, name: str) -> int:
        found = self._described(broker, [name])
        return -1 if found is None else len(found[0].partitions)
