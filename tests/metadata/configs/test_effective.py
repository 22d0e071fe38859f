from __future__ import annotations

from dataclasses import fields

from hypothesis import given
from hypothesis import strategies as st

from metadata.configs import (
    BROKER_CONFIGS,
    TOPIC_CONFIGS,
    BrokerLayers,
    ConfigSource,
    Synonym,
    TopicConfig,
    broker_entries,
    topic_config,
    topic_entries,
)

FULL = BrokerLayers(
    dynamic={"log.retention.ms": "2"},
    dynamic_default={"log.retention.ms": "3"},
    static={"log.retention.ms": "4"},
)


def test_the_strongest_layer_is_in_force_and_all_are_told() -> None:
    entry = topic_entries({"retention.ms": "1"}, FULL)["retention.ms"]
    assert (entry.text, entry.value, entry.source) == ("1", 1, ConfigSource.DYNAMIC_TOPIC)
    assert not entry.read_only
    assert entry.synonyms == (
        Synonym("retention.ms", "1", ConfigSource.DYNAMIC_TOPIC),
        Synonym("log.retention.ms", "2", ConfigSource.DYNAMIC_BROKER),
        Synonym("log.retention.ms", "3", ConfigSource.DYNAMIC_DEFAULT_BROKER),
        Synonym("log.retention.ms", "4", ConfigSource.STATIC_BROKER),
        Synonym("log.retention.ms", "604800000", ConfigSource.DEFAULT),
    )


def test_brokers_have_their_own_names_and_fixed_settings() -> None:
    entries = broker_entries(FULL._replace(dynamic={}))
    assert set(entries) == set(BROKER_CONFIGS)
    assert entries["log.retention.ms"].value == 3
    assert not entries["log.retention.ms"].read_only
    assert entries["wal.part.bytes"].read_only
    assert entries["wal.part.bytes"].source is ConfigSource.DEFAULT
    assert entries["broker.rack"].value is None


layer = st.dictionaries(st.just("retention.bytes"), st.integers(-1, 9).map(str))


@given(layer, layer, layer, layer)
def test_layers_agree_with_merged_dictionaries(
    topic: dict[str, str], dynamic: dict[str, str], default: dict[str, str], static: dict[str, str]
) -> None:
    as_broker = [{f"log.{k}": v for k, v in one.items()} for one in (dynamic, default, static)]
    layers = BrokerLayers(*as_broker)
    expected = int(
        {"retention.bytes": "-1", **static, **default, **dynamic, **topic}["retention.bytes"]
    )
    assert topic_config(topic, layers).retention_bytes == expected
    assert topic_entries(topic, layers)["retention.bytes"].value == expected


def test_the_typed_form_has_every_topic_setting() -> None:
    names = {field.name.replace("_", ".") for field in fields(TopicConfig)}
    assert names == set(TOPIC_CONFIGS)
    typed = topic_config({}, BrokerLayers())
    for name, entry in topic_entries({}, BrokerLayers()).items():
        value = getattr(typed, name.replace(".", "_"))
        assert value == entry.value
        assert type(value) is type(entry.value)
