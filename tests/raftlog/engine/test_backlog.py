"""What a follower that is away lacks is on the leader's disk, not in its memory."""

from __future__ import annotations

import gc

from raftlog.disk.segment_tail import TAIL_BYTES
from raftlog.types import Entry, EntryKind
from tests.raftlog.engine.rig import TIMING, Rig

ENTRY_BYTES = 64 * 1024
ENTRIES = 400
NODES_UP = 2


def held_bytes() -> int:
    """Payloads of all entries in this process: of cores, tails, appends in flight."""
    gc.collect()
    return sum(len(each.payload) for each in gc.get_objects() if type(each) is Entry)


def test_a_leader_holds_no_backlog_for_a_follower_that_is_away() -> None:
    rig = Rig(1)
    leader = rig.wait_leader()
    away = next(node for node in rig.nodes if node is not leader)
    away.crash()
    before = held_bytes()
    for _ in range(ENTRIES):
        index = leader.group(1).propose(EntryKind.DATA, 1, bytes(ENTRY_BYTES)).index
        rig.run(0.01)
    assert leader.group(1).commit == index
    allowed = NODES_UP * (2 * TAIL_BYTES + ENTRY_BYTES)
    assert held_bytes() - before <= allowed < ENTRIES * ENTRY_BYTES / 4
    away.start()
    limit = rig.reactor.now_us() + 20_000_000
    most = 0

    def caught_up() -> bool:
        nonlocal most
        progress = leader.group(1).node.progress[away.id]
        most = max(most, progress.inflight_bytes)
        return away.apps[1].log.last().index >= index

    assert rig.reactor.run_until(caught_up, limit_us=limit)
    assert 0 < most <= TIMING.max_inflight_bytes + TIMING.max_append_bytes
    assert away.apps[1].installed == 0, "from the log, not by a snapshot"
