"""What a directory holds and what was forced on it, as JSON that travels between brokers."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from partitions.recover.copies import Copy
from partitions.recover.forcing import Forced
from raftlog.core.membership import voters_of
from raftlog.disk.properties import Properties, decode_properties, encode_properties
from raftlog.errors import Misconfigured
from raftlog.types import Configuration, HardState, LogPosition, ReplicaId

VERSION = 1


class Report(NamedTuple):
    """One directory's."""

    properties: Properties
    """Of the directory; once something was forced, as they have become."""
    copies: tuple[Copy, ...]
    """All that it held before that."""
    forced: tuple[int, ...] = ()
    """Groups that were forced on it."""


def encode_report(report: Report, plan: Forced | None = None) -> dict[str, Any]:
    """For `json`. `plan`: what was, or would be, forced."""
    properties = report.properties
    terms = {} if plan is None else {c.group: t for c, t in zip(*plan[1:], strict=True)}
    return {
        "report": VERSION,
        "cluster_id": properties.cluster_id,
        "node_id": properties.node_id,
        "directory_id": properties.directory_id.hex(),
        "recovery": properties.recovery,
        "abandoned": [_text(replica) for replica in properties.abandoned],
        "voters": [str(voter) for voter in properties.voters],
        "forced": bool(report.forced),
        "groups": [
            {
                **_row(copy, properties.replica),
                "forced": copy.group in report.forced,
                "forced_term": terms.get(copy.group),
            }
            for copy in report.copies
        ],
        "properties": encode_properties(properties).decode(),
    }


def _row(copy: Copy, me: ReplicaId) -> dict[str, Any]:
    return {
        "group": copy.group,
        "name": copy.name,
        "topic": copy.topic,
        "partition": None if copy.topic is None else copy.partition,
        "term": copy.hard_state.term,
        "last_term": copy.last.term,
        "last_index": copy.last.index,
        "end_offset": copy.last.offset,
        "settled_term": copy.settled.term,
        "settled_index": copy.settled.index,
        "settled_offset": copy.settled.offset,
        "voters": [_text(voter) for voter in voters_of(copy.configuration)],
        "learners": [_text(learner) for learner in copy.configuration.learners],
        "voter": copy.votes(me),
        "offline": copy.offline or None,
    }


def decode_report(text: str, name: str) -> Report:
    """What `encode_report` was given; Misconfigured, naming the file `name`, for anything else."""
    try:
        document = json.loads(text)
        if document["report"] != VERSION:
            raise ValueError(f"its version is {document['report']}, not {VERSION}")
        rows = document["groups"]
        return Report(
            decode_properties(document["properties"].encode(), name),
            tuple([_copy(row) for row in rows]),
            tuple([int(row["group"]) for row in rows if row["forced"]]),
        )
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise Misconfigured(
            f"{name} is no report of `quorate cluster recover --output json`: {error!r}"
        ) from error


def _copy(row: dict[str, Any]) -> Copy:
    voters = tuple([_replica(text) for text in row["voters"]])
    learners = tuple([_replica(text) for text in row["learners"]])
    settled = LogPosition(*_numbers(row, "settled_index", "settled_term", "settled_offset"))
    last = LogPosition(*_numbers(row, "last_index", "last_term", "end_offset"))
    group, term = _numbers(row, "group", "term")
    partition = -1 if row["topic"] is None else int(row["partition"])
    state = HardState(term, None)
    configuration = Configuration(voters, (), learners)
    offline = str(row["offline"] or "")
    return Copy(group, row["topic"], partition, state, settled, last, configuration, offline)


def _numbers(row: dict[str, Any], *keys: str) -> list[int]:
    numbers = [row[key] for key in keys]
    if any(type(number) is not int or number < 0 for number in numbers):
        raise ValueError(f"{keys} are not all numbers")
    return numbers


def _text(replica: ReplicaId) -> str:
    return f"{replica.node}:{replica.directory.hex()}"


def _replica(text: str) -> ReplicaId:
    node, _, directory = text.partition(":")
    return ReplicaId(int(node), bytes.fromhex(directory))
