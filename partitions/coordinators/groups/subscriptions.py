"""Which topics the members of a group read, as far as a coordinator can know.

To a coordinator what members prefer is bytes. Only of consumers is it known what these begin
with (Kafka's ConsumerProtocolSubscription: version, then the topics).
"""

from __future__ import annotations

from struct import Struct
from struct import error as StructError

from partitions.coordinators.groups.answers import GroupDescription, GroupState

CONSUMER = "consumer"
_INT16, _INT32 = Struct(">h").unpack_from, Struct(">i").unpack_from


def topics_in_use(group: GroupDescription | None) -> frozenset[str] | None:
    """The topics of all members; None: it may be any."""
    if group is None or group.state in (GroupState.EMPTY, GroupState.DEAD):
        return frozenset()
    if group.protocol_type != CONSUMER or group.state is not GroupState.STABLE:
        return None
    found: set[str] = set()
    for member in group.members:
        topics = subscribed(member.metadata)
        if topics is None:
            return None
        found.update(topics)
    return frozenset(found)


def subscribed(metadata: bytes) -> list[str] | None:
    """The topics of one consumer's subscription; None when it is something else."""
    try:
        (count,) = _INT32(metadata, 2)
        at, topics = 6, []
        for _ in range(count):
            (size,) = _INT16(metadata, at)
            topic = metadata[at + 2 : at + 2 + size]
            if len(topic) != size:
                return None
            topics.append(topic.decode())
            at += 2 + size
    except (StructError, UnicodeDecodeError):
        return None
    return topics
