"""Power loss while a deposed leader's own entries, synced and checkpointed, are cut off."""

from __future__ import annotations

import pytest

from raftlog.types import EntryKind
from tests.raftlog.engine.rig import Node, Rig
from tests.raftlog.engine.test_engine import Writer, everywhere

SLOW_US = 40_000


def deposed(rig: Rig, writer: Writer) -> Node:
    """A former leader, cut off, whose checkpoint covers entries that nobody else has."""
    old = rig.wait_leader()
    writer.write(10)
    writer.wait()
    for other in rig.nodes:
        if other is not old:
            rig.cut |= {(old.id.node, other.id.node), (other.id.node, old.id.node)}
    for number in range(30):
        old.group(1).propose(EntryKind.DATA, 1, b"mine-%d" % number)
    rig.run(0.05)
    old.engine.checkpoint(old.group(1))
    limit = rig.reactor.now_us() + 5_000_000
    assert rig.reactor.run_until(lambda: rig.leader() not in (None, old), limit_us=limit)
    writer.write(5)
    writer.wait()
    assert old.engine.wal.trusted_index(1) == old.group(1).node.last_index > 30
    return old


def cut_off(old: Node) -> bool:
    return old.apps[1].log.last().index < 30


@pytest.mark.parametrize("restarted", (False, True))
@pytest.mark.parametrize("seed", range(6))
def test_what_a_checkpoint_covers_is_cut_durably_before_the_files_are(
    seed: int, restarted: bool
) -> None:
    rig = Rig(seed)
    writer = Writer(rig)
    old = deposed(rig, writer)
    if restarted:
        old.crash()
        old.start()
    assert old.process is not None
    rig.run(0.2)
    old.process.latency = lambda random, background: SLOW_US
    rig.cut.clear()
    assert rig.reactor.run_until(lambda: cut_off(old), limit_us=rig.reactor.now_us() + 5_000_000)
    old.crash()  # the round with the cut, were it left to the storage thread, is not synced
    old.start()
    everywhere(rig, writer)
