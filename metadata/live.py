"""A broker's settings as of now: what the metadata log says of it, above what its file says."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from metadata.configs import BrokerLayers, broker_value
from metadata.image import ImageDelta, MetadataImage
from metadata.records import ConfigResource, ResourceType

ALL_BROKERS = ConfigResource(ResourceType.BROKER, "")
"""The resource whose settings hold for every broker that has none of its own."""


class LiveSettings:
    """Reads the newest image with every question; keep what is asked for often, and ask again
    when `touched` says so."""

    __slots__ = ("_image", "_own", "_static")

    def __init__(
        self, static: Mapping[str, str], node: int, image: Callable[[], MetadataImage]
    ) -> None:
        """`static` is `BrokerSettings.static` of broker `node`."""
        self._static = static
        self._own = ConfigResource(ResourceType.BROKER, str(node))
        self._image = image

    def layers(self) -> BrokerLayers:
        """All layers, as text."""
        image = self._image()
        return BrokerLayers(image.config(self._own), image.config(ALL_BROKERS), self._static)

    def touched(self, delta: ImageDelta) -> bool:
        """Did settings of this broker change?"""
        return self._own in delta.configs_changed or ALL_BROKERS in delta.configs_changed

    def integer(self, name: str) -> int:
        """A number that is in force. TypeError for a setting that is none."""
        value = broker_value(name, self.layers())
        if type(value) is not int:
            raise TypeError(f"{name} is not a number: {value!r}")
        return value

    def switch(self, name: str) -> bool:
        """A boolean that is in force. TypeError for a setting that is none."""
        value = broker_value(name, self.layers())
        if type(value) is not bool:
            raise TypeError(f"{name} is not a boolean: {value!r}")
        return value

    def text(self, name: str) -> str:
        """A text that is in force. TypeError for a setting that is none."""
        value = broker_value(name, self.layers())
        if type(value) is not str:
            raise TypeError(f"{name} is not a text: {value!r}")
        return value
