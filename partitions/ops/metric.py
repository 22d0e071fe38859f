"""What a metric is."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class Kind(Enum):
    """Prometheus' types."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Metric(NamedTuple):
    """One family of rows."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    """In the order of a row's label values. A row leaves out a label whose value is empty."""
    meaning: str
    alias_of: str = ""
    """The metric whose rows it has, label by label; "": it has its own."""


class Section(NamedTuple):
    """Metrics that belong together."""

    title: str
    metrics: tuple[Metric, ...]


def alias(name: str, original: Metric, labels: tuple[str, ...] | None = None) -> Metric:
    """The rows of `original` under another name, and other labels if there are any."""
    labels = original.labels if labels is None else labels
    return Metric(name, original.kind, labels, original.meaning, original.name)
