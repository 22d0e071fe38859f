"""The metadata quorum in a broker: group 0 on the engine, and the talk around it.

- `image_holder`: every broker's copy of the image, and who waits for it.
- `application`: the copy of a voter, kept by applying group 0's committed entries.
- `observer`: the copy of a broker that does not vote, pulled from a voter's `fetch` operations.
- `controller`: what the leader of group 0 does: serves operations, writes their records.
- `client`: how a broker reaches the controller wherever it is: registers, stays alive, forwards.
- `description`: the quorum as its leader sees it, for DescribeQuorum.
- `spread`: who leads which partition, told directly between brokers and never logged.
- `rpc`: requests and notices over the engine's application frames.

All of it is synchronous on the seams of `raftlog.seams`, so it runs in simulation as it is.
"""
