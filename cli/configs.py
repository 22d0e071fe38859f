"""Settings of a running cluster: asked for, and changed.

librdkafka has no name for "all brokers" and asks for no documentation, so these requests go over
connections of our own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from cli.clients import WHY_SILENT
from cli.codes import code_name
from cli.connection import Connection, Silence, Unavailable, attempt
from cli.context import Address, Target
from cli.exits import CommandFailed, ExitCode
from cli.patience import accepts, waiting
from partitions import wire
from partitions.errors import ErrorCode

TOPIC, BROKER = 2, 4
CLUSTER_VERSION = 2
DESCRIBE_VERSION = 4
ALTER_VERSION = 1
OPERATIONS = {"set": 0, "unset": 1, "append": 2, "subtract": 3}
"""IncrementalAlterConfigs' numbers for what the commands say."""
_TIMED_OUT = (ErrorCode.REQUEST_TIMED_OUT, ErrorCode.NOT_CONTROLLER)

SOURCES = {1: "topic", 2: "broker", 3: "cluster", 4: "file", 5: "default"}
"""What gives a value (DescribeConfigs' config_source)."""
TYPES = {
    1: "boolean",
    2: "string",
    3: "int",
    4: "short",
    5: "long",
    6: "double",
    7: "list",
    8: "class",
    9: "password",
}


class Owner(NamedTuple):
    """Whose settings: a topic's, one broker's, or all brokers' ("" as a name)."""

    kind: int
    name: str

    def __str__(self) -> str:
        if self.kind == TOPIC:
            return f"topic {self.name}"
        return f"broker {self.name}" if self.name else "the cluster"


class Change(NamedTuple):
    """One setting to change; `operation` is one of OPERATIONS."""

    operation: str
    name: str
    value: str | None = None


def describe(owner: Owner, target: Target) -> list[dict[str, Any]]:
    """Every setting of `owner` with value, source, type, documentation, and all that give one."""
    m = wire.messages(wire.ApiKey.DESCRIBE_CONFIGS)
    resource = m.DescribeConfigsResource(
        resource_type=owner.kind, resource_name=owner.name, configuration_keys=None
    )
    question = m.DescribeConfigsRequest(
        resources=[resource], include_synonyms=True, include_documentation=True
    )
    # What a broker's file says is known to that broker only.
    places = (
        [_broker(owner.name, target)] if owner.kind == BROKER and owner.name else target.bootstrap
    )
    body = _call(places, target, wire.ApiKey.DESCRIBE_CONFIGS, DESCRIBE_VERSION, question)
    (result,) = body.results
    _check(result, f"describing {owner}", target)
    return sorted((_row(entry) for entry in result.configs), key=lambda row: str(row["name"]))


def given(connection: Connection, owners: Sequence[Owner]) -> dict[Owner, list[dict[str, Any]]]:
    """What is not a default, of several owners at once: rows of name, value and source.

    Raises Unavailable when the broker cannot tell. Secret values are None.
    """
    m = wire.messages(wire.ApiKey.DESCRIBE_CONFIGS)
    resources = [
        m.DescribeConfigsResource(
            resource_type=owner.kind, resource_name=owner.name, configuration_keys=None
        )
        for owner in owners
    ]
    question = m.DescribeConfigsRequest(resources=resources, include_synonyms=False)
    body = connection.call(wire.ApiKey.DESCRIBE_CONFIGS, DESCRIBE_VERSION, question)
    found = {}
    for result in body.results:
        owner = Owner(result.resource_type, result.resource_name)
        # A topic may be deleted between being named and being asked for.
        gone = owner.kind == TOPIC and result.error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        if result.error_code and not gone:
            text = result.error_message or f"the settings of {owner} cannot be described"
            raise Unavailable(f"{text} [{code_name(result.error_code)}]")
        rows = [_row(entry) for entry in result.configs]
        kept = ("name", "value", "source")
        found[owner] = [
            {key: row[key] for key in kept} for row in rows if row["source"] != "default"
        ]
    return found


