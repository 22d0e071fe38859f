"""More than one survivor: whose copy is best, and how the others are brought along."""

from __future__ import annotations

from random import Random

import pytest

from partitions import recover
from partitions.recover import Forced, Report
from partitions.testing.broker import SimBroker
from raftlog.disk.properties import read_properties
from raftlog.errors import Misconfigured
from raftlog.testing.disk import VirtualDisk
from raftlog.types import METADATA_GROUP, Configuration
from tests.partitions.recover.kit import (
    AHEAD,
    BEHIND,
    DIGITS,
    OTHER,
    PART_BYTES,
    TOPIC,
    disks,
    force,
    look,
    report_of,
)

WORDS = (1, 2)
"""The groups of the topic's partitions."""


def test_the_copy_with_the_highest_term_and_index_is_best() -> None:
    found = disks(5)
    mine, ahead = report_of(found[BEHIND]), report_of(found[AHEAD])
    for each in recover.compare(mine, [("ahead", ahead)], WORDS):
        assert each.best == (AHEAD,)
        assert each.worse
        assert not each.majority
        assert each.needed == 3
    for each in recover.compare(ahead, [("behind", mine)], WORDS):
        assert each.best == (AHEAD,)
        assert not each.worse
    three = [("ahead", ahead), ("other", report_of(found[OTHER]))]
    assert all(each.majority for each in recover.compare(mine, three, WORDS))


def test_a_group_whose_voters_are_being_exchanged_needs_a_majority_of_both() -> None:
    """The brokers 4 to 6 take over from 1 to 3; neither three nor two of both halves are one."""
    found = disks(6, (1, 2, 3, 4, 5, 6))
    reports = {node: report_of(disk) for node, disk in found.items()}
    ids = [reports[node].properties.replica for node in range(1, 7)]
    joint = Configuration(voters=tuple(ids[3:]), outgoing=tuple(ids[:3]))

    def majority(*nodes: int) -> bool:
        mine, *others = (
            each._replace(copies=tuple(c._replace(configuration=joint) for c in each.copies))
            for each in (reports[node] for node in nodes)
        )
        compared = recover.compare(mine, [("other", other) for other in others], WORDS)
        for each in compared:
            assert [replica.node for replica in each.present] == list(nodes)
        (holds,) = {each.majority for each in compared}
        return holds

    assert not majority(4, 5, 6)
    assert not majority(4, 5, 1)
    assert not majority(1, 2, 3, 4)
    assert majority(4, 5, 1, 2)


def test_reports_that_say_nothing_about_this_group_are_refused() -> None:
    found = disks()
    mine, ahead = report_of(found[BEHIND]), report_of(found[AHEAD])
    properties = ahead.properties
    for other, match in (
        (mine, "own report: leave it out"),
        (ahead._replace(properties=properties._replace(cluster_id="x")), "of cluster 'x'"),
        (ahead._replace(properties=properties._replace(recovery="1." + "0" * 16)), "another side"),
        (ahead._replace(forced=(1,)), "forced already"),
    ):
        with pytest.raises(Misconfigured, match=match):
            recover.compare(mine, [("file", other)], WORDS)


def test_a_damaged_copy_is_not_compared() -> None:
    found = disks(5)
    mine, ahead = report_of(found[BEHIND]), report_of(found[AHEAD])
    damaged = tuple([copy._replace(offline="bad") for copy in ahead.copies])
    compared = recover.compare(mine, [("ahead", ahead._replace(copies=damaged))], WORDS)
    assert {(each.best, len(each.present)) for each in compared} == {((BEHIND,), 1)}


def forced_on(disk: VirtualDisk, *survivors: VirtualDisk) -> tuple[Forced, Report]:
    """Everything, with the others' reports at hand."""
    here = look(disk)
    kept = [read_properties(each).replica for each in survivors]
    plan = recover.plan(here.properties, here.copies, kept, accept_worse=False, digits=DIGITS)
    force(disk, plan)
    disk.crash()
    groups = tuple([copy.group for copy in plan.copies])
    return plan, Report(plan.properties, here.copies, groups)


def follow(disk: VirtualDisk, report: Report) -> None:
    plan = recover.plan_follow(look(disk), report)
    recover.follow(disk, plan, report, 0, part_bytes=PART_BYTES, random=Random(3))


