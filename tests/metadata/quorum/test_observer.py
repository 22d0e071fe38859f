"""An observer's image follows the voters': entries, snapshots, the controller, and nonsense."""

from __future__ import annotations

from typing import Any

import pytest

from metadata.image import ImageDelta, MetadataImage, state_hash
from metadata.quorum import fetch
from metadata.quorum.client import ControllerClient
from metadata.quorum.fetch import POLL_US, SNAPSHOT
from metadata.quorum.rpc import Answer, OnAnswer
from raftlog.ready import SoftState
from raftlog.types import ReplicaId
from tests.metadata.quorum.voters import TEN, TWENTY, Net, both_at, entries, followed
from tests.metadata.samples import replica


def test_entries_arrive_as_they_are_committed() -> None:
    net = Net()
    seen: list[int] = []

    def watch(image: MetadataImage, delta: ImageDelta) -> None:
        seen.append(image.position.index)

    net.observer.watch(watch)
    log = entries(TWENTY)
    both_at(net, log[:10])
    net.start(1, 2)
    net.wait(lambda: followed(net, 10))
    net.run(POLL_US * 3)
    woken: list[int] = []
    net.observer.when_applied(12, lambda: woken.append(net.position()))
    before = net.reactor.now_us()
    both_at(net, log[:13])
    net.wait(lambda: followed(net, 13))
    assert net.reactor.now_us() - before < 20_000, "it waited for the poll to end"
    assert woken == [13]
    assert seen == [10, 11, 12, 13], "the snapshot at once, then each entry"
    assert state_hash(net.observer.image) == state_hash(net.voters[1].app.image)
    assert net.observer.image.position == net.voters[1].app.image.position
    assert not net.faults


def test_what_was_compacted_meanwhile_comes_as_a_snapshot_in_chunks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fetch, "CHUNK_BYTES_MAX", 64)
    net = Net(count=1)
    log = entries(TWENTY)
    net.voters[1].commit(log[:10])
    net.start(1)
    net.wait(lambda: followed(net, 10))
    net.disconnect(1)
    net.voters[1].commit(log)
    net.voters[1].compact()
    net.asked.clear()
    net.connect(1)
    net.wait(lambda: followed(net, 20))
    assert len(net.asked) > 5, "chunks of 64 bytes"
    assert state_hash(net.observer.image) == state_hash(net.voters[1].app.image)


def test_an_image_that_moves_on_while_it_is_read_is_read_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fetch, "CHUNK_BYTES_MAX", 64)
    net = Net(count=1)
    log = entries(TWENTY)
    positions: list[int] = []
    net.observer.watch(lambda image, delta: positions.append(image.position.index))
    net.voters[1].commit(log[:10])
    net.start(1)
    net.wait(lambda: len(net.asked) == 3)
    net.voters[1].commit(log)
    net.voters[1].compact()
    net.wait(lambda: followed(net, 20))
    assert positions == [10, 20], "the one begun, then the present one"
    assert state_hash(net.observer.image) == state_hash(net.voters[1].app.image)
    assert not net.faults


def test_an_image_that_is_not_kept_any_more_is_read_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "CHUNK_BYTES_MAX", 64)
    net = Net(count=1)
    log = entries(TWENTY)
    positions: list[int] = []
    net.observer.watch(lambda image, delta: positions.append(image.position.index))
    net.voters[1].commit(log[:10])
    net.start(1)
    net.wait(lambda: len(net.asked) == 3)
    net.voters[1].commit(log)
    net.rpc.call(1, SNAPSHOT, [0, 0, 1], lambda answer: None, 1_000_000)  # another reader
    net.wait(lambda: followed(net, 20))
    assert positions == [20]
    assert not net.faults