def alter(
    owner: Owner, changes: Sequence[Change], target: Target, *, validate_only: bool = False
) -> None:
    """Change settings, all or none; CommandFailed says which one was refused, and why."""
    m = wire.messages(wire.ApiKey.INCREMENTAL_ALTER_CONFIGS)
    configs = [
        m.AlterableConfig(name=c.name, config_operation=OPERATIONS[c.operation], value=c.value)
        for c in changes
    ]
    resource = m.AlterConfigsResource(
        resource_type=owner.kind, resource_name=owner.name, configs=configs
    )
    question = m.IncrementalAlterConfigsRequest(resources=[resource], validate_only=validate_only)
    key = wire.ApiKey.INCREMENTAL_ALTER_CONFIGS
    body = _call(target.bootstrap, target, key, ALTER_VERSION, question)
    (result,) = body.responses
    if result.error_code == ErrorCode.INVALID_REQUEST and owner.kind == BROKER and owner.name:
        _broker(owner.name, target)  # an id that no broker has is told in its own sentence
    _check(result, f"changing {owner}", target)


def _row(entry: Any) -> dict[str, Any]:
    return {
        "name": entry.name,
        "value": entry.value,
        "source": SOURCES.get(entry.config_source, str(entry.config_source)),
        "type": TYPES.get(entry.config_type, "unknown"),
        "read_only": entry.read_only,
        "given": [
            {"name": s.name, "value": s.value, "source": SOURCES.get(s.source, str(s.source))}
            for s in entry.synonyms
        ],
        "documentation": entry.documentation,
    }


def registered(target: Target) -> dict[int, Address]:
    """Where each broker of the cluster is, be it running or not."""
    m = wire.messages(wire.ApiKey.DESCRIBE_CLUSTER)
    question = m.DescribeClusterRequest(include_fenced_brokers=True)
    key = wire.ApiKey.DESCRIBE_CLUSTER
    body = _call(target.bootstrap, target, key, CLUSTER_VERSION, question)
    if body.error_code:
        name = code_name(body.error_code)
        raise CommandFailed(f"asking for the brokers: {body.error_message or name} [{name}]")
    return {each.broker_id: Address(each.host, each.port) for each in body.brokers}


def no_broker(broker: int, there: Iterable[int]) -> CommandFailed:
    """The failure for an id that no broker has."""
    ids = ", ".join(map(str, sorted(there)))
    return CommandFailed(f"there is no broker {broker}; the brokers of this cluster are {ids}")


def _broker(name: str, target: Target) -> Address:
    """Where broker `name` is."""
    found = registered(target)
    if int(name) not in found:
        raise no_broker(int(name), found)
    return found[int(name)]


def _call(
    places: Sequence[Address], target: Target, key: wire.ApiKey, version: int, question: Any
) -> Any:
    """The answer of the first address that can be connected to, or CommandFailed."""
    reasons = []
    for address in places:
        # One that listens has all of the time to answer.
        share_s = target.timeout_s / len(places)
        limit_s = target.timeout_s if accepts(address, share_s) else share_s
        with waiting(f"waiting for an answer from {address}"):
            found = attempt(address, limit_s, lambda c: c.call(key, version, question))
        if not isinstance(found, Silence):
            return found
        reasons.append(f"{address} ({found.reason})")
        if found.connected:
            raise _broken(address, found, changes=key is wire.ApiKey.INCREMENTAL_ALTER_CONFIGS)
    raise CommandFailed(
        f"cannot reach {', '.join(reasons)}; is the cluster running, and is --bootstrap right?",
        ExitCode.UNREACHABLE,
    )


def _broken(address: Address, silence: Silence, *, changes: bool) -> CommandFailed:
    """The failure for a broker that was connected to: another one would say the same."""
    if silence.reason.startswith("no answer"):
        why = (
            "it may still happen. It takes a majority of the voters: see `quorate cluster status`"
            if changes
            else f"one {WHY_SILENT}"
        )
        return CommandFailed(
            f"connected, but {address} gives {silence.reason}; {why}", ExitCode.TIMED_OUT
        )
    return CommandFailed(f"{address}: {silence.reason}; is it a broker of this release?")


def _check(result: Any, doing: str, target: Target) -> None:
    if result.error_code == 0:
        return
    name = code_name(result.error_code)
    exit_code = ExitCode.TIMED_OUT if result.error_code in _TIMED_OUT else ExitCode.FAILED
    raise CommandFailed(
        f"{doing}: {result.error_message or name} [{name}] ({target.servers})", exit_code
    )
