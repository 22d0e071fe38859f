"""A partition's copy on this broker: what Raft decides, said in Kafka's words.

`interface` is what request handlers may ask. `replica.PartitionReplica` answers them and is at
the same time the application of the partition's Raft group. `manager.ReplicaManager` creates and
removes replicas as the metadata image says. `trim` is the one control entry, `insync` the rule
for `min.insync.replicas` above the majority, `diskguard` what happens when the disk is nearly
full, `offline` what is left of a copy whose log cannot be trusted, `preferred` gives
leaderships back after failures, and `draining` gives all of them away before a stop.

Rules: commit is the group's alone, no list of in-sync replicas drives it; nothing is served
before the leader's no-op is committed; a peer's message never creates a replica.
"""
