"""The cluster's feature level: what records and messages brokers may use."""

from __future__ import annotations

from collections.abc import Iterable

from metadata.controller.decision import Decision
from metadata.errors import ErrorCode, MetadataError
from metadata.image import MetadataImage
from metadata.records import FeatureLevelSet, FeatureRange

LEVEL_FEATURE = "quorate.version"
"""The feature whose level is the cluster's feature level."""


def supports(features: Iterable[FeatureRange], level: int) -> bool:
    """A broker with these features can work at `level`."""
    return any(f.name == LEVEL_FEATURE and f.low <= level <= f.high for f in features)


def raise_feature_level(image: MetadataImage, level: int) -> Decision[int]:
    """Raise the level once every registered broker supports it; the level.

    Raises INVALID_UPDATE_VERSION when it would fall, UNSUPPORTED_VERSION when a broker (fenced
    ones too: they come back) does not support it.
    """
    present = image.cluster.feature_level if image.cluster else 0
    if level == present:
        return Decision((), level)
    if level < present:
        raise MetadataError(
            ErrorCode.INVALID_UPDATE_VERSION, f"level {level} is below the present {present}"
        )
    for node, broker in sorted(image.brokers.items()):
        if not supports(broker.registration.features, level):
            raise MetadataError(
                ErrorCode.UNSUPPORTED_VERSION,
                f"node {node} does not support level {level}: upgrade or remove it first",
            )
    return Decision((FeatureLevelSet(level),), level)
