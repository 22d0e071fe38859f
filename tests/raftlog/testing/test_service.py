"""State machines on the real engine in virtual time: what whoever embeds raftlog relies on."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from raftlog import CorruptLog, GroupOffline, NotLeader, Outcome, RaftError
from raftlog.engine import installs
from raftlog.engine.machine import COMMAND_BYTES_MAX
from raftlog.engine.snapshots import Received
from raftlog.testing import Asked, PowerCut, VirtualNode, VirtualService

GROUP = 1
SEEDS = range(1, 6)


class Journal:
    """Remembers every command, so that a lost, doubled or reordered one shows."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self.restored = 0
        self.broken = False

    def apply(self, command: bytes) -> int:
        if self.broken:
            raise CorruptLog("this copy cannot go on")
        self.words.append(command.decode())
        return len(self.words)

    def snapshot(self) -> bytes:
        return " ".join(self.words).encode()

    def restore(self, snapshot: bytes) -> None:
        self.words = snapshot.decode().split()
        self.restored += 1


def service(seed: int = 1) -> VirtualService:
    return VirtualService(seed, lambda: {GROUP: Journal()})


def words(node: VirtualNode) -> list[str]:
    journal = node.machine(GROUP)
    assert isinstance(journal, Journal)
    return journal.words


def settle(run: VirtualService, wanted: list[str]) -> None:
    """Every node comes to hold `wanted`."""
    run.run_until(lambda: all(words(node) == wanted for node in run.nodes.values()))


def answer(run: VirtualService, asked: Asked) -> Outcome:
    run.run_until(lambda: asked.outcome is not None)
    assert asked.outcome is not None
    return asked.outcome


def write(run: VirtualService, command: str) -> Asked:
    """Propose at the leader, again and again until it is acknowledged."""
    while True:
        leader = run.wait_leader(GROUP)
        try:
            asked = leader.propose(GROUP, command.encode())
        except NotLeader:  # it hands over
            run.run(0.05)
            continue
        if answer(run, asked) is Outcome.DONE:
            return asked


def test_a_command_is_applied_everywhere_and_its_result_goes_to_its_proposer() -> None:
    run = service()
    assert [write(run, word).result for word in "abc"] == [1, 2, 3]
    settle(run, ["a", "b", "c"])


@pytest.mark.parametrize("seed", SEEDS)
def test_what_was_acknowledged_survives_any_loss_of_power(seed: int) -> None:
    run = service(seed)
    done: list[str] = []
    for number in range(60):
        write(run, f"w{number}")
        done.append(f"w{number}")
        if number % 9 == 8:
            leader = run.wait_leader(GROUP)
            leader.crash()
            assert write(run, f"x{number}").result == len(done) + 1
            done.append(f"x{number}")
            leader.start()
        if number % 25 == 24:
            for node in run.nodes.values():
                node.crash()
            for node in run.nodes.values():
                node.start()
    settle(run, done)


def test_a_node_that_was_away_too_long_gets_a_snapshot() -> None:
    run = service()
    late = next(node for node in run.nodes.values() if node is not run.wait_leader(GROUP))
    late.kill()
    for number in range(50):
        write(run, f"w{number}")
    late.start()
    settle(run, [f"w{number}" for number in range(50)])
    assert late.machine(GROUP).restored > 0
    late.crash()
    late.start()
    settle(run, [f"w{number}" for number in range(50)])


def install_and_cut(call: int) -> bool:
    """The power of a node fails at its `call`-th use of the disk after it came back, behind.

    False when the snapshot was installed before that. Either way everybody ends up with all.
    """
    run = service()
    late = next(node for node in run.nodes.values() if node is not run.wait_leader(GROUP))
    late.kill()
    wanted = [f"w{number}" for number in range(45)]
    for word in wanted:
        write(run, word)
    late.start()
    late.disk.cut_at_call = late.disk.calls + call
    try:
        run.run_until(lambda: late.failure is not None or words(late) == wanted)
        if late.failure is None:
            return False
    except PowerCut:  # on the loop's thread; on the storage thread it is a failure of the disk
        pass
    late.crash()
    late.start()
    settle(run, wanted)
    write(run, "last")
    late.crash()
    late.start()
    settle(run, [*wanted, "last"])
    return True


def test_power_lost_at_any_use_of_the_disk_while_a_snapshot_is_installed() -> None:
    calls = 1
    while install_and_cut(calls):
        calls += 1
    assert calls > 10, "the snapshot was not installed in steps"


def test_a_read_at_a_leader_that_was_cut_off_is_not_answered_with_old_state() -> None:
    run = service()
    write(run, "a")
    old = run.wait_leader(GROUP)
    others = [number for number in run.nodes if number != old.id.node]
    run.network.partition([old.id.node], others)
    stale = old.read(GROUP)
    run.run_until(lambda: any(run.nodes[number].leads(GROUP) for number in others))
    write(run, "b")
    assert answer(run, stale) is Outcome.UNKNOWN
    run.network.heal()
    settle(run, ["a", "b"])
    assert answer(run, run.wait_leader(GROUP).read(GROUP)) is Outcome.DONE


def test_a_proposal_at_a_leader_that_was_cut_off_has_no_result_of_another_entry() -> None:
    run = service()
    write(run, "a")
    old = run.wait_leader(GROUP)
    others = [number for number in run.nodes if number != old.id.node]
    run.network.partition([old.id.node], others)
    lost = old.propose(GROUP, b"lost")
    run.run_until(lambda: any(run.nodes[number].leads(GROUP) for number in others))
    write(run, "b")
    run.network.heal()
    assert (answer(run, lost), lost.result) == (Outcome.UNKNOWN, None)
    settle(run, ["a", "b"])


