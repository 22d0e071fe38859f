"""`python -m partitions.ops.document > docs/metrics.md`: the page, from the table."""

from __future__ import annotations

import sys

from partitions.ops.exposition import FIRST_BUCKET, LAST_BUCKET
from partitions.ops.groups import GROUPS_MAX, OFFSETS_MAX
from partitions.ops.metric import Metric
from partitions.ops.sources import PARTITIONS_MAX, TOPICS_MAX
from partitions.ops.table import SECTIONS

_INTRODUCTION = f"""\
# Metrics and health

A broker with `admin.listener` set (`127.0.0.1:9644`, for example; `quorate dev` gives every
broker one) answers GET requests there:

- `/metrics`: Prometheus' text format 0.0.4; OpenMetrics 1.0 if the Accept header names it.
- `/livez`: 200 while the broker's loop turns.
- `/readyz`: 200 when the broker is ready for clients, else 503 with the reasons; as JSON if the
  Accept header names `application/json`. Ready means: registered and not fenced, a controller
  known and connected, no copy offline here, not stopping, room on the disk.

The port shows topic names and figures to whoever reaches it, and has neither TLS nor passwords:
bind it to an address that only your monitoring reaches.

Counters start at 0 with the process. Histograms have a bucket for every power of two
microseconds from {1 << FIRST_BUCKET} us to {(1 << LAST_BUCKET) / 1e6:.1f} s. Labels are bounded: \
the first {PARTITIONS_MAX} partitions, {TOPICS_MAX} topics and
{GROUPS_MAX} groups of a broker, by name, have rows, and {OFFSETS_MAX} committed offsets;
`quorate_metrics_rows_left_out` says how many have none. A topic's counters go with the copies on
the broker, so they begin anew when one leaves.

A broker tells what it knows: of a partition's followers its leader, of partitions without a
leader the controller. Sum over brokers, or take the greatest, as the meaning says.

Generated from `partitions/ops/table.py` by
`python -m partitions.ops.document > docs/metrics.md`.
"""


def document() -> str:
    """The whole page."""
    parts = [_INTRODUCTION]
    for section in SECTIONS:
        parts += [
            f"## {section.title}\n",
            "| name | type | labels | meaning |",
            "|---|---|---|---|",
        ]
        parts += [_row(metric) for metric in section.metrics]
        parts.append("")
    return "\n".join(parts)


def _row(metric: Metric) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    meaning = f"the same as `{metric.alias_of}`" if metric.alias_of else metric.meaning
    return f"| `{metric.name}` | {metric.kind.value} | {labels} | {meaning} |"


if __name__ == "__main__":
    sys.stdout.write(document())
