"""Every client library in a group of its own: members leave, die, and sleep; brokers restart.

All groups live through the same story at the same time, on one cluster:

1. Two members share a topic; when all is read and committed one leaves, and the other goes on:
   every record once.
2. Two more come. One is killed, one stopped for longer than its session; the rest takes over:
   every record, at least once. The stopped one goes on and has its share again.
3. All brokers are killed and started: what was committed still is, and the members go on.
"""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from signal import SIGCONT, SIGKILL, SIGSTOP, SIGTERM, Signals
from typing import Any

import pytest

from cli.context import Address
from partitions import wire
from partitions.wire import ApiKey
from tests.live.cluster import ROOT, Cluster
from tests.live.group_member import Options, command, missing
from tests.live.raw import connected
from tests.live.test_groups import PARTITIONS, SESSION_MS, Group
from tests.live.waiting import wait_for

pytestmark = pytest.mark.live

PATIENCE_S = 60.0
END_S = 20.0
COMPLAINTS_SHOWN = 3000
_NUMBERS = count()
LIBRARIES = ("confluent-kafka", "aiokafka", "kafka-python", "kcat", "kafkajs")


def assigned(assignment: bytes) -> int:
    """Partitions in a ConsumerProtocolAssignment of at most one topic."""
    if not int.from_bytes(assignment[2:6], "big"):
        return 0
    name_end = 8 + int.from_bytes(assignment[6:8], "big")
    return int.from_bytes(assignment[name_end : name_end + 4], "big")


class Member:
    """A process; what it prints is noted in its group."""

    def __init__(self, library: str, group: Group) -> None:
        options = Options(group.cluster.bootstrap, group.name, group.topic, SESSION_MS)
        self._seen = group.seen
        self._complaints = group.cluster.root / f"member-{next(_NUMBERS)}.log"
        with self._complaints.open("wb") as complaints:
            self._process = subprocess.Popen(
                command(library, options),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=complaints,
                cwd=ROOT,
            )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            partition, offset = line.split()
            self._seen.append((int(partition), int(offset)))

    def report(self) -> str:
        """How it is, and what it said last."""
        last = self._complaints.read_text(errors="replace")[-COMPLAINTS_SHOWN:]
        return f"\nmember with exit status {self._process.poll()}:\n{last}"

    def signal(self, number: Signals) -> None:
        os.kill(self._process.pid, number)

    def end(self, number: Signals) -> int:
        """Send the signal, wait until the process has ended; its exit status."""
        self.signal(number)
        status = self._process.wait(END_S)
        self._reader.join(END_S)
        assert self._process.stdout is not None
        self._process.stdout.close()
        return status


class Story:
    """One library's group."""

    def __init__(self, cluster: Cluster, library: str) -> None:
        self.library = library
        self.group = Group(cluster, f"matrix-{library}")
        self.members: list[Member] = []
        self.failure = ""
        self.facts: dict[str, object] = {}

    def join(self) -> Member:
        member = Member(self.library, self.group)
        self.members.append(member)
        return member

    def leave(self, member: Member, number: Signals = SIGTERM) -> int:
        self.members.remove(member)
        return member.end(number)

    def _ask(self, key: ApiKey, version: int, body: Any) -> Any:
        """The coordinator's answer; None while there is none."""
        types = wire.messages(ApiKey.FIND_COORDINATOR)
        wanted = types.FindCoordinatorRequest(key=self.group.name, key_type=0)
        try:
            with connected(next(iter(self.group.cluster.brokers.values())).kafka) as any_broker:
                found = any_broker.ask(ApiKey.FIND_COORDINATOR, 3, wanted)
            if found.error_code:
                return None
            with connected(Address(found.host, found.port)) as coordinator:
                return coordinator.ask(key, version, body)
        except OSError:
            return None

    def shared(self, *sizes: int) -> bool:
        """Is the group stable, each member with so many partitions?"""
        wanted = wire.messages(ApiKey.DESCRIBE_GROUPS).DescribeGroupsRequest(
            groups=[self.group.name], include_authorized_operations=False
        )
        answer = self._ask(ApiKey.DESCRIBE_GROUPS, 5, wanted)
        if answer is None or answer.groups[0].group_state != "Stable":
            return False
        members = answer.groups[0].members
        return sorted(assigned(bytes(each.member_assignment)) for each in members) == [*sizes]

    def committed(self) -> dict[int, int]:
        """By partition; empty while the coordinator does not say."""
        wanted = wire.messages(ApiKey.OFFSET_FETCH).OffsetFetchRequest(
            group_id=self.group.name, topics=None, require_stable=False
        )
        answer = self._ask(ApiKey.OFFSET_FETCH, 7, wanted)
        if answer is None or answer.error_code:
            return {}
        (topic,) = answer.topics or [None]
        parts = [] if topic is None else topic.partitions
        return {part.partition_index: part.committed_offset for part in parts}

    def all_committed(self) -> bool:
        return sum(self.committed().values()) == self.group.written

    def remembers(self) -> bool:
        """Does a restarted coordinator answer?"""
        self.facts["after"] = self.committed()
        return bool(self.facts["after"])

    def end(self) -> None:
        while self.members:
            self.leave(self.members[0], SIGKILL)
        self.group.close_all()


