"""Coordinators: the broker that speaks for a consumer group (later: a transaction, a share group).

A coordinator is the state that one leader of one partition of an internal topic keeps in memory:
`__consumer_offsets` for groups. The partition's log says what that state is; the coordinator
decides what to write next and whom to answer when it is written. Rules of this package:

- State machines and nothing else: no clock, no randomness, no disk, no network. Times come in as
  monotonic microseconds, random names as strings; what is to be done comes out as effects.
- A coordinator serves one confirmed leader epoch of one partition, after it has loaded the whole
  log up to the high watermark. Until then the answer is COORDINATOR_LOAD_IN_PROGRESS.
- Nothing is answered as done before the record that says so is committed.
- A leadership that is lost takes all state with it, and everyone who waits is answered with
  NOT_COORDINATOR. The next leader knows what the log says, and members find out by asking it.
- What a client may make a coordinator keep is bounded: members, waiting requests, records.

Start reading at `groups`.
"""
