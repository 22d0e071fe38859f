"""raftlog: replicated logs by Raft, many groups on one write-ahead log, for one process.

It knows nothing of Kafka, topics or brokers. An embedder brings a `GroupLog` (where a group's
entries live) and an `Application` (what to do with committed ones) per group, and gets elections,
replication, durable votes, linearizable reads, snapshots and leadership transfer.

Where things are, from the inside out:

- `types`, `messages`, `ready`, `errors`, `storage`, `seams`: the vocabulary; frozen values and
  protocols, no behaviour.
- `core`: one group's decisions, pure. Events and the time come in, `Ready` goes out.
- `codec`: messages of one group as bytes.
- `disk`: the write-ahead log, its recovery, a generic GroupLog, the file-system seam.
- `engine`: many cores over one WAL and one link per peer; still no I/O of its own.
- `host`: trio sockets, timers and storage threads under an engine.
- `testing`: virtual time, network and disk; the invariants; the simulated cluster.

Rules: the core and the engine import neither trio nor time, random, os or socket; a message
never claims what is not durable; a failed disk write ends the process; every length is bounded.

Read `types` first, then `ready`, then `core.node`.
"""
