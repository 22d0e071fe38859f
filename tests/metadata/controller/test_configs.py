"""Changing configurations: lists, what stays, and sentences that help."""

from __future__ import annotations

from typing import Any

import pytest

from metadata import records as r
from metadata.controller import (
    ConfigChange,
    ConfigOperation,
    NewTopic,
    TopicDefaults,
    alter_configs,
    create_topic,
)
from metadata.errors import ErrorCode, MetadataError
from metadata.image import MetadataImage
from metadata.internal import INTERNAL_TOPICS, KEPT_CONFIGS
from tests.metadata.samples import after, cluster, uuid

SET, DELETE = ConfigOperation.SET, ConfigOperation.DELETE
APPEND, SUBTRACT = ConfigOperation.APPEND, ConfigOperation.SUBTRACT
TOPIC = r.ConfigResource(r.ResourceType.TOPIC, "t")
BROKER = r.ConfigResource(r.ResourceType.BROKER, "0")
ALL = r.ConfigResource(r.ResourceType.BROKER, "")


def with_topic(name: str = "t") -> MetadataImage:
    image = cluster([None] * 2)
    made = create_topic(image, NewTopic(name), uuid(1), TopicDefaults(1, 1))
    return after(image, made.records)


def change(
    image: MetadataImage, resource: r.ConfigResource, *changes: ConfigChange, **how: Any
) -> MetadataImage:
    return after(image, alter_configs(image, resource, changes, **how).records)


def refusal(resource: r.ConfigResource, *changes: ConfigChange) -> tuple[ErrorCode, str]:
    with pytest.raises(MetadataError) as caught:
        alter_configs(with_topic(), resource, changes)
    return caught.value.code, caught.value.message


def test_a_list_is_appended_to_and_subtracted_from() -> None:
    name = "cleanup.policy"
    image = change(with_topic(), TOPIC, ConfigChange(APPEND, name, "delete"))
    assert image.config(TOPIC) == {name: "delete"}, "on top of the default, each item once"
    for same in (
        ConfigChange(APPEND, name, " delete , delete"),
        ConfigChange(SUBTRACT, name, "other"),
    ):
        assert change(image, TOPIC, same).config(TOPIC) == image.config(TOPIC)
    code, message = refusal(TOPIC, ConfigChange(SUBTRACT, name, "delete"))
    assert (code, "cleanup.policy = ''" in message) == (ErrorCode.INVALID_CONFIG, True)
    code, message = refusal(TOPIC, ConfigChange(APPEND, name, "compact"))
    assert (code, "compaction is not available" in message) == (ErrorCode.INVALID_CONFIG, True)


@pytest.mark.parametrize("operation", [APPEND, SUBTRACT])
def test_what_is_no_list_is_not_appended_to(operation: ConfigOperation) -> None:
    code, message = refusal(TOPIC, ConfigChange(operation, "retention.ms", "1"))
    assert (code, "retention.ms is no list" in message) == (ErrorCode.INVALID_CONFIG, True)


@pytest.mark.parametrize("operation", [SET, APPEND, SUBTRACT])
def test_a_value_is_needed(operation: ConfigOperation) -> None:
    code, message = refusal(TOPIC, ConfigChange(operation, "cleanup.policy"))
    assert code is ErrorCode.INVALID_REQUEST
    assert message == f"cleanup.policy has no value to {operation.value}"


@pytest.mark.parametrize(
    ("resource", "name", "said"),
    [
        (TOPIC, "retention.mss", "Did you mean retention.ms?"),
        (TOPIC, "log.retention.ms", "a topic's is called retention.ms"),
        (ALL, "fetch.max.byte", "Did you mean fetch.max.bytes?"),
        (ALL, "retention.ms", "a broker's default is log.retention.ms"),
        (ALL, "log.retention.hours", "for a broker's file only; set log.retention.ms"),
        (BROKER, "node.id", "needs a restart: set it in the broker's file"),
        (BROKER, "wal.part.bytes", "needs a restart: set it in the broker's file"),
    ],
)
def test_names_that_cannot_be_set_are_told_why(
    resource: r.ConfigResource, name: str, said: str
) -> None:
    code, message = refusal(resource, ConfigChange(SET, name, "1"))
    assert (code, said in message) == (ErrorCode.INVALID_CONFIG, True), message


@pytest.mark.parametrize(
    "asked", [ConfigChange(SET, "retention.ms", "5"), ConfigChange(DELETE, "retention.ms", None)]
)
@pytest.mark.parametrize("replace", [False, True])
def test_what_changes_nothing_is_written_too(asked: ConfigChange, replace: bool) -> None:
    """It is decided on what is only proposed, perhaps by a controller that was deposed: that the
    setting holds is known when an entry that says so is committed."""
    first = alter_configs(with_topic(), TOPIC, [asked])
    image = after(with_topic(), first.records)
    again = alter_configs(image, TOPIC, [asked], replace=replace)
    assert again.records == first.records != ()
    assert after(image, again.records).config(TOPIC) == image.config(TOPIC)
    assert alter_configs(image, TOPIC, [asked], validate_only=True).records == ()


def test_nothing_of_a_request_is_done_when_a_part_is_wrong() -> None:
    good, bad = ConfigChange(SET, "segment.ms", "5"), ConfigChange(SET, "retention.ms", "-2")
    code, message = refusal(TOPIC, good, bad)
    assert code is ErrorCode.INVALID_CONFIG
    assert "retention.ms = '-2' is not a whole number from -1" in message


def test_a_setting_that_this_release_does_not_know_can_be_deleted() -> None:
    stored = r.ConfigSet(r.ResourceType.TOPIC, "t", "of.another.release", "x")
    image = after(with_topic(), [stored])
    gone = change(image, TOPIC, ConfigChange(DELETE, "of.another.release"))
    assert gone.config(TOPIC) == {}
    gone = change(image, TOPIC, ConfigChange(SET, "segment.ms", "5"), replace=True)
    assert gone.config(TOPIC) == {"segment.ms": "5"}


@pytest.mark.parametrize("topic", sorted(INTERNAL_TOPICS))
@pytest.mark.parametrize("name", sorted(KEPT_CONFIGS))
def test_what_keeps_an_internal_topics_records_stays(topic: str, name: str) -> None:
    resource = r.ConfigResource(r.ResourceType.TOPIC, topic)
    set_by_brokers = r.ConfigSet(r.ResourceType.TOPIC, topic, name, "kept")
    image = after(with_topic(topic), [set_by_brokers])
    for changes, replace in (
        ([ConfigChange(DELETE, name)], False),
        ([ConfigChange(SET, "segment.ms", "5")], True),
    ):
        with pytest.raises(MetadataError, match=f"{name} of {topic} stays"):
            alter_configs(image, resource, changes, replace=replace)
    image = change(image, resource, ConfigChange(SET, "min.insync.replicas", "2"))
    assert image.config(resource) == {name: "kept", "min.insync.replicas": "2"}


def test_a_broker_and_all_brokers_have_settings_of_their_own() -> None:
    image = change(with_topic(), ALL, ConfigChange(SET, "log.retention.ms", "7"))
    image = change(image, BROKER, ConfigChange(SET, "log.retention.ms", "8"))
    image = change(image, ALL, ConfigChange(DELETE, "log.retention.ms"))
    assert (image.config(ALL), image.config(BROKER)) == ({}, {"log.retention.ms": "8"})
