"""What the engine needs of a network."""

from __future__ import annotations

from typing import Protocol

from raftlog.types import Buffer


class Transport(Protocol):
    """Ordered frames to other nodes over two lanes, so that bulk data never delays control.

    A frame may be lost (no connection, over budget): Raft repeats what matters. Frames that
    do arrive keep their order within a lane.
    """

    def send(self, node: int, buffers: list[Buffer], *, bulk: bool) -> None:
        """Queue one or more whole frames; they leave at the end of the pass."""
