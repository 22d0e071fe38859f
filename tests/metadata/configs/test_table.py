from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from metadata.configs import (
    BROKER_CONFIGS,
    CONFIGS,
    TOPIC_CONFIGS,
    ConfigDef,
    ConfigType,
    Endpoint,
    Scope,
    Voter,
    broker_definition,
    topic_definition,
)
from metadata.configs.document import document
from metadata.configs.loading import environment_name
from metadata.configs.table import ALIASES
from metadata.errors import InvalidConfig

ROOT = Path(__file__).resolve().parents[3]
every = pytest.mark.parametrize("definition", CONFIGS, ids=lambda d: d.name)


@every
def test_defaults_pass_their_own_rule(definition: ConfigDef) -> None:
    value = definition.default_value()
    assert (value is None) == (definition.default is None)
    assert not (definition.required and definition.default is not None)
    if definition.type is ConfigType.BOOLEAN:
        assert type(value) is bool
    if definition.type in (ConfigType.INT, ConfigType.LONG) and value is not None:
        assert type(value) is int
        assert value < (2**31 if definition.type is ConfigType.INT else 2**63)


@every
def test_definitions_are_documented_and_named_after_their_units(definition: ConfigDef) -> None:
    assert definition.documentation.endswith(".")
    assert len(definition.documentation) > 20
    ours = definition.name.startswith(
        ("broker.drain.", "peer.", "raft.", "wal.", "unsafe.", "log.dirs.free.", "admin.")
    )
    assert ours is not definition.kafka
    assert definition.rule.allowed


@every
def test_nonsense_is_refused_with_name_value_and_what_is_allowed(definition: ConfigDef) -> None:
    nonsense = "\x00,"
    with pytest.raises(InvalidConfig) as refused:
        definition.parse(nonsense)
    assert refused.value.name == definition.name
    for part in (definition.name, repr(nonsense), definition.rule.allowed):
        assert part in refused.value.message


def test_names_are_unique_in_files_and_environment() -> None:
    names = [*BROKER_CONFIGS, *ALIASES]
    assert len(set(names)) == len(names)
    assert len({environment_name(name) for name in names}) == len(names)
    assert len({d.name for d in CONFIGS}) == len(CONFIGS)
    both = [d for d in CONFIGS if d.scope is Scope.BOTH]
    assert len(TOPIC_CONFIGS) + len(BROKER_CONFIGS) == len(CONFIGS) + len(both)


KAFKA_DEFAULTS = {
    "retention.ms": 604_800_000,
    "retention.bytes": -1,
    "segment.bytes": 1_073_741_824,
    "segment.ms": 604_800_000,
    "max.message.bytes": 1_048_588,
    "min.insync.replicas": 1,
    "message.timestamp.type": "CreateTime",
    "message.timestamp.after.max.ms": 3_600_000,
    "cleanup.policy": "delete",
    "compression.type": "producer",
    "num.partitions": 1,
    "default.replication.factor": 1,
    "auto.create.topics.enable": True,
    "socket.request.max.bytes": 104_857_600,
    "connections.max.idle.ms": 600_000,
    "log.retention.check.interval.ms": 300_000,
    "broker.session.timeout.ms": 9_000,
    "broker.heartbeat.interval.ms": 2_000,
    "producer.id.expiration.ms": 86_400_000,
    "fetch.max.bytes": 57_671_680,
    "unclean.leader.election.enable": False,
}


@pytest.mark.parametrize(("name", "value"), KAFKA_DEFAULTS.items())
def test_defaults_are_kafkas(name: str, value: object) -> None:
    (definition,) = [d for d in CONFIGS if d.name == name]
    assert definition.default_value() == value


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("retention.ms", " 5 ", 5),
        ("retention.ms", "-1", -1),
        ("segment.bytes", "1024", 1024),
        ("unclean.leader.election.enable", "FALSE", False),
        ("message.timestamp.type", "LogAppendTime", "LogAppendTime"),
    ],
)
def test_topic_values(name: str, text: str, value: object) -> None:
    assert topic_definition(name).parse(text) == value


@every
def test_dynamic_values_are_short_enough_for_any_entry(definition: ConfigDef) -> None:
    # A client can set all of a topic's settings in the entry of the largest topic.
    if definition.scope is not Scope.BROKER:
        assert definition.dynamic
        for text in (definition.default, " " * 20_000 + str(definition.default)):
            assert len(definition.normal(str(text))) <= 32


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("retention.ms", "-2", "from -1"),
        ("retention.ms", "1e3", "whole number"),
        ("retention.ms", "1_000", "whole number"),
        ("retention.ms", "٣", "whole number"),
        ("retention.ms", "9" * 30, "whole number"),
        ("retention.ms", "1" * 40_000, "40000 characters"),
        ("cleanup.policy", "compact", "compaction is not available"),
        ("cleanup.policy", "compact,delete", "compaction is not available"),
        ("cleanup.policy", "", "delete"),
        ("compression.type", "zstd", "compress in the producer"),
        ("unclean.leader.election.enable", "true", "recover"),
        ("min.insync.replicas", "0", "from 1"),
        ("message.timestamp.type", "createtime", "CreateTime or LogAppendTime"),
    ],
)
def test_topic_values_that_are_refused(name: str, text: str, reason: str) -> None:
    with pytest.raises(InvalidConfig, match=reason):
        topic_definition(name).parse(text)


