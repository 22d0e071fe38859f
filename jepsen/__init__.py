"""Partition-tolerance suites: does a cluster keep its promises while everything goes wrong?

The suite is not written yet; this is the plan it follows, so that the rest is built to be tested.

One set of workloads and checkers, three levels at which they run:

* simulation: the sans-I/O core on a virtual clock, network and disk. Seeded, replayable to the
  byte, failures shrunk. `raftlog.testing` is this level for consensus alone, and it runs today.
* rootless live: real processes and real clients; user-space proxies between nodes that can cut one
  direction; kill -9 and SIGSTOP; a shim for disk faults.
* root live: network namespaces and netem where the machine allows it. What a machine cannot do is
  reported as "not injectable", never passed over in silence.

Vocabulary: a *workload* is a client, a generator of operations and a checker. A *nemesis* injects
faults and comes with its final heal. An operation ends `ok`, `fail` (it certainly had no effect) or
`info` (nobody knows); a checker must cope with every `info` having happened or not, at any later
time. A *history* is what the clients saw, and the only thing a checker may look at.

Rules:

* A checker that never failed proves nothing: for every property there is a mutant of the broker
  that breaks it, and the suite must catch each one, with no false alarm on the unbroken broker.
* Faults are drawn from the seed as rotating random subsets, the empty one included.
* A run ends with a heal and a final read of everything, or its verdict is `unknown`.
* The suite talks to systems through clients and process signals only: it can test other systems,
  and it imports nothing of `partitions` that a client could not know.
"""
