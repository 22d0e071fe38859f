"""Idle groups when processes go: who restarts is taken in again, who is alone steps down."""

from __future__ import annotations

import pytest

from raftlog.types import EntryKind, Role
from tests.raftlog.engine.rig import TIMING, Rig


@pytest.mark.parametrize("seed", range(8))
def test_a_restarted_follower_of_idle_groups_hears_their_leader_again(seed: int) -> None:
    rig = Rig(seed, groups=3)
    leader = rig.wait_leader(1)
    rig.run(2 + seed * 0.007)
    follower = next(node for node in rig.nodes if node is not leader)
    follower.crash()
    rig.run(0.2)
    follower.start()
    rig.run(1.5)
    node = follower.group(1).node
    assert (node.role, node.leader) == (Role.FOLLOWER, leader.id)
    assert node.commit == leader.group(1).node.commit


@pytest.mark.parametrize("phase", range(8))
def test_a_leader_that_is_cut_off_steps_down_an_election_timeout_after_the_last_ack(
    phase: int,
) -> None:
    """However lately check-quorum ran while the host still vouched for a follower."""
    rig = Rig(1, groups=1)
    leader = rig.wait_leader(1)
    leader.group(1).propose(EntryKind.DATA, 1, b"x")
    rig.run(1)
    gone = next(node for node in rig.nodes if node is not leader)
    gone.crash()  # a group with a follower to look after keeps its clockwork running
    rig.run(0.1 + phase * 0.075)
    for other in rig.nodes:
        rig.cut |= {(leader.id.node, other.id.node), (other.id.node, leader.id.node)}
    rig.run((TIMING.election_max_us + TIMING.heartbeat_us) / 1e6)
    assert leader.group(1).node.role is not Role.LEADER
