"""Consumer groups as each broker lists them: asked of the broker itself."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from cli.connection import Connection, Silence, attempt
from cli.context import Address
from partitions import wire

KEY, VERSION = wire.ApiKey.LIST_GROUPS, 1
ASKED_AT_ONCE_MAX = 32


def ask(connection: Connection) -> list[str]:
    """The names of the groups that one broker coordinates."""
    types = wire.messages(KEY)
    answer = connection.call(KEY, VERSION, types.ListGroupsRequest())
    return [each.group_id for each in answer.groups]


def silent(places: Mapping[int, Address], limit_s: float) -> list[str]:
    """Those that do not answer, by id, with their addresses and why."""
    with ThreadPoolExecutor(ASKED_AT_ONCE_MAX) as pool:
        nodes = sorted(places)
        answers = list(pool.map(lambda node: attempt(places[node], limit_s, ask), nodes))
    return [
        f"broker {node} at {places[node]}: {answer.reason}"
        for node, answer in zip(nodes, answers, strict=True)
        if isinstance(answer, Silence)
    ]
