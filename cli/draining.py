"""What a broker still leads, and the wait until it leads nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from cli.connection import Connection
from cli.output import note
from partitions import wire

METADATA_VERSION = 7
LOOK_S = 0.2
_never = threading.Event()


class Leads(NamedTuple):
    """One look at the cluster, as one of its brokers knows it."""

    brokers: tuple[int, ...]
    """Those that run."""
    controller: bool
    """Does the broker lead the metadata quorum?"""
    partitions: tuple[str, ...]
    """`topic-number` of what it leads."""
    single: tuple[str, ...] = ()
    """Those of them that have no replica elsewhere, so that waiting is no use."""

    @property
    def nothing(self) -> bool:
        """It is drained."""
        return not self.partitions and not self.controller

    @property
    def stuck(self) -> bool:
        """What is left will not move, whoever comes back."""
        return bool(self.partitions) and self.partitions == self.single and not self.controller

    def __str__(self) -> str:
        count = len(self.partitions)
        text = f"{count} partition{'' if count == 1 else 's'}"
        return f"{text} and the metadata quorum" if self.controller else text


def look(connection: Connection, broker: int) -> Leads:
    """What `broker` leads, by what the broker at the other end knows."""
    types = wire.messages(wire.ApiKey.METADATA)
    question = types.MetadataRequest(topics=None, allow_auto_topic_creation=False)
    answer = connection.call(wire.ApiKey.METADATA, METADATA_VERSION, question)
    led = {
        f"{topic.name}-{part.partition_index}": part.replica_nodes
        for topic in answer.topics
        for part in topic.partitions
        if part.leader_id == broker
    }
    return Leads(
        tuple(sorted(each.node_id for each in answer.brokers)),
        answer.controller_id == broker,
        tuple(sorted(led)),
        tuple(sorted(name for name, replicas in led.items() if len(replicas) == 1)),
    )


def wait_until_drained(broker: int, ask: Callable[[], Leads], wait_s: float) -> Leads:
    """Ask until `broker` leads nothing that can move, or `wait_s` have passed.

    How it goes is told on stderr.
    """
    due, told = time.monotonic() + wait_s, ""
    while True:
        leads = ask()
        if str(leads) != told and not leads.nothing:
            told = str(leads)
            note(f"quorate: broker {broker} leads {told}")
        if leads.nothing or leads.stuck or time.monotonic() >= due:
            return leads
        _never.wait(LOOK_S)