def test_chunks_of_a_voter_that_failed_are_not_mixed_with_those_of_another() -> None:
    net = Net()
    both_at(net, entries(TEN))
    asked: list[Any] = []

    def serve(sender: ReplicaId, arguments: Any, answer: OnAnswer) -> None:
        asked.append(arguments)
        if len(asked) == 1:
            answer(Answer([10, 0, b"0123456789", False]))

    net.voters[1].rpc.serve(SNAPSHOT, serve)
    net.start(1)
    net.wait(lambda: len(asked) == 2)
    net.disconnect(1)
    net.connect(2)
    net.wait(lambda: followed(net, 10))
    assert not net.faults


def test_a_new_observer_is_given_the_present_image_not_one_kept_for_another() -> None:
    net = Net(count=1)
    log = entries(TWENTY)
    net.voters[1].commit(log[:10])
    net.up.append(replica(1))
    first: list[Answer] = []
    net.rpc.call(1, SNAPSHOT, [0, 0, 1], first.append, 10_000_000)
    net.run(10_000)
    assert first[0].value[0] == 10
    net.voters[1].commit(log)
    positions: list[int] = []
    net.observer.watch(lambda image, delta: positions.append(image.position.index))
    net.observer.start()
    net.wait(lambda: followed(net, 20))
    assert positions == [20]


def test_when_the_voter_asked_is_gone_another_one_is() -> None:
    net = Net()
    log = entries(TWENTY)
    both_at(net, log[:10])
    for voter in net.voters.values():
        voter.leader(1, replica(1))
    net.start(1, 2)
    net.wait(lambda: followed(net, 10))
    net.asked.clear()
    net.run(POLL_US * 10)
    assert set(net.asked) == {1}, "the controller is asked"
    net.disconnect(1)
    net.voters[2].commit(log)
    net.wait(lambda: followed(net, 20))
    net.disconnect(2)
    net.run(POLL_US)
    net.connect(1)
    net.voters[1].commit(log)
    net.run(POLL_US)
    assert net.position() == 20
    assert not net.faults


def test_a_voter_that_is_behind_takes_nothing_back() -> None:
    net = Net()
    log = entries(TWENTY)
    net.voters[1].commit(log[:15])
    net.voters[2].commit(log[:10])
    positions: list[int] = []
    net.observer.watch(lambda image, delta: positions.append(image.position.index))
    net.start(1)
    net.wait(lambda: followed(net, 15))
    net.disconnect(1)
    net.connect(2)
    net.voters[2].compact()
    net.run(POLL_US * 3)
    assert net.position() == 15
    net.voters[2].commit(log)
    net.wait(lambda: followed(net, 20))
    assert positions == sorted(positions)
    assert not net.faults


def test_an_older_snapshot_is_not_installed() -> None:
    net = Net()
    log = entries(TWENTY)
    net.voters[1].commit(log[:15])
    net.voters[2].commit(log[:10])
    net.start(1)
    net.wait(lambda: followed(net, 15))
    net.disconnect(1)
    net.observer._wants_snapshot = True
    net.connect(2)
    net.run(POLL_US)
    assert net.position() == 15
    assert not net.faults


# --- the controller


def leaders(net: Net) -> list[tuple[int, int | None]]:
    told: list[tuple[int, int | None]] = []

    def note(state: SoftState) -> None:
        told.append((state.term, None if state.leader is None else state.leader.node))

    net.observer.watch_leadership(note)
    return told


def test_the_controller_is_learnt_from_voters_and_the_newer_term_wins() -> None:
    net = Net()
    told = leaders(net)
    both_at(net, entries(TEN))
    net.voters[1].leader(1, replica(1))
    net.voters[2].leader(1, replica(1))
    net.start(1, 2)
    net.wait(lambda: told == [(1, 1)])
    net.voters[2].leader(2, replica(2))
    net.disconnect(1)
    net.wait(lambda: told[-1] == (2, 2))
    net.connect(1)  # it has not heard of term 2
    net.disconnect(2)
    net.run(POLL_US)
    assert told == [(1, 1), (2, 2)]
    client = ControllerClient(net.reactor.process("c"), net.rpc, net.observer, net.up.__contains__)
    assert client.controller() == 2
    answers: list[Answer] = []
    net.asked.clear()
    client.call("anything", [], answers.append, timeout_us=5_000_000)
    net.run(500_000)
    assert not net.faults, "a voter that is behind does nothing wrong"
    assert 2 not in net.asked, "a request to a node that is not connected would be lost"
    net.connect(2)
    net.wait(lambda: answers)
    assert answers[0].error == "UNSUPPORTED_VERSION"


