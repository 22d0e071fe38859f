"""What brokers say of consumer groups: who is in them, and how far they have read."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

from cli import clients
from cli.context import Target
from cli.exits import CommandFailed
from cli.places import Place, positions

if TYPE_CHECKING:
    from confluent_kafka.admin import AdminClient, ConsumerGroupDescription

DEAD = "Dead"
"""The state of a group that does not exist."""
INACTIVE = ("Empty", DEAD)
"""States without members: offsets may be changed then."""
_STATES = {
    "PREPARING_REBALANCING": "PreparingRebalance",
    "COMPLETING_REBALANCING": "CompletingRebalance",
}


class Committed(NamedTuple):
    """A group's position in a partition."""

    offset: int
    metadata: str | None


def state_name(state: Enum) -> str:
    """Kafka's name of a state."""
    return _STATES.get(state.name, state.name.capitalize())


def listing(client: AdminClient, target: Target) -> tuple[list[dict[str, Any]], list[str]]:
    """A row per group, by name, and what brokers that could not tell said instead."""
    answer = clients.result_of(
        client.list_consumer_groups(request_timeout=target.timeout_s),
        target,
        "listing groups",
        changes=False,
    )
    rows = [
        {
            "group": each.group_id,
            "state": state_name(each.state),
            "type": each.type.name.capitalize(),
            "simple": each.is_simple_consumer_group,
        }
        for each in answer.valid
    ]
    rows.sort(key=lambda row: str(row["group"]))
    return rows, [clients.describe(error) for error in answer.errors or ()]


def description(client: AdminClient, group: str, target: Target) -> ConsumerGroupDescription:
    """Its state and members; state Dead when there is no such group."""
    future = client.describe_consumer_groups([group], request_timeout=target.timeout_s)[group]
    found: ConsumerGroupDescription = clients.result_of(
        future, target, f"describing group {group!r}", changes=False
    )
    return found


def committed(client: AdminClient, group: str, target: Target) -> dict[Place, Committed]:
    """Every position that the group has committed."""
    from confluent_kafka import ConsumerGroupTopicPartitions

    doing = f"asking for the offsets of group {group!r}"
    future = client.list_consumer_group_offsets(
        [ConsumerGroupTopicPartitions(group)], request_timeout=target.timeout_s
    )[group]
    answer = clients.result_of(future, target, doing, changes=False)
    found: dict[Place, Committed] = {}
    for each in answer.topic_partitions or ():
        if each.error is not None:
            clients.fail(each.error, target, f"{doing}, {each.topic} {each.partition}")
        if each.offset >= 0:  # librdkafka's -1001: nothing is committed there
            found[each.topic, each.partition] = Committed(each.offset, each.metadata)
    return found


def describe(client: AdminClient, group: str, target: Target) -> dict[str, Any]:
    """The whole of one group as a document; CommandFailed when it does not exist.

    `failures` says of which partitions the end is not known, and why.
    """
    about = description(client, group, target)
    state = state_name(about.state)
    places = committed(client, group, target)
    if state == DEAD and not places:
        raise no_group(group)
    owners = {
        (each.topic, each.partition): member
        for member in about.members
        for each in member.assignment.topic_partitions or ()
    }
    wanted = sorted({*places, *owners})
    from confluent_kafka.admin import OffsetSpec

    ends = positions(client, dict.fromkeys(wanted, OffsetSpec.latest()), target)
    rows = [
        _offset_row(place, places.get(place), ends.offsets.get(place), owners.get(place))
        for place in wanted
    ]
    lags = [row["lag"] for row in rows if row["lag"] is not None]
    coordinator: Any = about.coordinator
    return {
        "group": group,
        "state": state,
        "assignor": about.partition_assignor or None,
        "coordinator": None if coordinator is None else coordinator.id,
        # Not a sum that leaves out what is not known.
        "lag": sum(lags) if lags and not ends.failures.keys() & places.keys() else None,
        "offsets": rows,
        "members": [_member_row(member) for member in about.members],
        "failures": [failure.message for failure in ends.failures.values()],
    }


def _offset_row(
    place: Place, position: Committed | None, end: int | None, owner: Any
) -> dict[str, Any]:
    current = None if position is None else position.offset
    return {
        "topic": place[0],
        "partition": place[1],
        "offset": current,
        "end": end,
        # The end was asked for later than the offset; a topic that was made anew may end earlier.
        "lag": None if current is None or end is None else max(0, end - current),
        "metadata": None if position is None else position.metadata,
        "member": None if owner is None else owner.member_id,
        "client_id": None if owner is None else owner.client_id,
        "host": None if owner is None else owner.host,
    }


def _member_row(member: Any) -> dict[str, Any]:
    topics: dict[str, list[int]] = {}
    for each in member.assignment.topic_partitions or ():
        topics.setdefault(each.topic, []).append(each.partition)
    return {
        "member": member.member_id,
        "instance_id": member.group_instance_id or None,
        "client_id": member.client_id,
        "host": member.host,
        "partitions": sum(map(len, topics.values())),
        "assignment": {topic: sorted(numbers) for topic, numbers in sorted(topics.items())},
    }


def require_inactive(client: AdminClient, group: str, target: Target) -> str:
    """The state of a group without members; CommandFailed if it has some.

    A member commits what it has read, over whatever was set meanwhile.
    """
    about = description(client, group, target)
    state = state_name(about.state)
    if state not in INACTIVE:
        count = len(about.members)
        raise CommandFailed(
            f"group {group!r} is {state}, with {count} member{'s' if count != 1 else ''}: its "
            f"offsets can be reset only while it has none. Stop its consumers first; `quorate "
            f"group describe {group} --members` shows them"
        )
    return state


def no_group(group: str) -> CommandFailed:
    """The failure for a name that no group has."""
    return CommandFailed(f"no such group: {group}; `quorate group list` shows what there is")
