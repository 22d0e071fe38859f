"""Three schedules that lose acknowledged writes in another engine; here they must hold.

They use what TCP gives: FIFO links, no duplicates, no reordering; links may be slow or cut.
"""

from __future__ import annotations

from raftlog.messages import AppendReply, AppendRequest, SnapshotChunk
from raftlog.types import Role

from .harness import voters


def test_isolated_leader_does_not_commit_while_a_snapshot_arrives() -> None:
    world = voters()
    world.elect("A")
    world.isolate("A")
    world.propose("A", b"from the old leader")
    world.elect("B", "C")
    for number in range(6):
        world.propose("B", b"k%d" % number)
    world.settle("B", "C")
    world.compact("B", world["B"].commit)
    world.heal()
    world.advance(2 * world.timing.heartbeat_us)
    world.feed_snapshots("B")
    first = world.queue("B", "A")[0]
    assert isinstance(first, SnapshotChunk)
    assert not first.done
    world.deliver("B", "A", 1)
    assert world["A"].role is Role.FOLLOWER
    assert world["A"].commit == 1, "nothing of the old leader's tail may be committed"
    for _ in range(8):
        world.feed_snapshots("B")
        world.advance(world.timing.heartbeat_us)
    assert world.hosts["A"].state == world.hosts["B"].state
    assert world["A"].commit == world["B"].commit
    assert all(b"from the old leader" not in world.payloads(name) for name in "ABC")


def test_acknowledged_suffix_survives_repeated_resends() -> None:
    small = voters().timing._replace(max_append_bytes=20)
    world = voters(small)
    world.elect("A")
    world.advance(world.timing.heartbeat_us)
    world.cut("AC", "BC")
    payloads = [b"%d" % number + b"v" * 19 for number in range(6)]
    for payload in payloads:
        world.propose("A", payload)
    world.drop("A", "B")  # lost with the connection
    for _ in range(2):  # answers are slow: B is asked twice before it is heard once
        world.advance(world.timing.heartbeat_us, "A", quiet=True)
        world.deliver("A", "B")
    for _ in range(2):
        world.deliver("B", "A", 1)
        world.advance(world.timing.heartbeat_us, "A", quiet=True)
    world.deliver("A", "B")
    answers = [m for m in world.queue("B", "A") if isinstance(m, AppendReply)]
    assert [answer.accepted for answer in answers] == [False, False]
    resent: list[AppendRequest] = []
    while world["A"].commit < 7:  # acknowledged by A and B
        world.deliver("B", "A")
        resent += [m for m in world.queue("A", "B") if isinstance(m, AppendRequest) and m.entries]
        world.deliver("A", "B")
    assert [len(message.entries) for message in resent] == [1] * 6, "one rejection was enough"
    # The other engine resends for the second one, too, and dies after the first message of that.
    late = next(m for m in resent if m.entries[0].index > world["B"].commit)
    assert late.entries[0].index < 7
    world.inject("A", "B", late)
    assert world.terms("B") == [1] * 7
    world.crash("A")
    world.heal()
    world.elect("B", "C")
    world.advance(world.timing.heartbeat_us, "B", "C")
    assert world.payloads("B") == payloads
    assert world.payloads("C") == payloads


def test_acks_of_an_earlier_leadership_do_not_count() -> None:
    world = voters(names="ABCDE")
    world.elect("A")
    world.cut("AC", "AD", "AE")
    for number in range(8):
        world.propose("A", b"old%d" % number)
    world.deliver("A", "B")  # B's acks of term 1 stay on the slow link B-A
    slow = world.queue("B", "A")
    assert len(slow) == 8
    world.elect("C", "D", "E")
    world.settle("B", "C", "D", "E")
    world.heal()
    world.drop("A", "B")
    world.advance(2 * world.timing.heartbeat_us, "A", "C", "D", "E")
    world["C"].transfer(world["A"].me)
    world.settle("A", "C", "D", "E")
    assert (world["A"].role, world["A"].term) == (Role.LEADER, 3)
    world.cut("AC", "AE")
    world.drop("A", "B")
    important = world.propose("A", b"IMPORTANT")
    world.deliver("A", "D")
    world.deliver("D", "A")
    assert world.queue("B", "A")[: len(slow)] == slow
    world.deliver("B", "A", important.index - 1)  # from 2 on: up to the entry's own index
    assert world["A"].commit < important.index, "two of five is no majority"
    world.deliver("B", "A")
    assert world["A"].commit < important.index
    world.crash("A")
    world.crash("D")
    world.heal()
    world.drop("C", "B")
    world.elect("C", "B", "E")
    assert b"IMPORTANT" not in world.payloads("C")
