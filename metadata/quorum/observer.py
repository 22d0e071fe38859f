"""An observer's image: pulled from a voter, kept in memory.

A broker whose (node, directory) is not among the voters has no copy of the metadata group's
log. It asks a voter for a snapshot when it starts and for committed entries from there on, for
ever. Rules:

- One question is open at a time, so entries are applied in order and the position never goes back.
- The controller is asked if it is connected, else any connected voter; whoever failed, was
  behind or knew of no controller is not asked next.
- A controller that no voter has named for CONTROLLER_KNOWN_US is not the controller any more, as
  far as this broker can tell.
- Answers are checked before they are applied. What no voter would send is PeerFault, which
  closes the connection; a record of a later release ends this broker.
- Nothing is on disk: a restarted observer knows the cluster when a voter has answered. Its
  partitions' groups run before that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import structlog

from metadata.errors import ImageError, RecordError, UnknownRecord
from metadata.image.snapshot import SNAPSHOT_BYTES_MAX
from metadata.quorum.fetch import (
    CHUNK_BYTES_MAX,
    FETCH,
    POLL_US,
    SNAPSHOT,
    Chunk,
    LeaderView,
    chunk,
    fetched,
)
from metadata.quorum.image_holder import ImageHolder
from metadata.quorum.rpc import Answer, Rpc
from raftlog.errors import CorruptLog, DiskFailed, PeerFault
from raftlog.ready import SoftState
from raftlog.seams import Reactor, Timer
from raftlog.types import ReplicaId, Role

log = structlog.get_logger()

RETRY_US = 50_000
PAUSE_US = 10_000
"""Between an answer without news and the next question."""
ANSWER_TIMEOUT_US = POLL_US + 2_000_000
CONTROLLER_KNOWN_US = 2 * POLL_US
"""Voters that see a controller name it once per POLL_US, and forget it soon when they do not."""


class MetadataObserver(ImageHolder):
    """`start` begins; `peer_connected` and `peer_disconnected` tell it whom it can ask."""

    def __init__(
        self,
        reactor: Reactor,
        rpc: Rpc,
        voters: Sequence[ReplicaId],
        is_up: Callable[[ReplicaId], bool],
        fail: Callable[[str], None],
    ) -> None:
        """`is_up(voter)`: it is connected. `fail(reason)` ends this broker."""
        super().__init__()
        self._reactor = reactor
        self._rpc = rpc
        self._voters = tuple(voters)
        self._is_up = is_up
        self._fail = fail
        self._wants_snapshot = True
        self._incoming: tuple[int, bytearray] | None = None
        """Position and first bytes of the snapshot being read."""
        self._shunned: int | None = None
        """Whom not to ask next if there is another."""
        self._asking = False
        self._timer: Timer | None = None
        self._named_us = 0
        """When a voter last named the present controller."""

    def start(self) -> None:
        """Begin; goes on for the process's life."""
        self._next(0)

    def peer_connected(self, replica: ReplicaId) -> None:
        """Ask at once if this is the first voter."""
        if replica in self._voters and not self._asking:
            self._next(0)

    # --- asking

    def _next(self, delay_us: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._reactor.call_at(self._reactor.now_us() + delay_us, self._ask)

    def _ask(self) -> None:
        if self._asking:
            return
        self._forget_controller()
        node = self._whom()
        if node is None:
            self._next(RETRY_US)
        elif self._wants_snapshot:
            index, data = self._incoming or (0, b"")
            arguments = [index, len(data), CHUNK_BYTES_MAX]
            self._call(node, SNAPSHOT, arguments, self._chunk_came)
        else:
            arguments = [self.image.position.index + 1, CHUNK_BYTES_MAX]
            self._call(node, FETCH, arguments, self._entries_came)

    def _whom(self) -> int | None:
        up = [voter.node for voter in self._voters if self._is_up(voter)]
        others = [node for node in up if node != self._shunned] or up
        leader = None if self.state is None or self.state.leader is None else self.state.leader.node
        if leader in others:
            return leader
        return self._reactor.random.choice(others) if others else None

    def _call(
        self, node: int, operation: str, arguments: Any, take: Callable[[int, Any], None]
    ) -> None:
        self._asking = True
        self._rpc.call(
            node,
            operation,
            arguments,
            lambda answer: self._answered(node, answer, take),
            ANSWER_TIMEOUT_US,
        )

    def _answered(self, node: int, answer: Answer, take: Callable[[int, Any], None]) -> None:
        self._asking = False
        if answer.error is not None:
            log.info("metadata fetch failed", voter=node, error=answer.error)
            self._shun(node)
            return
        try:
            take(node, answer.value)
        except UnknownRecord as error:
            self._fail(f"the metadata log holds what this release does not know: {error}")
        except (RecordError, ImageError) as error:
            self._shun(node)
            raise PeerFault(f"voter {node} sent unusable metadata: {error}") from error
        except PeerFault:
            self._shun(node)
            raise
        except (OSError, DiskFailed, CorruptLog) as error:
            self._fail(f"this broker's disk does not follow the metadata: {error}")

    def _shun(self, node: int) -> None:
        """Ask another voter after a moment, and let a snapshot begin anew."""
        self._shunned = node
        self._incoming = None
        self._next(RETRY_US)

    # --- snapshots

    def _chunk_came(self, node: int, value: Any) -> None:
        part = chunk(value)
        if part.index < self.image.position.index:
            self._shun(node)  # a voter that is behind
            return
        index, data = self._incoming or (part.index, bytearray())
        if part.index != index:
            data = bytearray()  # that voter has gone on to a newer image
        if part.cursor != len(data) or len(data) + len(part.data) > SNAPSHOT_BYTES_MAX:
            raise PeerFault(f"snapshot chunk at {part.cursor} does not follow {len(data)} bytes")
        data += part.data
        self._incoming = (part.index, data)
        if part.done:
            self._installed(part, bytes(data))
        self._next(0)

    def _installed(self, last: Chunk, data: bytes) -> None:
        self._incoming = None
        self._install(data)
        self._wants_snapshot = False
        log.info("metadata snapshot installed", index=last.index, bytes=len(data))
        self._wake()

    # --- entries

    def _entries_came(self, node: int, value: Any) -> None:
        answer = fetched(value, self.image.position)
        if answer.entries is None:
            self._wants_snapshot = True
        for entry in answer.entries or ():
            self._apply(entry)
        self._wake()
        useful = self._adopt(node, answer.leader)
        if not useful:
            self._shun(node)
        else:
            self._shunned = None
            self._next(0 if answer.entries != () else PAUSE_US)

    def _adopt(self, node: int, view: LeaderView) -> bool:
        """Believe the newer term; False if `node` knows of no controller or of a former one."""
        known = self.state
        if known is None or view.term > known.term:
            self._tell_leader(view)
        elif view.term < known.term:
            return False
        elif view.node is None:
            leader = known.leader
            if leader is not None and (leader.node == node or not self._is_up(leader)):
                self._tell_leader(view)  # it has resigned, or nobody sees it any more
            return False
        elif known.leader is None or (view.confirmed and not known.confirmed):
            self._tell_leader(view)
        elif known.leader.node != view.node:
            raise PeerFault(
                f"voter {node} says that {view.node} leads term {view.term}, "
                f"another one said {known.leader.node}"
            )
        self._named_us = self._reactor.now_us()
        return view.node is not None

    def _forget_controller(self) -> None:
        """Say that there is no controller if no voter has confirmed it for long."""
        known = self.state
        late = self._reactor.now_us() - self._named_us > CONTROLLER_KNOWN_US
        if late and known is not None and known.leader is not None:
            self._tell_leader(LeaderView(known.term, None, False))

    def _tell_leader(self, view: LeaderView) -> None:
        leader = next((voter for voter in self._voters if voter.node == view.node), None)
        if leader is None and view.node is not None:
            raise PeerFault(f"node {view.node} is said to lead, but does not vote")
        self.leadership(SoftState(Role.FOLLOWER, view.term, leader, view.confirmed))