def test_who_does_not_lead_says_who_does() -> None:
    run = service()
    leader = run.wait_leader(GROUP)
    run.run_until(lambda: all(n.replicas[GROUP].state.confirmed for n in run.nodes.values()))
    follower = next(node for node in run.nodes.values() if node is not leader)
    with pytest.raises(NotLeader) as refused:
        follower.propose(GROUP, b"a")
    assert refused.value.leader == leader.id
    assert str(leader.id) in str(refused.value)


def test_a_copy_that_cannot_go_on_is_out_of_service_for_good_and_the_others_go_on() -> None:
    run = service()
    leader = run.wait_leader(GROUP)
    leader.machine(GROUP).broken = True
    asked = leader.propose(GROUP, b"a")
    assert answer(run, asked) is Outcome.UNKNOWN
    write(run, "b")
    assert run.leader(GROUP) is not leader
    leader.crash()
    leader.start()
    run.run(1)
    with pytest.raises(GroupOffline, match="cannot go on"):
        leader.propose(GROUP, b"c")


def test_an_oversized_command_is_refused_before_it_is_anywhere() -> None:
    run = service()
    leader = run.wait_leader(GROUP)
    before = leader.engine.groups[GROUP].node.last_index
    with pytest.raises(ValueError, match="are the most"):
        leader.propose(GROUP, bytes(COMMAND_BYTES_MAX + 1))
    assert leader.engine.groups[GROUP].node.last_index == before


def test_a_disk_that_fails_ends_the_node_and_nothing_is_acknowledged_by_it() -> None:
    run = service()
    leader = run.wait_leader(GROUP)
    leader.disk.fail_sync()
    asked = leader.propose(GROUP, b"a")
    run.run_until(lambda: leader.failure is not None)
    run.run(1)
    assert asked.outcome is None
    leader.crash()
    write(run, "b")
    leader.start()
    run.run_until(lambda: len({tuple(words(node)) for node in run.nodes.values()}) == 1)
    assert words(leader)[-1] == "b"


def test_a_directory_with_a_group_that_nobody_added_is_refused() -> None:
    run = service()
    node = run.nodes[1]
    node.crash()
    run.machines = lambda: {2: Journal()}
    with pytest.raises(RaftError, match="holds group 1, for which there is no state machine"):
        node.start()


def test_a_group_that_is_removed_answers_what_waits() -> None:
    run = service()
    leader = run.wait_leader(GROUP)
    asked, read = leader.propose(GROUP, b"a"), leader.read(GROUP)
    leader.engine.remove_group(GROUP)
    assert (asked.outcome, read.outcome) == (Outcome.UNKNOWN, Outcome.UNKNOWN)


def history(seed: int) -> tuple[int, int, list[list[str]]]:
    run = service(seed)
    for number in range(30):
        write(run, f"w{number}")
        if number == 15:
            crashed = run.wait_leader(GROUP)
            crashed.crash()
            run.run(2)
            crashed.start()
    run.run(1)
    return run.reactor.events, run.reactor.now_us(), [words(n) for n in run.nodes.values()]


def test_the_same_seed_gives_the_same_run() -> None:
    assert history(7) == history(7)
    assert history(7) != history(8)


@pytest.mark.parametrize("end", [VirtualNode.crash, VirtualNode.kill])
def test_what_a_node_was_asked_is_unknown_when_it_ends(end: Callable[[VirtualNode], None]) -> None:
    run = service()
    leader = run.wait_leader(GROUP)
    done = write(run, "a")
    asked, read = leader.propose(GROUP, b"b"), leader.read(GROUP)
    end(leader)
    assert (asked.outcome, asked.result, read.outcome) == (Outcome.UNKNOWN, None, Outcome.UNKNOWN)
    assert (done.outcome, done.result) == (Outcome.DONE, 1)
    leader.start()
    write(run, "c")
    assert words(run.wait_leader(GROUP)) in (["a", "b", "c"], ["a", "c"])


@pytest.mark.parametrize("seed", SEEDS)
def test_a_snapshot_that_one_leader_began_and_another_sent_is_the_others_alone(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = VirtualService(seed, lambda: {GROUP: Journal()})
    monkeypatch.setattr(installs, "SNAPSHOT_CHUNK_BYTES", 8)
    first = run.wait_leader(GROUP)
    second, behind = (node for node in run.nodes.values() if node is not first)
    words_there = first.machine(GROUP).words
    # the same state with more bytes, as another release may write it
    wordy = lambda: b"     ".join(word.encode() for word in words_there)  # noqa: E731
    monkeypatch.setattr(first.replicas[GROUP]._snapshots, "_save", wordy)
    behind.crash()
    done = [f"word{number}" for number in range(45)]  # the second snapshot lets the first cut
    for word in done:
        write(run, word)
    run.run(0.5)
    longer_meta, _, _ = first.replicas[GROUP].read_snapshot(0, 1 << 20)
    meta, shorter, _ = second.replicas[GROUP].read_snapshot(0, 1 << 20)
    assert meta == longer_meta
    behind.start()
    run.run_until(lambda: received(behind) > len(shorter))
    first.crash()
    run.run_until(lambda: run.leader(GROUP) is second and not received(behind))
    first.start()
    settle(run, done)


def received(node: VirtualNode) -> int:
    """Bytes of a snapshot that is arriving."""
    group = node.replicas[GROUP].group
    if group is None or group.sink is None:
        return 0
    sink = group.sink[1]
    assert isinstance(sink, Received)
    return len(sink._data)
