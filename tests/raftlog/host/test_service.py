"""RaftHost on loopback: founders, a node that joins, what it refuses, and a disk that fails.

On a busy machine a process may stand still for longer than an election takes, and then another
node leads. No test relies on a leadership to last, except where a node is alone.
"""

from __future__ import annotations

import errno
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from cli.dev import ports
from raftlog import (
    ChangeRefused,
    DiskFailed,
    GroupOffline,
    Misconfigured,
    NotLeader,
    OutcomeUnknown,
    ReplicaId,
)
from raftlog.disk import OsFileSystem, Voter, read_properties
from raftlog.disk.fs import OsFile
from raftlog.host import RaftHost, Replicated, format_directory, format_quorum

GROUP = 1
PATIENCE_S = 30.0
POLL_S = 0.01


class Total:
    def __init__(self) -> None:
        self.total = 0

    def apply(self, command: bytes) -> int:
        self.total += int(command)
        return self.total

    def snapshot(self) -> bytes:
        return str(self.total).encode()

    def restore(self, snapshot: bytes) -> None:
        self.total = int(snapshot)


def format_nodes(base: Path, nodes: int) -> Path:
    addresses = {n: ("127.0.0.1", port) for n, port in enumerate(ports.pick(nodes), 1)}
    format_quorum(base, "test", addresses)
    return base


class Node:
    """A host and its one group."""

    def __init__(self, directory: Path, listen: tuple[str, int] | None = None) -> None:
        self.machine = Total()
        self.host = RaftHost(directory, listen=listen)
        self.group: Replicated[int] = self.host.add(GROUP, self.machine, snapshot_entries=8)


@asynccontextmanager
async def running(*nodes: Node) -> AsyncIterator[None]:
    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            for node in nodes:
                await nursery.start(node.host.run)
            yield
            for node in nodes:
                node.host.stop()


async def leader_of(nodes: list[Node]) -> Node:
    """The node that leads now, as it says itself."""
    while True:
        leader = await nodes[0].group.leader()
        for node in nodes:
            if node.host.me == leader and node.group._replica.state.leader == leader:
                return node
        await trio.sleep(POLL_S)


class Adding:
    """Adds ones through whoever leads, and knows what the total may be."""

    def __init__(self) -> None:
        self.acknowledged = self.unknown = 0

    async def add(self, nodes: list[Node]) -> None:
        """Propose until one more is acknowledged."""
        while True:
            leader = await leader_of(nodes)
            try:
                total = await leader.group.propose(b"1")
            except NotLeader:
                await trio.sleep(POLL_S)
            except OutcomeUnknown:
                self.unknown += 1
            else:
                self.acknowledged += 1
                assert self.allows(total)
                return

    def allows(self, total: int) -> bool:
        """All that was acknowledged is in `total`, and nothing that was not proposed."""
        return self.acknowledged <= total <= self.acknowledged + self.unknown


async def become(
    nodes: list[Node], voters: tuple[ReplicaId, ...], learners: tuple[ReplicaId, ...] = ()
) -> None:
    """Have whoever leads make these the members, and wait until that is complete."""
    while True:
        group = (await leader_of(nodes)).group.group
        node, now = group.node, group.node.configuration
        if set(now.voters) != set(voters) or set(now.learners) != set(learners):
            with suppress(NotLeader, ChangeRefused):  # a voter that has not caught up, too
                group.change(voters, learners)
        elif not now.outgoing and node.commit >= node.configuration_index:
            return
        await trio.sleep(POLL_S)


async def followers_name_the_leader(nodes: list[Node], ask: Callable[[Node], Any]) -> None:
    """Until a follower, the last if possible, answers `ask` with who leads instead."""
    while True:
        leader = await leader_of(nodes)
        follower = next(node for node in reversed(nodes) if node is not leader)
        try:
            await ask(follower)  # it may have become the leader: then it is done
        except NotLeader as refused:
            if refused.leader == leader.host.me:
                return
        except OutcomeUnknown:
            pass
        await trio.sleep(POLL_S)


async def until_true(look: Callable[[], bool]) -> None:
    while not look():  # noqa: ASYNC110  # no event says what a node has applied
        await trio.sleep(POLL_S)


async def test_one_node_alone_serves_and_remembers(tmp_path: Path) -> None:
    base = format_nodes(tmp_path / "data", 1)
    for start in range(3):
        node = Node(base / "1")
        async with running(node):
            await node.group.leader()
            await node.group.read()
            assert node.machine.total == start * 10
            for number in range(10):
                assert await node.group.propose(b"1") == start * 10 + number + 1


async def test_a_new_node_learns_then_votes_and_can_carry_the_group(tmp_path: Path) -> None:
    base = format_nodes(tmp_path / "data", 3)
    nodes = [Node(base / str(number)) for number in (1, 2, 3)]
    voters = read_properties(OsFileSystem(base / "1")).voters
    fresh = ReplicaId(4, b"4" * 16)
    format_directory(base / "4", "test", fresh, voters)
    joining = Node(base / "4", ("127.0.0.1", ports.pick(1)[0]))
    async with running(*nodes, joining):
        ones = Adding()
        for _ in range(20):  # so much that a snapshot has replaced the beginning
            await ones.add(nodes)
        leader = await leader_of(nodes)
        founders = tuple(node.host.me for node in nodes)
        await become(nodes, founders, (fresh,))
        gone = next(node for node in nodes if node is not leader)
        members = [*(node for node in nodes if node is not gone), joining]
        await become(members, tuple(node.host.me for node in members))
        await ones.add(members)
        await until_true(lambda: joining.machine.total >= ones.acknowledged)
        assert ones.allows(joining.machine.total)
        await followers_name_the_leader(members, lambda node: node.group.propose(b"0"))
        await followers_name_the_leader(members, lambda node: node.group.read())


