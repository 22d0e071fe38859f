"""What every broker says of the cluster, asked one by one.

A Kafka client hides brokers that do not answer behind those that do, and asks whichever it likes.
Here each broker is asked over a connection of its own, in the Kafka protocol, within a bounded
time: who is there, who is the controller, and who votes.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from cli.connection import Connection, Silence, attempt
from cli.context import Address
from partitions import wire

ASK_S = 3.0
"""One broker has this long to answer everything."""
ASKED_AT_ONCE_MAX = 32
ROUNDS_MAX = 3
"""Brokers named by brokers named by the bootstrap addresses: nothing new is expected after that."""
METADATA_VERSION = 7
CONFIGS_VERSION = 1
BROKER_RESOURCE = 4
VOTERS = "controller.quorum.voters"


@dataclass(frozen=True, slots=True)
class View:
    """One broker's answer."""

    cluster_id: str | None
    controller: int | None
    brokers: dict[int, Address]
    topics: tuple[Any, ...]
    """MetadataResponseTopic."""
    voters: tuple[int, ...] | None
    """Node ids; None when it does not tell."""


def survey(
    bootstrap: Iterable[Address], limit_s: float, most: int | None = None, until: float = math.inf
) -> dict[Address, View | Silence]:
    """Ask the bootstrap addresses, and every broker that any answer names, at once.

    Of those that answers name no more are asked than make `most` with the bootstrap addresses, and
    nobody after `until` (of the monotonic clock, in seconds). Who was not asked is not returned.
    """

    def asked(address: Address) -> View | Silence | None:
        left_s = until - time.monotonic()
        return ask(address, min(limit_s, left_s)) if left_s > 0 else None

    found: dict[Address, View | Silence] = {}
    wanted = list(dict.fromkeys(bootstrap))
    with ThreadPoolExecutor(ASKED_AT_ONCE_MAX) as pool:
        for _ in range(ROUNDS_MAX):
            answers = zip(wanted, list(pool.map(asked, wanted)), strict=True)
            found |= {address: answer for address, answer in answers if answer is not None}
            views = [view for view in found.values() if isinstance(view, View)]
            named = dict.fromkeys(address for view in views for address in view.brokers.values())
            wanted = [address for address in named if address not in found]
            if most is not None:
                wanted = wanted[: max(0, most - len(found))]
            if not wanted or time.monotonic() >= until:
                break
    return found


def ask(address: Address, limit_s: float) -> View | Silence:
    """One broker's view, or why there is none after at most `limit_s`."""
    return attempt(address, limit_s, lambda connection: _view(connection, address))


def _view(connection: Connection, address: Address) -> View:
    types = wire.messages(wire.ApiKey.METADATA)
    question = types.MetadataRequest(topics=None, allow_auto_topic_creation=False)
    answer = connection.call(wire.ApiKey.METADATA, METADATA_VERSION, question)
    brokers = {each.node_id: Address(each.host, each.port) for each in answer.brokers}
    node = next((node for node, theirs in brokers.items() if theirs == address), None)
    return View(
        answer.cluster_id,
        answer.controller_id if answer.controller_id >= 0 else None,
        brokers,
        tuple(answer.topics),
        None if node is None else _voters(connection, node),
    )


def _voters(connection: Connection, node: int) -> tuple[int, ...] | None:
    """The quorum's voters, from the broker's configuration; another Kafka may not tell."""
    types = wire.messages(wire.ApiKey.DESCRIBE_CONFIGS)
    resource = types.DescribeConfigsResource(
        resource_type=BROKER_RESOURCE, resource_name=str(node), configuration_keys=[VOTERS]
    )
    question = types.DescribeConfigsRequest(resources=[resource], include_synonyms=False)
    try:
        answer = connection.call(wire.ApiKey.DESCRIBE_CONFIGS, CONFIGS_VERSION, question)
    except ConnectionError:
        return None
    texts = [each.value or "" for result in answer.results for each in result.configs]
    nodes = [voter.partition("@")[0] for voter in ",".join(texts).split(",") if voter]
    return tuple(sorted(int(each) for each in nodes)) or None
