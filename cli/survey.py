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

from cli.connection import Connection, Silence, Unavailable, attempt
from cli.context import Address
from cli.logdirs import brokers
from partitions import wire

ASK_S = 3.0
"""One broker has this long to answer everything."""
ASKED_AT_ONCE_MAX = 32
ROUNDS_MAX = 3
"""Brokers named by brokers named by the bootstrap addresses: nothing new is expected after that."""
METADATA_VERSION = 7
CONFIGS_VERSION = 1
BROKER_RESOURCE = 4
VOTERS, DRAINING = ASKED = ("controller.quorum.voters", "broker.drain.enable")


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
    draining: bool | None = None
    """Is it to lead nothing? None when it does not tell."""


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
    return attempt(address, limit_s, _view)


def _view(connection: Connection) -> View:
    types = wire.messages(wire.ApiKey.METADATA)
    question = types.MetadataRequest(topics=None, allow_auto_topic_creation=False)
    answer = connection.call(wire.ApiKey.METADATA, METADATA_VERSION, question)
    listed = {each.node_id: Address(each.host, each.port) for each in answer.brokers}
    own = _own_settings(connection, listed)
    return View(
        answer.cluster_id,
        answer.controller_id if answer.controller_id >= 0 else None,
        listed,
        tuple(answer.topics),
        _voters(own.get(VOTERS, "")),
        own[DRAINING] == "true" if DRAINING in own else None,
    )


def _own_settings(connection: Connection, listed: Iterable[int]) -> dict[str, str]:
    """The broker's own values of `ASKED`; empty if it does not tell, as another Kafka may not.

    Each knows its own only, and which one it is need not be known: it may be listed under an
    address that is not the one it was reached at, or not be listed.
    """
    try:
        return _settings_of(connection, listed) or _settings_of(connection, brokers(connection))
    except (ConnectionError, Unavailable):
        return {}


def _settings_of(connection: Connection, nodes: Iterable[int]) -> dict[str, str]:
    types = wire.messages(wire.ApiKey.DESCRIBE_CONFIGS)
    resources = [
        types.DescribeConfigsResource(
            resource_type=BROKER_RESOURCE, resource_name=str(node), configuration_keys=list(ASKED)
        )
        for node in nodes
    ]
    question = types.DescribeConfigsRequest(resources=resources, include_synonyms=False)
    answer = connection.call(wire.ApiKey.DESCRIBE_CONFIGS, CONFIGS_VERSION, question)
    return {each.name: each.value or "" for result in answer.results for each in result.configs}


def _voters(text: str) -> tuple[int, ...] | None:
    nodes = [voter.partition("@")[0] for voter in text.split(",") if voter]
    return tuple(sorted(int(each) for each in nodes)) or None
