"""A parser of Prometheus' text format that forgives nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_HELP = re.compile(rf"# HELP ({_NAME}) (.+)")
_TYPE = re.compile(rf"# TYPE ({_NAME}) (counter|gauge|histogram)")
_SAMPLE = re.compile(rf"({_NAME})(?:\{{(.+)\}})? (\S+)")
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"')
Labels = tuple[tuple[str, str], ...]


@dataclass
class Family:
    """One metric."""

    name: str
    meaning: str
    kind: str = ""
    samples: dict[tuple[str, Labels], float] = field(default_factory=dict)
    """By the sample's name and its labels in the order written."""

    def value(self, **labels: str) -> float:
        """Of the sample with exactly these labels."""
        wanted = sorted(labels.items())
        (found,) = [v for (_, given), v in self.samples.items() if sorted(given) == wanted]
        return found


def parse(text: str, *, openmetrics: bool = False) -> dict[str, Family]:
    """Families by name; AssertionError for anything that the format does not allow."""
    lines = text.split("\n")
    assert lines.pop() == "", "the last line has no end"
    if openmetrics:
        assert lines.pop() == "# EOF"
    families: dict[str, Family] = {}
    current: Family | None = None
    for line in lines:
        if found := _HELP.fullmatch(line):
            assert found[1] not in families, f"{found[1]} comes twice"
            current = families[found[1]] = Family(found[1], found[2])
        elif found := _TYPE.fullmatch(line):
            assert current is not None and current.name == found[1], line
            assert not current.kind and not current.samples, line
            current.kind = found[2]
        else:
            _sample(line, current, openmetrics=openmetrics)
    for family in families.values():
        assert family.kind, f"{family.name} has no type"
        if family.kind == "histogram":
            _check_histogram(family)
    return families


def _sample(line: str, family: Family | None, *, openmetrics: bool) -> None:
    found = _SAMPLE.fullmatch(line)
    assert found is not None and family is not None, line
    suffixes = {"histogram": ("_bucket", "_sum", "_count"), "counter": ("",), "gauge": ("",)}
    if openmetrics:
        suffixes["counter"] = ("_total",)
    assert found[1] in [family.name + suffix for suffix in suffixes[family.kind]], line
    labels = tuple(_LABEL.findall(found[2] or ""))
    assert ",".join(f'{name}="{value}"' for name, value in labels) == (found[2] or ""), line
    assert len({name for name, _ in labels}) == len(labels), line
    key = (found[1], labels)
    assert key not in family.samples, f"{line} comes twice"
    family.samples[key] = value = float(found[3])
    if family.kind != "gauge":
        assert value >= 0, line


def _check_histogram(family: Family) -> None:
    by_labels: dict[Labels, list[tuple[float, float]]] = {}
    for (name, labels), value in family.samples.items():
        if name.endswith("_bucket"):
            rest = tuple([pair for pair in labels if pair[0] != "le"])
            by_labels.setdefault(rest, []).append((float(dict(labels)["le"]), value))
    for labels, buckets in by_labels.items():
        bounds, counts = zip(*buckets, strict=True)
        assert list(bounds) == sorted(set(bounds)) and bounds[-1] == float("inf"), family.name
        assert list(counts) == sorted(counts), family.name
        assert family.samples[(f"{family.name}_count", labels)] == counts[-1], family.name
        assert (f"{family.name}_sum", labels) in family.samples, family.name
