"""DescribeConfigs (key 32): the settings in force for topics and brokers, and where they come from.

A resource that is asked for again is refused the second time, and so is what would make the answer
larger than `ENTRIES_MAX`: a question of a megabyte could ask for gigabytes.

A broker's settings are known to that broker only: clients send such a question to it. What is
set for all brokers (the resource without a name) any of them tells.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from metadata.configs import ConfigEntry, cluster_entries
from metadata.live import ALL_BROKERS
from metadata.records import ResourceType
from partitions import wire
from partitions.api.context import Answer, Body, RequestContext
from partitions.api.services import Services
from partitions.errors import ErrorCode, KafkaError
from partitions.security import CLUSTER, Operation, topic_resource

ENTRIES_MAX = 50_000
"""Settings in one answer, so all those of 3,800 topics: some 30 MB of objects for a moment."""
_M = wire.messages(wire.ApiKey.DESCRIBE_CONFIGS)


def handle(services: Services, context: RequestContext, request: Any) -> Answer:
    """One result per resource; a resource's keys are all, or those asked for that exist (to
    ask for none asks for all, as in Kafka)."""
    results: list[Any] = []
    seen: set[tuple[int, str]] = set()
    room = ENTRIES_MAX
    for resource in request.resources:
        result = _result(resource, ErrorCode.NONE, None)
        results.append(result)
        try:
            _once(seen, resource)
            entries = _wanted(_entries(services, context, resource), resource.configuration_keys)
            if len(entries) > room:
                text = f"more than {ENTRIES_MAX} settings in all: ask for fewer resources at once"
                raise KafkaError(ErrorCode.INVALID_REQUEST, text)
            room -= len(entries)
            result.configs = [
                _shown(entry, request.include_synonyms, request.include_documentation)
                for entry in entries
            ]
        except KafkaError as error:
            result.error_code = error.code.value
            result.error_message = error.message
    return _M.DescribeConfigsResponse(results=results)


def _once(seen: set[tuple[int, str]], resource: Any) -> None:
    asked = (resource.resource_type, resource.resource_name)
    if asked in seen:
        raise KafkaError(ErrorCode.INVALID_REQUEST, "the resource is asked for twice")
    seen.add(asked)


def _wanted(entries: Mapping[str, ConfigEntry], names: Any) -> list[ConfigEntry]:
    """Those of these names; all if there are none."""
    wanted = set(names or ())
    return [entry for name, entry in entries.items() if not wanted or name in wanted]


def _entries(
    services: Services, context: RequestContext, resource: Any
) -> Mapping[str, ConfigEntry]:
    name = resource.resource_name
    if resource.resource_type == ResourceType.TOPIC:
        _allow(services, context, name)
        if services.image().topic(name) is None:
            raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"there is no topic {name}")
        return services.topic_configs(name)
    if resource.resource_type == ResourceType.BROKER:
        _allow(services, context, None)
        if not name:
            return cluster_entries(services.image().config(ALL_BROKERS))
        if name != str(services.node_id):
            raise KafkaError(
                ErrorCode.INVALID_REQUEST,
                f"resource_name {name!r}: this is broker {services.node_id}; ask the other one",
            )
        return services.broker_configs()
    raise KafkaError(
        ErrorCode.INVALID_REQUEST,
        f"resource_type {resource.resource_type} is neither a topic (2) nor a broker (4)",
    )


def _allow(services: Services, context: RequestContext, topic: str | None) -> None:
    resource = CLUSTER if topic is None else topic_resource(topic)
    if services.authorizer.authorize(context, Operation.DESCRIBE_CONFIGS, resource):
        return
    code = (
        ErrorCode.CLUSTER_AUTHORIZATION_FAILED
        if topic is None
        else ErrorCode.TOPIC_AUTHORIZATION_FAILED
    )
    raise KafkaError(code, "describing this configuration is not allowed")


def _shown(entry: ConfigEntry, synonyms: bool, documentation: bool) -> Any:
    return _M.DescribeConfigsResourceResult(
        name=entry.name,
        value=entry.text,
        read_only=entry.read_only,
        config_source=int(entry.source),
        is_sensitive=False,
        config_type=int(entry.definition.type),
        documentation=entry.definition.documentation if documentation else None,
        synonyms=[
            _M.DescribeConfigsSynonym(name=s.name, value=s.text, source=int(s.source))
            for s in (entry.synonyms if synonyms else ())
        ],
    )


def _result(resource: Any, code: ErrorCode, message: str | None) -> Any:
    return _M.DescribeConfigsResult(
        error_code=code.value,
        error_message=message,
        resource_type=resource.resource_type,
        resource_name=resource.resource_name,
        configs=[],
    )


def refuse(context: RequestContext, request: Any, error: KafkaError) -> Body:
    """The error for every resource."""
    return _M.DescribeConfigsResponse(
        results=[_result(r, error.code, error.message) for r in request.resources]
    )
