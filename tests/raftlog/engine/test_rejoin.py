"""A follower that restarts while its groups are idle is taken in again, whatever the phase."""

from __future__ import annotations

import pytest

from raftlog.types import Role
from tests.raftlog.engine.rig import Rig


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
