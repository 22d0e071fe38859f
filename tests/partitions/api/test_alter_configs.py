"""IncrementalAlterConfigs and AlterConfigs: what is forwarded, and one result per resource."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from metadata.records import ConfigResource, ResourceType
from partitions import wire
from partitions.api import ControllerReply, ItemOutcome
from partitions.errors import ErrorCode
from partitions.security import Operation
from tests.partitions.api.client import Client
from tests.partitions.api.fakes import Denying, FakeServices

A, J, D = wire.messages(33), wire.messages(44), wire.messages(32)
TOPIC, BROKER, LOGGER = 2, 4, 8
DONE = ItemOutcome(ErrorCode.NONE)


@pytest.fixture
def services() -> FakeServices:
    made = FakeServices()
    made.add_topic("t")
    return made


def incremental(kind: int, name: str, *changes: tuple[int, str, str | None]) -> Any:
    return J.AlterConfigsResource(
        resource_type=kind,
        resource_name=name,
        configs=[
            J.AlterableConfig(name=key, config_operation=operation, value=value)
            for operation, key, value in changes
        ],
    )


def whole(kind: int, name: str, **values: str | None) -> Any:
    return A.AlterConfigsResource(
        resource_type=kind,
        resource_name=name,
        configs=[
            A.AlterableConfig(name=key.replace("_", "."), value=value)
            for key, value in values.items()
        ],
    )


def ask(services: FakeServices, *resources: Any, validate_only: bool = False) -> Client:
    client = Client(services)
    request = J.IncrementalAlterConfigsRequest(
        resources=list(resources), validate_only=validate_only
    )
    client.send(44, 1, request)
    return client


def reply(services: FakeServices, *outcomes: ItemOutcome) -> None:
    (_, _, on_done) = services.calls.pop()
    on_done(ControllerReply(ErrorCode.NONE, None, outcomes))


def results(client: Client) -> list[tuple[int, str, int]]:
    ((_, body),) = client.receive()
    return [(x.resource_type, x.resource_name, x.error_code) for x in body.responses]


def test_every_operation_is_forwarded_and_every_resource_answered(services: FakeServices) -> None:
    changes = [(0, "a", "1"), (1, "b", None), (2, "c", "2"), (3, "d", "3")]
    client = ask(
        services,
        incremental(TOPIC, "t", *changes),
        incremental(LOGGER, "x"),
        incremental(BROKER, "", (0, "e", "5")),
        incremental(BROKER, "2", (7, "f", "6")),
        validate_only=True,
    )
    ((operation, arguments, _),) = services.calls
    assert operation == "alter_configs"
    forwarded = [["set", "a", "1"], ["delete", "b", None], ["append", "c", "2"]]
    assert arguments == {
        "validate_only": True,
        "items": [
            {
                "type": 2,
                "name": "t",
                "changes": [*forwarded, ["subtract", "d", "3"]],
                "replace": False,
            },
            {"type": 4, "name": "", "changes": [["set", "e", "5"]], "replace": False},
        ],
    }
    reply(services, DONE, ItemOutcome(ErrorCode.INVALID_CONFIG, "e is not a setting"))
    ((_, body),) = client.receive()
    assert [(x.resource_type, x.resource_name, x.error_code) for x in body.responses] == [
        (TOPIC, "t", 0),
        (LOGGER, "x", ErrorCode.INVALID_REQUEST),
        (BROKER, "", ErrorCode.INVALID_CONFIG),
        (BROKER, "2", ErrorCode.INVALID_REQUEST),
    ]
    assert body.responses[2].error_message == "e is not a setting"
    assert "config_operation 7" in body.responses[3].error_message
    assert len(services.deadlines) == 0


def test_the_old_request_replaces_everything(services: FakeServices) -> None:
    client = Client(services)
    request = A.AlterConfigsRequest(
        resources=[whole(TOPIC, "t", retention_ms="5"), whole(TOPIC, "u")], validate_only=False
    )
    client.send(33, 2, request)
    ((operation, arguments, _),) = services.calls
    assert operation == "alter_configs"
    assert arguments == {
        "validate_only": False,
        "items": [
            {
                "type": 2,
                "name": "t",
                "changes": [["set", "retention.ms", "5"]],
                "replace": True,
            },
            {"type": 2, "name": "u", "changes": [], "replace": True},
        ],
    }
    reply(services, DONE, ItemOutcome(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, "no topic"))
    expected = [(TOPIC, "t", 0), (TOPIC, "u", ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)]
    assert results(client) == expected


def test_a_resource_given_twice_is_refused_twice(services: FakeServices) -> None:
    client = ask(services, incremental(TOPIC, "t"), incremental(TOPIC, "t"))
    assert results(client) == [(TOPIC, "t", ErrorCode.INVALID_REQUEST)] * 2
    assert services.calls == []


def test_without_a_controller_or_an_answer_each_resource_is_told(services: FakeServices) -> None:
    client = ask(services, incremental(TOPIC, "t"), incremental(BROKER, "1"))
    services.calls.pop()[2](ControllerReply(ErrorCode.NOT_CONTROLLER, "no quorum"))
    code = ErrorCode.NOT_CONTROLLER
    assert results(client) == [(TOPIC, "t", code), (BROKER, "1", code)]
    client = ask(services, incremental(TOPIC, "t"))
    services.reactor.advance(130_000_000)
    assert results(client) == [(TOPIC, "t", ErrorCode.REQUEST_TIMED_OUT)]


def test_altering_needs_permission(services: FakeServices) -> None:
    services.authorizer = Denying(
        (Operation.ALTER_CONFIGS, "t"), (Operation.ALTER_CONFIGS, "kafka-cluster")
    )
    client = ask(services, incremental(TOPIC, "t"), incremental(BROKER, "1"))
    assert results(client) == [
        (TOPIC, "t", ErrorCode.TOPIC_AUTHORIZATION_FAILED),
        (BROKER, "1", ErrorCode.CLUSTER_AUTHORIZATION_FAILED),
    ]
    assert services.calls == []


def test_what_is_set_for_all_brokers_is_described_by_any(services: FakeServices) -> None:
    everybody = ConfigResource(ResourceType.BROKER, "")
    configs = {everybody: {"log.retention.ms": "7"}}
    services.replace_image(replace(services.image(), configs=configs))
    resource = D.DescribeConfigsResource(
        resource_type=BROKER, resource_name="", configuration_keys=None
    )
    asked = D.DescribeConfigsRequest(resources=[resource], include_synonyms=True)
    (result,) = Client(services).ask(32, 4, asked).results
    (entry,) = result.configs
    assert (entry.name, entry.value, entry.config_source) == ("log.retention.ms", "7", 3)
    assert not entry.read_only
    assert [(s.value, s.source) for s in entry.synonyms] == [("7", 3), ("604800000", 5)]


def test_to_describe_no_setting_means_all(services: FakeServices) -> None:
    resource = D.DescribeConfigsResource(
        resource_type=TOPIC, resource_name="t", configuration_keys=[]
    )
    asked = D.DescribeConfigsRequest(resources=[resource], include_documentation=True)
    (result,) = Client(services).ask(32, 4, asked).results
    assert len(result.configs) > 10
    assert all(entry.documentation and entry.config_type for entry in result.configs)
