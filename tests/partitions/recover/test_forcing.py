"""Forcing a group: what is on the disk afterwards, what is refused, and every crash in between."""

from __future__ import annotations

import json
from random import Random

import pytest

from partitions import recover
from partitions.recover import Report
from partitions.testing.broker import SimBroker
from partitions.testing.world import World
from raftlog.core.membership import encode_configuration
from raftlog.disk.forcing import TERM_JUMP, forced_term
from raftlog.disk.overlay import OverlayFileSystem
from raftlog.disk.properties import Properties, read_properties
from raftlog.disk.wal import Wal
from raftlog.errors import Misconfigured
from raftlog.testing.disk import PowerCut, VirtualDisk
from raftlog.types import MAX_TERM, Configuration, Entry, EntryKind, HardState, LogPosition
from tests.partitions.recover.kit import (
    AHEAD,
    BEHIND,
    DIGITS,
    PART_BYTES,
    TOPIC,
    content,
    disks,
    force,
    look,
    named,
    plan_of,
)

LAST_CALLS = 30
"""Of the disk, with the properties and the round among them."""
NAMES = ["metadata", f"{TOPIC}:0", f"{TOPIC}:1"]


def test_a_look_finds_every_copy_and_changes_nothing() -> None:
    disk = disks()[BEHIND]
    before, calls = content(disk), disk.calls
    here = look(disk)
    assert [copy.name for copy in here.copies] == NAMES
    for copy in here.copies:
        assert copy.votes(here.properties.replica)
        assert [voter.node for voter in sorted(copy.configuration.voters)] == [1, 2, 3]
        assert not copy.offline
        assert copy.hard_state.term >= copy.last.term > 0
    assert [copy.last.offset for copy in here.copies[1:]] == [5, 5]
    assert [copy.last.offset for copy in look(disks()[AHEAD]).copies[1:]] == [10, 10]
    plan_of(disk)
    assert content(disk) == before
    assert disk.calls == calls


def test_the_entry_and_the_hard_state_are_recovered() -> None:
    disk = disks()[BEHIND]
    here, plan = look(disk), plan_of(disk)
    force(disk, plan)
    disk.crash()
    me = here.properties.replica
    _, recovered = Wal.open(disk, "wal", part_bytes=PART_BYTES, random=Random(2))
    entries: dict[int, Entry] = {}
    positions = {
        group: LogPosition(max(known.trusted, 0), 0, 0) for group, known in recovered.groups.items()
    }
    recovered.replay(positions, lambda group, found: entries.update({group: found[-1]}))
    for copy, term in zip(here.copies, plan.terms, strict=True):
        assert term == copy.hard_state.term + TERM_JUMP
        assert recovered.groups[copy.group].hard_state == HardState(term, me)
        payload = encode_configuration(Configuration((me,)))
        expected = (copy.last.index + 1, term, EntryKind.CONFIG, copy.last.offset, 0, payload)
        assert entries[copy.group] == expected
    for copy in look(disk).copies:
        assert copy.alone(me)


def test_the_properties_and_the_log_of_what_was_done() -> None:
    disk = disks()[BEHIND]
    before = read_properties(disk)
    force(disk, plan_of(disk))
    after = read_properties(disk)
    assert after[:3] == before[:3]
    assert after.recovery == "1.0001020304050607"
    assert [voter.node_id for voter in after.voters] == [BEHIND]
    assert [replica.node for replica in after.abandoned] == [1, 2]
    file = disk.open(recover.LOG_NAME)
    lines = [json.loads(line) for line in file.pread(file.size(), 0).splitlines()]
    assert [line["step"] for line in lines] == [
        "forced recovery begins",
        "forced recovery is durable",
    ]
    for line in lines:
        assert line["time"] == "1970-01-01T00:00:00.000+00:00"
        assert [group["name"] for group in line["groups"]] == NAMES
        assert line["recovery"] == after.recovery


def test_only_what_is_named() -> None:
    disk = disks()[BEHIND]
    before = look(disk)
    force(disk, plan_of(disk, f"{TOPIC}:1"))
    after = look(disk)
    me = before.properties.replica
    assert [copy.alone(me) for copy in after.copies] == [False, False, True]
    assert after.copies[:2] == before.copies[:2]
    assert (after.properties.recovery, after.properties.voters) == ("", before.properties.voters)
    assert [replica.node for replica in after.properties.abandoned] == [1, 2]
    force(disk, plan_of(disk, "metadata"))
    assert [copy.alone(me) for copy in look(disk).copies] == [True, False, True]


