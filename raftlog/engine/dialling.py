"""Which of two nodes dials the other, so that a pair has one connection and not two."""

from __future__ import annotations


def dials(me: int, node: int, voters: frozenset[int]) -> bool:
    """Is it `me` that dials `node`, and not the other way round?

    `voters` are the node ids whose addresses everybody knows beforehand. Another node's address
    is known only once it has registered with a voter: so these dial the voters. Between two of
    a kind the lower node id dials.
    """
    if (me in voters) != (node in voters):
        return node in voters
    return me < node