def test_a_survivor_goes_along() -> None:
    """Of five voters two are left: one was forced, the other becomes an observer of it."""
    found = disks(5)
    plan, report = forced_on(found[AHEAD], found[BEHIND])
    assert [replica.node for replica in plan.properties.abandoned] == [1, 4, 5]
    for _ in range(2):  # once more changes nothing
        follow(found[BEHIND], report)
        found[BEHIND].crash()
        after = look(found[BEHIND])
        assert after.properties.recovery == plan.properties.recovery
        assert after.properties.abandoned == plan.properties.abandoned
        assert [voter.node_id for voter in after.properties.voters] == [AHEAD]
        assert [copy.group for copy in after.copies] == [*WORDS]
        for copy in after.copies:
            assert f"node {AHEAD} went on without it" in copy.offline
        assert not found[BEHIND].exists("metadata")


def test_survivors_serve_together_afterwards() -> None:
    from partitions.testing import SimCluster

    found = disks(5)
    _, report = forced_on(found[AHEAD], found[BEHIND])
    follow(found[BEHIND], report)
    cluster = SimCluster(8, 5)
    leading, along = cluster.brokers[AHEAD], cluster.brokers[BEHIND]
    for broker in (leading, along):
        broker.find_disk(found[broker.node])
        broker.start()

    async def story() -> None:
        client = cluster.client()
        while _live(leading) != {AHEAD, BEHIND}:
            await cluster.sleep(10_000)
        await client.create_topic("more", 1, 2)
        while set(cluster.replicas("more", 0)) != {AHEAD, BEHIND}:
            await cluster.sleep(10_000)

    cluster.run(story())
    assert leading.mesh.connected() == [BEHIND]
    assert METADATA_GROUP not in along.broker.engine.groups
    assert set(along.broker.manager.offline) == {*WORDS}
    topic = along.broker.metadata.image.topic(TOPIC)
    assert topic is not None
    for partition in topic.partitions:
        shown = {
            replica.node
            for replica in partition.replicas
            if not leading.broker.services.is_offline(partition.group, replica)
        }
        assert BEHIND not in shown


def _live(broker: SimBroker) -> set[int]:
    return {each.node for each in broker.broker.metadata.image.unfenced()}


def test_an_observer_goes_along_and_keeps_what_was_not_forced() -> None:
    found = disks(5, voters=(1, 2, 4))
    here = look(found[AHEAD])
    metadata = [copy for copy in here.copies if copy.topic is None]
    kept = [read_properties(found[BEHIND]).replica]
    plan = recover.plan(here.properties, metadata, kept, accept_worse=False, digits=DIGITS)
    force(found[AHEAD], plan)
    report = Report(plan.properties, here.copies, (METADATA_GROUP,))
    before = look(found[BEHIND])
    follow(found[BEHIND], report)
    after = look(found[BEHIND])
    assert after.copies == before.copies
    assert after.properties.voters == plan.properties.voters


def test_the_best_copies_are_on_two_brokers() -> None:
    """A partition is forced on one, the rest on the other, and each follows the other."""
    found = disks(5)
    first, second = found[AHEAD], found[BEHIND]
    before, other = look(first), look(second)
    words = [copy for copy in before.copies if copy.group == WORDS[0]]
    plan = recover.plan(
        before.properties, words, [other.properties.replica], accept_worse=False, digits=DIGITS
    )
    force(first, plan)
    follow(second, Report(plan.properties, before.copies, WORDS[:1]))
    rest = [copy for copy in look(second).copies if copy.group != WORDS[0]]
    compared = recover.compare(Report(*look(second)), [("step 2", Report(*before))], [0, WORDS[1]])
    assert [each.majority for each in compared] == [False, False]
    plan = recover.plan(
        look(second).properties, rest, [before.properties.replica], accept_worse=True, digits=DIGITS
    )
    force(second, plan)
    follow(first, Report(plan.properties, look(second).copies, (0, WORDS[1])))
    mine, theirs = look(first), look(second)
    assert mine.properties.recovery == theirs.properties.recovery != ""
    assert mine.properties.voters == theirs.properties.voters
    alone = [
        {copy.group for copy in here.copies if copy.alone(here.properties.replica)}
        for here in (mine, theirs)
    ]
    assert alone == [{WORDS[0]}, {0, WORDS[1]}]


def test_whom_nobody_should_follow() -> None:
    found = disks(5)
    _, report = forced_on(found[AHEAD])
    for disk, given, match in (
        (found[BEHIND], report, "left this directory for lost"),
        (found[AHEAD], report, "own"),
        (found[BEHIND], report._replace(forced=()), "nothing was forced"),
        (
            found[BEHIND],
            report._replace(properties=report.properties._replace(cluster_id="x")),
            "of cluster 'x'",
        ),
    ):
        before = read_properties(disk)
        with pytest.raises(Misconfigured, match=match):
            follow(disk, given)
        assert read_properties(disk) == before