def test_what_cannot_be_forced_is_said() -> None:
    disk = disks()[BEHIND]
    here = look(disk)
    copy = here.copies[1]
    others = copy.others(here.properties.replica)

    def refused(match: str, **changes: object) -> None:
        with pytest.raises(Misconfigured, match=match):
            changed = copy._replace(**changes)  # type: ignore[arg-type]
            recover.plan(here.properties, [changed], (), accept_worse=False, digits=DIGITS)

    refused("out of service.*bad sector", offline="bad sector")
    refused("no voter", configuration=Configuration(others))
    refused("only voter already", configuration=Configuration((here.properties.replica,)))
    refused("no room", hard_state=HardState(MAX_TERM - TERM_JUMP, None))
    learner = copy._replace(configuration=Configuration(others, (), (here.properties.replica,)))
    plan = recover.plan(here.properties, [learner], (), accept_worse=True, digits=DIGITS)
    assert plan.properties.abandoned == tuple(sorted(others))
    kept = recover.plan(here.properties, [copy], others[:1], accept_worse=False, digits=DIGITS)
    assert kept.properties.abandoned == others[1:], "a survivor is not left for lost"


def test_terms_leave_room() -> None:
    assert forced_term(3, 2) == 3 + TERM_JUMP
    assert forced_term(2, 3) == 3 + TERM_JUMP
    assert forced_term(MAX_TERM - 2 * TERM_JUMP, 0) == MAX_TERM - TERM_JUMP
    with pytest.raises(Misconfigured, match="no room"):
        forced_term(MAX_TERM - 2 * TERM_JUMP + 1, 0)


def test_a_directory_that_changed_since_the_look_is_refused() -> None:
    disk = disks()[BEHIND]
    plan = plan_of(disk)
    force(disk, plan)
    before = read_properties(disk)
    with pytest.raises(Misconfigured, match="has changed"):
        force(disk, plan)
    assert read_properties(disk) == before


def test_an_unfinished_step_is_repeated_whatever_call_the_power_fails_in() -> None:
    """Nothing is forced before this directory refuses the replicas that are left for lost."""
    whole = disks()[BEHIND]
    before = whole.calls
    force(whole, plan_of(whole))
    calls = whole.calls - before
    last = range(calls - LAST_CALLS, calls + 1)
    seen = set()
    for cut in (*range(1, last[0], 5), *last):
        for seed in range(8 if cut in last else 1):
            disk = disks()[BEHIND]
            disk.random = Random(f"{cut}/{seed}")
            disk.cut_at_call = disk.calls + cut
            with pytest.raises(PowerCut):
                force(disk, plan_of(disk))
            disk.crash()
            seen.add(_repeated(disk))
    assert seen == {(False, False), (True, False), (True, True)}


def _repeated(disk: VirtualDisk) -> tuple[bool, bool]:
    """(are the properties there, was it forced) after a crash; then it is done to the end."""
    here = look(disk)
    me = here.properties.replica
    assert [copy.name for copy in here.copies] == NAMES
    forced = [copy.alone(me) for copy in here.copies]
    assert len(set(forced)) == 1, "all in one round"
    if not forced[0]:
        _waits(disk, here.properties)
        force(disk, plan_of(disk))
    after = look(disk)
    assert after.properties.recovery
    assert len(after.properties.abandoned) == 2
    assert all(copy.alone(me) for copy in after.copies)
    for copy in after.copies:
        assert copy.last.term == 1 + TERM_JUMP, "once"
    return bool(here.properties.recovery), forced[0]


def _waits(disk: VirtualDisk, properties: Properties) -> None:
    """A broker that is started before the step is repeated is elected nowhere."""
    world = World(7)
    broker = SimBroker(world, properties.node_id)
    broker.find_disk(disk)
    broker.start()
    world.reactor.run_until(lambda: False, limit_us=world.reactor.now_us() + 3_000_000)
    groups = broker.broker.engine.groups.values()
    assert [group.id for group in groups if group.node.leader] == []
    broker.crash()


def test_a_report_survives_its_journey() -> None:
    disk = disks()[BEHIND]
    here, plan = look(disk), plan_of(disk)
    for report in (
        Report(*here),
        Report(plan.properties, here.copies, tuple([copy.group for copy in plan.copies])),
    ):
        text = json.dumps(recover.encode_report(report, plan))
        found = recover.decode_report(text, "file")
        assert (found.properties, found.forced) == (report.properties, report.forced)
        for before, after in zip(report.copies, found.copies, strict=True):
            assert after.rank == before.rank
            assert after.name == before.name
            assert set(after.configuration.voters) == set(before.configuration.voters)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"report": 2}', '{"report": 1, "groups": [], "properties": 1}']
)
def test_what_is_no_report_is_said(text: str) -> None:
    with pytest.raises(Misconfigured, match="file"):
        recover.decode_report(text, "file")


def test_an_overlay_can_be_forced_without_a_trace() -> None:
    disk = disks()[BEHIND]
    before = content(disk)
    overlay = OverlayFileSystem(disk)
    force(overlay, plan_of(disk))
    assert all(copy.alone(read_properties(disk).replica) for copy in named(look(overlay)))
    assert content(disk) == before