class Stories:
    """All of them, step by step; one that fails takes no further part."""

    def __init__(self, stories: list[Story]) -> None:
        self.all = stories

    def going_on(self) -> list[Story]:
        return [story for story in self.all if not story.failure]

    def each(self, step: Callable[[Story], object]) -> None:
        for story in self.going_on():
            step(story)

    def until(self, condition: Callable[[Story], bool], what: str) -> None:
        late = self.going_on()

        def look() -> bool:
            late[:] = [story for story in late if not condition(story)]
            return not late

        try:
            wait_for(look, PATIENCE_S, what)
        except AssertionError as error:
            for story in late:
                seen = len(set(story.group.seen))
                story.failure = f"{error}; {seen} of {story.group.written} records were seen"
                story.failure += "".join([member.report() for member in story.members])

    def written_and_seen(self, more: int) -> None:
        self.each(lambda story: story.group.write(more))
        self.until(lambda story: story.group.all_seen(), "all records")


def told(stories: Stories, cluster: Cluster) -> None:
    """The story of the module's documentation."""
    share_and_leave(stories)
    die_and_sleep(stories)
    stories.until(Story.all_committed, "commits of all that was seen")
    stories.each(lambda story: story.facts.update(before=story.committed()))
    cluster.kill_all()
    for broker_id in cluster.brokers:
        cluster.start(broker_id)
    cluster.wait_ready()
    stories.until(Story.remembers, "committed offsets after the restart")
    stories.written_and_seen(6 * PARTITIONS)
    stories.until(lambda story: story.shared(3, 3), "three partitions each after the restart")
    stories.each(lambda story: story.facts.update(ended=[story.leave(m) for m in [*story.members]]))


def share_and_leave(stories: Stories) -> None:
    stories.each(lambda story: (story.join(), story.join()))
    stories.until(lambda story: story.shared(3, 3), "three partitions each")
    stories.written_and_seen(20 * PARTITIONS)
    stories.until(Story.all_committed, "commits of all that was seen")
    stories.each(lambda story: story.facts.update(left=story.leave(story.members[-1])))
    stories.until(lambda story: story.shared(6), "the other to have them all")
    stories.written_and_seen(10 * PARTITIONS)
    stories.each(lambda story: story.facts.update(once=sorted(story.group.seen)))


def die_and_sleep(stories: Stories) -> None:
    stories.each(lambda story: (story.join(), story.join()))
    stories.until(lambda story: story.shared(2, 2, 2), "two partitions each")
    stories.each(lambda story: story.group.write(5 * PARTITIONS))
    stories.each(lambda story: story.members[2].signal(SIGSTOP))
    stories.each(lambda story: story.leave(story.members[1], SIGKILL))
    stories.written_and_seen(5 * PARTITIONS)
    stories.until(lambda story: story.shared(6), "two sessions to end")
    stories.each(lambda story: story.members[1].signal(SIGCONT))
    stories.until(lambda story: story.shared(3, 3), "the sleeper to have its share again")
    stories.written_and_seen(5 * PARTITIONS)


@pytest.fixture(scope="module")
def stories(shared_cluster: Cluster) -> Iterator[Stories]:
    """Nobody else uses this module's cluster, so its brokers may be killed."""
    present = [library for library in LIBRARIES if not missing(library)]
    with ExitStack() as stack:
        found = [Story(shared_cluster, library) for library in present]
        for story in found:
            stack.callback(story.end)
        all_of_them = Stories(found)
        told(all_of_them, shared_cluster)
        yield all_of_them


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_group_lives_through_its_members_and_brokers_deaths(
    library: str, request: pytest.FixtureRequest
) -> None:
    reason = missing(library)
    if reason:
        pytest.skip(reason)
    stories: Stories = request.getfixturevalue("stories")
    (story,) = [each for each in stories.all if each.library == library]
    assert not story.failure
    once = [(partition, offset) for partition in range(PARTITIONS) for offset in range(30)]
    assert story.facts["left"] == 0
    assert story.facts["once"] == once, "a clean leave repeats nothing and leaves nothing out"
    assert story.facts["before"] == dict.fromkeys(range(PARTITIONS), 45)
    assert story.facts["after"] == story.facts["before"], "over the restart"
    assert story.facts["ended"] == [0, 0]
    assert set(story.group.seen) == {(p, o) for p in range(PARTITIONS) for o in range(51)}
