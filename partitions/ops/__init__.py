"""What an operator sees of a broker: metrics, and whether it lives and is ready.

A broker that has a setting `admin.listener` answers HTTP there: GET `/metrics` (Prometheus' text
format, or OpenMetrics if that is asked for), `/livez` and `/readyz`. The trio half, sockets and
time-outs, is `partitions.server.host.admin`; everything here is synchronous.

- `table`: every metric's name, type, labels and meaning. The scrape writes only what is in it,
  and docs/metrics.md is made from it (`document`).
- `requests`: the counters that sessions keep. What else is told is counted where it happens, as
  plain integers, and read when somebody scrapes.
- `sources`: what a scrape may look at; `collecting` has all sections of rows, `groups` and
  `process` two of them; `exposition` writes rows as text.
- `health`: is the broker ready, and if not, why.
- `http`: requests in, responses out, as bytes.

Rules: nothing is counted per record. A scrape is made in pieces, and the loop serves others
between two of them. What has labels has a bound on its rows (`collecting`), so that a
scrape's size is bounded too; what was left out is said in a metric.

The text format and the HTTP are our own code on purpose. The usual library keeps its values in
a registry behind locks and writes all of it in one go; here values are read where they are,
in pieces. And a server that takes one GET without a body and then closes needs of HTTP what
`http` has, all of it bounded.
"""

from __future__ import annotations