def parse(name: str, text: str) -> Any:
    return broker_definition(name).parse(text)


def test_listeners() -> None:
    assert parse("listeners", "plaintext://:9092, B://[::1]:0") == (
        Endpoint("PLAINTEXT", "", 9092),
        Endpoint("B", "::1", 0),
    )
    assert Endpoint("B", "::1", 1).address == "[::1]:1"
    assert parse("advertised.listeners", "A://kafka-1.example.com:9092")[0].port == 9092


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("listeners", ""),
        ("listeners", "localhost:9092"),
        ("listeners", "A://localhost"),
        ("listeners", "A://localhost:70000"),
        ("listeners", "A://localhost:-1"),
        ("listeners", "A://local host:1"),
        ("listeners", "A://::1:1"),
        ("listeners", "A://a:1,a://b:2"),
        ("listeners", "A://a:1,"),
        ("advertised.listeners", "A://0.0.0.0:9092"),
        ("advertised.listeners", "A://[::]:9092"),
        ("advertised.listeners", "A://:9092"),
        ("advertised.listeners", "A://host:0"),
        ("listener.security.protocol.map", "A:SSL"),
        ("listener.security.protocol.map", "A"),
        ("peer.listener", "host"),
        ("log.dirs", "/a,/b"),
        ("broker.rack", ""),
        ("controller.quorum.voters", "1@host"),
        ("controller.quorum.voters", "x@host:1"),
        ("controller.quorum.voters", "1@host:0"),
        ("controller.quorum.voters", "1@:1"),
        ("controller.quorum.voters", "1@a:1,1@b:2"),
        ("controller.quorum.voters", "1@a:1:" + "g" * 32),
        ("controller.quorum.voters", "1@a:1:" + "0" * 31),
    ],
)
def test_addresses_that_are_refused(name: str, text: str) -> None:
    with pytest.raises(InvalidConfig, match=name):
        parse(name, text)


def test_voters() -> None:
    directory = bytes(range(16))
    base64 = "AAECAwQFBgcICQoLDA0ODw"
    text = f"1@a:9093, 2@[::1]:9093:{directory.hex()},3@c:1:{base64}"
    assert parse("controller.quorum.voters", text) == (
        Voter(1, "a", 9093, None),
        Voter(2, "::1", 9093, directory),
        Voter(3, "c", 1, directory),
    )


@pytest.mark.parametrize(
    ("name", "suggested"),
    [
        ("retention.mss", "Did you mean retention.ms?"),
        ("cleanup_policy", "Did you mean cleanup.policy?"),
        ("log.retention.ms", "a topic's is called retention.ms"),
    ],
)
def test_unknown_topic_settings_get_a_suggestion(name: str, suggested: str) -> None:
    with pytest.raises(InvalidConfig) as refused:
        topic_definition(name)
    assert suggested in refused.value.message


@pytest.mark.parametrize(
    ("name", "suggested"),
    [
        ("listener", "Did you mean listeners?"),
        ("log.retention.hour", "Did you mean log.retention.hours?"),
        ("segment.ms", "a broker's default is log.roll.ms"),
    ],
)
def test_unknown_broker_settings_get_a_suggestion(name: str, suggested: str) -> None:
    with pytest.raises(InvalidConfig) as refused:
        broker_definition(name)
    assert suggested in refused.value.message


def test_names_unlike_any_get_no_suggestion() -> None:
    with pytest.raises(InvalidConfig) as refused:
        broker_definition("q" * 10_000)
    assert "Did you mean" not in refused.value.message
    assert len(refused.value.message) < 200


def test_the_documentation_is_up_to_date() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert page == document(), "run: python -m metadata.configs.document > docs/configuration.md"
    assert all(f"`{d.name}`" in page for d in CONFIGS)


def test_no_setting_that_can_be_set_for_all_brokers_locks_everybody_out() -> None:
    """It would be in the metadata log, and nobody could connect to take it back."""
    for name in ("max.connections", "max.connections.per.ip"):
        assert BROKER_CONFIGS[name].dynamic
        with pytest.raises(InvalidConfig):
            BROKER_CONFIGS[name].parse("0")