async def interrupted(nodes: list[Node]) -> type[Exception] | None:
    """What a proposal raises whose host is stopped before it can be committed."""
    outcomes: list[type[Exception] | None] = []

    async def propose(node: Node) -> None:
        try:
            await node.group.propose(b"1")
        except (NotLeader, OutcomeUnknown) as error:
            outcomes.append(type(error))
        else:
            outcomes.append(None)

    async with running(*nodes):
        leader = await leader_of(nodes)
        others = [node for node in nodes if node is not leader]
        for other in others:
            other.host.stop()
        await until_true(lambda: all(node.group._replica.offline_reason for node in others))
        async with trio.open_nursery() as asking:
            asking.start_soon(propose, leader)
            await trio.testing.wait_all_tasks_blocked()
            leader.host.stop()
    with pytest.raises(GroupOffline, match="has ended"):
        await leader.group.propose(b"1")
    with pytest.raises(GroupOffline, match="has ended"):
        await leader.group.leader()
    return outcomes[0]


async def test_a_proposal_that_a_stop_interrupts_is_unknown_and_later_ones_are_refused(
    tmp_path: Path,
) -> None:
    base = format_nodes(tmp_path / "data", 3)
    outcome: type[Exception] | None = NotLeader
    with trio.fail_after(PATIENCE_S):
        while outcome is NotLeader:  # left alone, it may have stepped down before it was asked
            outcome = await interrupted([Node(base / str(number)) for number in (1, 2, 3)])
    assert outcome is OutcomeUnknown


async def test_a_failed_fsync_ends_the_host_and_acknowledges_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = Node(format_nodes(tmp_path / "data", 1) / "1")

    def fail(file: OsFile) -> None:
        raise OSError(errno.EIO, "Input/output error")

    unknown = []
    with pytest.RaisesGroup(DiskFailed), trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            await nursery.start(node.host.run)
            await node.group.leader()
            monkeypatch.setattr(OsFile, "sync", fail)
            with pytest.raises(OutcomeUnknown) as error:
                await node.group.propose(b"1")
            unknown.append(error.value)
    assert len(unknown) == 1


async def test_what_contradicts_itself_is_refused_with_a_sentence(tmp_path: Path) -> None:
    base = format_nodes(tmp_path / "data", 2)
    with pytest.raises(Misconfigured, match="elsewhere is not formatted"):
        RaftHost(tmp_path / "elsewhere")
    assert not (tmp_path / "elsewhere").exists()  # a mistyped name leaves nothing behind
    node = Node(base / "1")
    with pytest.raises(ValueError, match="given once"):
        node.host.add(GROUP, Total())
    with pytest.raises(ValueError, match="1 or more"):
        node.host.add(0, Total())
    async with running(node):
        with pytest.raises(Misconfigured, match="in use by process"):
            await Node(base / "1").host.run()
        port = read_properties(OsFileSystem(base / "1")).voters[0].port
        with pytest.raises(Misconfigured, match="cannot listen"):
            await Node(base / "2", ("127.0.0.1", port)).host.run()
    other = RaftHost(base / "1")
    other.add(2, Total())
    with pytest.raises(Misconfigured, match="holds group 1"):
        await other.run()


def test_formatting_a_second_time_changes_nothing(tmp_path: Path) -> None:
    base = format_nodes(tmp_path / "data", 2)
    first = read_properties(OsFileSystem(base / "1"))
    format_quorum(base, "another", {1: ("127.0.0.1", 1)})
    assert read_properties(OsFileSystem(base / "1")) == first
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_every_formatting_is_drawn_its_own_and_is_the_only_one(tmp_path: Path) -> None:
    founders = [Voter(node, bytes([node]) * 16, "127.0.0.1", 7000 + node) for node in (1, 2)]
    drawn = set()
    for name in ("first", "again"):  # a directory that came to nothing, and its successor
        me = ReplicaId(1, founders[0].directory_id)
        format_directory(str(tmp_path / name), "test", me, founders)
        found = read_properties(OsFileSystem(tmp_path / name))
        assert (found.replica, found.voters) == (me, tuple(founders))
        drawn.add(found.formatting)
    assert len(drawn - {b""}) == 2
    with pytest.raises(Misconfigured, match="formatted already"):
        format_directory(tmp_path / "first", "test", ReplicaId(1, b"x" * 16), founders)
    assert RaftHost(str(tmp_path / "first")).me == ReplicaId(1, founders[0].directory_id)


async def test_a_command_that_is_not_bytes_is_its_callers_mistake_alone(tmp_path: Path) -> None:
    node = Node(format_nodes(tmp_path / "data", 1) / "1")
    async with running(node):
        await node.group.leader()
        with pytest.raises(TypeError, match="a command is bytes, not str"):
            await node.group.propose("1")  # type: ignore[arg-type]
        assert await node.group.propose(b"1") == 1


async def test_a_read_where_nobody_leads_says_so(tmp_path: Path) -> None:
    node = Node(format_nodes(tmp_path / "data", 3) / "1")
    async with running(node):
        with pytest.raises(NotLeader, match="group 1 has no leader") as error:
            await node.group.read()
    assert error.value.leader is None
