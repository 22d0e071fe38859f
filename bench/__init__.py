"""Benchmarks: absolute figures beside a reference from the same run, never a timed test.

`make bench` starts a three-broker quorum with `quorate dev`, measures it with real clients, and
prints for each figure what the same machine does without us: the same client against its
built-in mock, plain processes that write and fdatasync the same bytes, a bare round trip on
loopback. Machines are noisy: compare ratios from one run, and run more than once.

- `run`: the table; `python -m bench.run --help` says how to pick parts of it.
- `client`: what runs in the client's process (produce, latency, consume).
- `consumers`: consumer groups; it writes requests itself where a client library is too slow
  (`frames`).
- `reference`: what the machine can do without a broker.
- `wal`: the write-ahead log alone.
"""
