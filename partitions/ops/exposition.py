"""Rows as text: Prometheus' exposition format 0.0.4, and OpenMetrics 1.0.

The two differ, for what we write, in how counters are announced and in the last line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from partitions.ops.metric import Kind, Metric
from partitions.ops.table import METRICS
from raftlog.histogram import HistogramCounts

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
PIECE_LINES = 200
FIRST_BUCKET, LAST_BUCKET = 6, 25
"""Histograms count microseconds and are written in seconds, from 64 us to 34 s."""

Value = int | float | HistogramCounts
Row = tuple[tuple[str, ...], Value]
"""Label values, in the order of the metric's labels, and the value."""


class Rows(NamedTuple):
    """A metric's rows; `make` may be called more than once, for the aliases."""

    name: str
    make: Callable[[], Iterable[Row]]


def one(name: str, value: Value) -> Rows:
    """A metric that has no labels."""
    return Rows(name, lambda: (((), value),))


def pieces(families: Iterable[Rows | None], *, openmetrics: bool) -> Iterator[bytes]:
    """The whole text, at most PIECE_LINES lines at a time; what lies between two pieces is short.

    A None among the families is a pause its maker asks for; it becomes an empty piece.
    KeyError for a metric that is not in the table, ValueError for a row with other labels.
    """
    lines: list[str] = []
    for rows in families:
        if rows is None:
            yield b""
            continue
        for metric in (METRICS[rows.name], *_ALIASES.get(rows.name, ())):
            lines += _head(metric, openmetrics=openmetrics)
            for row in rows.make():
                lines += _lines(metric, row)
                if len(lines) >= PIECE_LINES:
                    yield _joined(lines)
                    lines = []
    if openmetrics:
        lines.append("# EOF")
    yield _joined(lines)


def _aliases() -> dict[str, tuple[Metric, ...]]:
    found: dict[str, tuple[Metric, ...]] = {}
    for metric in METRICS.values():
        if metric.alias_of:
            found[metric.alias_of] = (*found.get(metric.alias_of, ()), metric)
    return found


_ALIASES = _aliases()


def _joined(lines: list[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def _head(metric: Metric, *, openmetrics: bool) -> list[str]:
    name = metric.name
    if openmetrics and metric.kind is Kind.COUNTER:
        name = name.removesuffix("_total")
    meaning = metric.meaning.replace("\\", "\\\\").replace("\n", "\\n")
    return [f"# HELP {name} {meaning}", f"# TYPE {name} {metric.kind.value}"]


def _lines(metric: Metric, row: Row) -> list[str]:
    values, value = row
    pairs = [
        f'{label}="{_escaped(text)}"'
        for label, text in zip(metric.labels, values, strict=True)
        if text
    ]
    if isinstance(value, HistogramCounts):
        return _histogram(metric.name, pairs, value)
    return [f"{metric.name}{_braced(pairs)} {value}"]


def _histogram(name: str, pairs: list[str], counts: HistogramCounts) -> list[str]:
    lines = [
        f"{name}_bucket{_braced([*pairs, _at_most(bound / 1e6)])} {below}"
        for bound, below in counts.cumulative(FIRST_BUCKET, LAST_BUCKET)
    ]
    labels = _braced(pairs)
    return [
        *lines,
        f"{name}_bucket{_braced([*pairs, _at_most('+Inf')])} {counts.number}",
        f"{name}_sum{labels} {counts.total / 1e6}",
        f"{name}_count{labels} {counts.number}",
    ]


def _at_most(bound: float | str) -> str:
    return f'le="{bound}"'


def _braced(pairs: list[str]) -> str:
    return "{" + ",".join(pairs) + "}" if pairs else ""


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
