"""A broker's settings as of now."""

from __future__ import annotations

import pytest

from metadata import records as r
from metadata.image import EMPTY_IMAGE, MetadataImage, apply_records
from metadata.live import LiveSettings
from raftlog.types import LogPosition

NAME = "log.retention.check.interval.ms"


class Rig:
    """Broker 1 of a metadata log under the test's control."""

    def __init__(self, static: dict[str, str]) -> None:
        self.image: MetadataImage = EMPTY_IMAGE
        self.live = LiveSettings(static, 1, lambda: self.image)

    def set(self, resource: str, value: str | None, name: str = NAME) -> bool:
        """Whether the broker is told that its settings were touched."""
        position = LogPosition(self.image.position.index + 1, 1, 0)
        record = r.ConfigSet(r.ResourceType.BROKER, resource, name, value)
        self.image, delta = apply_records(self.image, [record], position)
        return self.live.touched(delta)


def test_the_strongest_layer_that_has_a_value_is_in_force() -> None:
    rig = Rig({NAME: "4"})
    assert rig.live.integer(NAME) == 4
    assert rig.set("", "3")
    assert rig.live.integer(NAME) == 3
    assert rig.set("1", "2")
    assert rig.live.integer(NAME) == 2
    assert not rig.set("2", "9"), "another broker's"
    assert rig.live.integer(NAME) == 2
    assert rig.live.layers() == ({NAME: "2"}, {NAME: "3"}, {NAME: "4"})
    assert rig.set("1", None) and rig.set("", None)
    assert rig.live.integer(NAME) == 4
    assert Rig({}).live.integer(NAME) == 300_000


def test_values_have_types() -> None:
    rig = Rig({})
    assert rig.live.switch("auto.create.topics.enable") is True
    rig.set("", "false", "auto.create.topics.enable")
    assert rig.live.switch("auto.create.topics.enable") is False
    with pytest.raises(TypeError, match="not a number"):
        rig.live.integer("auto.create.topics.enable")
    with pytest.raises(TypeError, match="not a boolean"):
        rig.live.switch(NAME)
