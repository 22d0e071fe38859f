"""The broker: Kafka's protocol and storage over Raft groups.

From the client inwards:

- `wire`: Kafka's messages as bytes; `records`: record batches; both pure.
- `server`: a connection without its socket (`session`), the assembled broker without its process
  (`broker`), and the trio host of both (`host`).
- `api`: one module per API family; a handler is a function that answers or returns a `Pending`.
- `replicas`: a partition's Raft group in Kafka's words (leader epoch, high watermark, acks).
- `storage`: a partition's log in Kafka's on-disk layout, written by its group.
- `security`: who asks, and whether they may.

Rules: handlers are synchronous and reach the rest through `api.services.Services`; a batch is
never decoded between the socket and the disk; what waits is a Pending with a deadline; only
`server.host` knows trio.

Start with `server.broker.Broker`, then follow a Produce: `server.session`, `api.produce`,
`replicas.replica`.
"""
