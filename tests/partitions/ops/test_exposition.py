"""Rows as text, in both formats."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from partitions.ops.exposition import PIECE_LINES, Rows, one, pieces
from partitions.ops.table import METRICS
from raftlog.histogram import Histogram
from tests.partitions.ops.strict import parse

BY_TOPIC = "quorate_topic_batches_in_total"


def text(*families: Rows | None, openmetrics: bool = False) -> str:
    return b"".join(pieces(families, openmetrics=openmetrics)).decode()


@given(st.text(min_size=1))
def test_label_values_are_escaped(topic: str) -> None:
    rows = Rows(BY_TOPIC, lambda: [((topic,), 7)])
    (family,) = parse(text(rows)).values()
    ((_, labels),) = family.samples
    escaped = labels[0][1]
    unescaped = escaped.replace("\\\\", "\0" * 50).replace("\\n", "\n").replace('\\"', '"')
    assert unescaped.replace("\0" * 50, "\\") == topic


def test_an_empty_label_is_left_out() -> None:
    name = "kafka_server_brokertopicmetrics_bytesin_total"
    family = parse(text(Rows(name, lambda: [(("",), 3), (("a",), 2)])))[name]
    assert (family.value(), family.value(topic="a")) == (3, 2)


@pytest.mark.parametrize("openmetrics", [False, True])
def test_a_histogram_is_in_seconds(openmetrics: bool) -> None:
    took = Histogram()
    for value_us in (1, 64, 65, 10**9):
        took.add(value_us)
    rows = Rows("quorate_request_duration_seconds", lambda: [(("Fetch",), took.statistics())])
    (family,) = parse(text(rows, openmetrics=openmetrics), openmetrics=openmetrics).values()
    name, api = family.name, ("api", "Fetch")
    assert family.samples[(f"{name}_bucket", (api, ("le", "6.4e-05")))] == 2
    assert family.samples[(f"{name}_bucket", (api, ("le", "0.000128")))] == 3
    assert family.samples[(f"{name}_bucket", (api, ("le", "33.554432")))] == 3
    assert family.samples[(f"{name}_count", (api,))] == 4
    assert family.samples[(f"{name}_sum", (api,))] == pytest.approx(1000.00013)


def test_openmetrics_announces_a_counter_without_its_suffix() -> None:
    rows = one("quorate_engine_passes_total", 5)
    families = parse(text(rows, openmetrics=True), openmetrics=True)
    assert families["quorate_engine_passes"].kind == "counter"
    assert "quorate_engine_passes_total" in parse(text(rows))


def test_aliases_follow_their_original_with_its_rows() -> None:
    rows = Rows("quorate_requests_total", lambda: iter([(("Fetch",), 9)]))
    families = parse(text(rows))
    alias = "kafka_network_requestmetrics_requests_total"
    assert list(families) == ["quorate_requests_total", alias]
    assert families[alias].value(request="Fetch") == 9


def test_pieces_are_short_and_pauses_are_kept() -> None:
    rows = Rows(BY_TOPIC, lambda: (((str(n),), n) for n in range(5 * PIECE_LINES)))
    found = list(pieces([rows, None], openmetrics=False))
    assert len(found) >= 6
    assert max(piece.count(b"\n") for piece in found) <= PIECE_LINES
    assert b"" in found


def test_what_is_not_in_the_table_is_a_mistake() -> None:
    with pytest.raises(KeyError):
        text(one("quorate_unheard_of", 1))
    with pytest.raises(ValueError):
        text(one(BY_TOPIC, 1))


def test_names_are_well_formed_and_aliases_match_their_originals() -> None:
    for metric in METRICS.values():
        assert metric.name.endswith("_total") is (metric.kind.value == "counter"), metric.name
        assert metric.meaning.endswith("."), metric.name
        if metric.alias_of:
            original = METRICS[metric.alias_of]
            assert (original.kind, len(original.labels)) == (metric.kind, len(metric.labels))
            assert not original.alias_of