def test_a_voter_that_knows_of_no_controller_is_not_the_last_one_asked() -> None:
    net = Net()
    told = leaders(net)
    both_at(net, entries(TEN))
    net.voters[1].leader(1, None)
    net.voters[2].leader(1, replica(2))
    net.start(1, 2)
    net.wait(lambda: told[-1:] == [(1, 2)])


def test_a_change_of_the_controller_is_told_at_once() -> None:
    net = Net(count=1)
    told = leaders(net)
    net.voters[1].commit(entries(TEN))
    net.start(1)
    net.wait(lambda: followed(net, 10))
    net.run(POLL_US // 2)
    before = net.reactor.now_us()
    net.voters[1].leader(3, replica(1))
    net.wait(lambda: told == [(3, 1)])
    assert net.reactor.now_us() - before < 100_000


def test_a_controller_that_says_it_resigned_is_believed() -> None:
    net = Net(count=2)
    told = leaders(net)
    both_at(net, entries(TEN))
    net.voters[1].leader(3, replica(1))
    net.voters[2].leader(3, replica(1))
    net.start(1, 2)
    net.wait(lambda: told == [(3, 1)])
    net.voters[2].leader(3, None)  # a follower that has lost sight of it
    net.run(POLL_US * 2)
    assert told == [(3, 1)]
    net.voters[1].leader(3, None)
    net.wait(lambda: told == [(3, 1), (3, None)])
    assert not net.faults


def test_a_controller_that_neither_the_voters_nor_this_broker_see_is_forgotten() -> None:
    net = Net(count=2)
    told = leaders(net)
    both_at(net, entries(TEN))
    net.voters[1].leader(3, replica(1))
    net.start(1, 2)
    net.wait(lambda: told == [(3, 1)])
    net.disconnect(1)
    net.voters[2].leader(3, None)
    net.wait(lambda: told == [(3, 1), (3, None)])


def test_a_controller_that_nobody_confirms_any_more_is_forgotten() -> None:
    """Without any voter, a broker cannot know that what it last heard is still true."""
    net = Net(count=2)
    told = leaders(net)
    both_at(net, entries(TEN))
    net.voters[1].leader(3, replica(1))
    net.voters[2].leader(3, replica(1))
    net.start(1, 2)
    net.wait(lambda: told == [(3, 1)])
    net.run(POLL_US * 10)
    assert told == [(3, 1)]
    net.disconnect(1)
    net.run(POLL_US * 10)
    assert told == [(3, 1)], "another voter still sees it"
    net.disconnect(2)
    net.wait(lambda: told == [(3, 1), (3, None)])
    net.connect(1)
    net.wait(lambda: told[-1] == (3, 1))
    assert not net.faults


@pytest.mark.parametrize("second", [replica(2), ReplicaId(7, b"7" * 16)], ids=["two", "no voter"])
def test_two_leaders_of_a_term_and_a_leader_without_a_vote_are_faults(second: ReplicaId) -> None:
    net = Net()
    told = leaders(net)
    both_at(net, entries(TEN))
    net.voters[1].leader(5, replica(1))
    net.voters[2].leader(5 if second.node == 2 else 6, second)
    net.start(1)
    net.wait(lambda: told == [(5, 1)])
    net.disconnect(1)
    net.connect(2)
    net.wait(lambda: net.faults)
    assert told == [(5, 1)]
