"""What each broker says over the Kafka protocol, asked of every one of them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from cli import logdirs, quorum
from cli.bundling import redaction
from cli.codes import code_name
from cli.configs import BROKER, TOPIC, Owner, given
from cli.connection import Connection, Silence, Unavailable, attempt
from cli.context import Address
from cli.survey import ASKED_AT_ONCE_MAX, View
from partitions import wire

CLUSTER_VERSION = 2
TOPICS_PER_REQUEST = 100
TOPICS_MAX = 2_000
"""Whose settings are asked for."""


class Answers(NamedTuple):
    """One broker's, by the name that each has in the archive."""

    name: str
    """The broker's, in the archive."""
    documents: dict[str, Any]
    missing: dict[str, str]
    """Why there is no answer, by the same names."""


class Asked(NamedTuple):
    """Who is asked: the node id is None for an address that no broker says is its own."""

    address: Address
    node: int | None
    view: View

    @property
    def name(self) -> str:
        """In the archive."""
        return f"broker-{self.node}" if self.node is not None else f"at-{self.address}"


Question = Callable[[Connection, Asked], Any]


def ask_all(
    found: Mapping[Address, View | Silence], limit_s: float, until: float = math.inf
) -> Iterator[Answers]:
    """Every broker of a survey that answered, each within `limit_s`, in order of their names.

    After `until` (of the monotonic clock, in seconds) nothing is asked any more.
    """
    asked = [
        Asked(address, next((n for n, a in view.brokers.items() if a == address), None), view)
        for address, view in found.items()
        if isinstance(view, View)
    ]
    with ThreadPoolExecutor(ASKED_AT_ONCE_MAX) as pool:
        yield from sorted(
            pool.map(lambda each: ask(each, limit_s, until), asked), key=lambda a: a.name
        )


def ask(asked: Asked, limit_s: float, until: float = math.inf) -> Answers:
    """One broker. A question that it cannot answer does not keep the others from being asked."""
    answers = Answers(asked.name, {"topics.json": topic_rows(asked.view)}, {})
    deadline = min(time.monotonic() + limit_s, until)
    whose = "the time for all brokers is" if deadline == until else f"its {limit_s:g} s are"
    for name, question in QUESTIONS.items():
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            answers.missing[name] = f"not asked: {whose} over"
            continue
        try:
            found = attempt(asked.address, left_s, lambda c, q=question: q(c, asked))  # type: ignore[misc]
        except Unavailable as error:
            answers.missing[name] = str(error)
            continue
        if isinstance(found, Silence):
            answers.missing[name] = found.reason
        else:
            answers.documents[name] = found
    return answers


def topic_rows(view: View) -> list[dict[str, Any]]:
    """A row per partition, as this broker sees it."""
    return [
        {
            "topic": topic.name,
            "partition": part.partition_index,
            "leader": part.leader_id if part.leader_id >= 0 else None,
            "epoch": part.leader_epoch,
            "replicas": list(part.replica_nodes),
            "in_sync": list(part.isr_nodes),
            "offline": list(part.offline_replicas),
            "error": code_name(part.error_code) if part.error_code else None,
        }
        for topic in view.topics
        for part in topic.partitions
    ]


def _cluster(connection: Connection, asked: Asked) -> dict[str, Any]:
    """Every registered broker, fenced ones too, and whom this one takes for the controller."""
    types = wire.messages(wire.ApiKey.DESCRIBE_CLUSTER)
    question = types.DescribeClusterRequest(include_fenced_brokers=True)
    answer = connection.call(wire.ApiKey.DESCRIBE_CLUSTER, CLUSTER_VERSION, question)
    if answer.error_code:
        raise Unavailable(f"{answer.error_message} [{code_name(answer.error_code)}]")
    return {
        "cluster_id": answer.cluster_id,
        "controller": answer.controller_id,
        "voters": None if asked.view.voters is None else list(asked.view.voters),
        "brokers": [
            {
                "id": each.broker_id,
                "address": f"{each.host}:{each.port}",
                "rack": each.rack,
                "fenced": each.is_fenced,
            }
            for each in answer.brokers
        ],
    }


def _settings(connection: Connection, asked: Asked) -> list[dict[str, Any]]:
    """The broker's own that are not defaults."""
    if asked.node is None:
        raise Unavailable("it does not say which broker it is")
    (rows,) = given(connection, [Owner(BROKER, str(asked.node))]).values()
    return list(map(_hidden, rows))


def _topic_settings(connection: Connection, asked: Asked) -> dict[str, list[dict[str, Any]]]:
    """By topic, what is not a default; those of all others are left away."""
    names = sorted(topic.name for topic in asked.view.topics)[:TOPICS_MAX]
    found: dict[str, list[dict[str, Any]]] = {}
    for first in range(0, len(names), TOPICS_PER_REQUEST):
        owners = [Owner(TOPIC, name) for name in names[first : first + TOPICS_PER_REQUEST]]
        for owner, rows in given(connection, owners).items():
            if rows:
                found[owner.name] = list(map(_hidden, rows))
    return found


def _hidden(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "value": redaction.value_of(row["name"], row["value"])}


def _log_dirs(connection: Connection, asked: Asked) -> dict[str, Any]:
    answer = logdirs.ask(connection)
    return logdirs.row(-1 if asked.node is None else asked.node, asked.address, answer, set())


QUESTIONS: dict[str, Question] = {
    "cluster.json": _cluster,
    "quorum.json": lambda connection, _: quorum.describe(connection),
    "settings.json": _settings,
    "topic-settings.json": _topic_settings,
    "log-dirs.json": _log_dirs,
}
