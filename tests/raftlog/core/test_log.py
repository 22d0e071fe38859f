"""The log's view against a plain list, and the small vocabularies of the core."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from raftlog.core.log import Log
from raftlog.core.membership import (
    Membership,
    decode_configuration,
    encode_configuration,
    members_of,
)
from raftlog.errors import Compacted
from raftlog.testing.memory import MemoryLog
from raftlog.types import (
    Configuration,
    Entry,
    EntryKind,
    LogPosition,
    ReplicaId,
    SnapshotMeta,
)

from .values import entry, rid

CONFIGURATION = Configuration((rid("A"),))


class LogMachine(RuleBasedStateMachine):
    """Drives a Log and its host's MemoryLog; `model` is the whole log as a list."""

    def __init__(self) -> None:
        super().__init__()
        self.disk = MemoryLog(CONFIGURATION)
        self.log = Log(self.disk)
        self.model: list[Entry] = []
        self.term = 1

    @rule(span=st.integers(0, 3), size=st.integers(0, 5), newer=st.booleans())
    def append(self, span: int, size: int, newer: bool) -> None:
        self.term += newer
        base = self.model[-1].end if self.model else 0
        item = Entry(len(self.model) + 1, self.term, EntryKind.DATA, base, span, bytes(size))
        self.log.append(item)
        self.model.append(item)

    @precondition(lambda self: len(self.model) > self.log.commit)
    @rule(data=st.data())
    def truncate(self, data: st.DataObject) -> None:
        first = data.draw(st.integers(self.log.commit + 1, len(self.model)))
        self.log.truncate(first)
        del self.model[first - 1 :]

    @rule()
    def hand_out(self) -> None:
        if self.log.truncate_from:
            self.disk.truncate(self.log.truncate_from)
            self.log.truncate_from = 0
        self.disk.append(self.log.take())

    @rule(data=st.data())
    def store(self, data: st.DataObject) -> None:
        self.log.stable_to(data.draw(st.integers(0, self.log.handed)))

    @precondition(lambda self: len(self.model) > self.log.commit)
    @rule(data=st.data())
    def commit(self, data: st.DataObject) -> None:
        self.log.commit_to(data.draw(st.integers(self.log.commit + 1, len(self.model))))

    @precondition(lambda self: min(self.log.commit, self.log.stable) > self.log.start.index)
    @precondition(lambda self: not self.log.truncate_from)
    @rule(data=st.data())
    def compact(self, data: st.DataObject) -> None:
        highest = min(self.log.commit, self.log.stable)
        index = data.draw(st.integers(self.log.start.index + 1, highest))
        item = self.model[index - 1]
        position = LogPosition(index, item.term, item.end)
        self.disk.compact(SnapshotMeta(position, CONFIGURATION))
        self.log.compact(position)

    @invariant()
    def agrees(self) -> None:
        log, model = self.log, self.model
        assert log.last_index == len(model)
        assert log.next_offset == (model[-1].end if model else 0)
        assert log.last_term == (model[-1].term if model else 0)
        assert log.commit_offset == (model[log.commit - 1].end if log.commit else 0)
        assert log.uncommitted_bytes == sum(len(item.payload) for item in model[log.commit :])
        for index in range(max(1, log.start.index), log.last_index + 1):
            assert log.term(index) == model[index - 1].term
        for low in range(log.start.index + 1, log.last_index + 1):
            items = log.entries(low, 7)
            assert list(items) == model[low - 1 : low - 1 + len(items)]
            assert len(items) == 1 or sum(len(item.payload) for item in items) <= 7

    @invariant()
    def conflict_search_is_the_linear_one(self) -> None:
        log, model = self.log, self.model
        for term in range(self.term + 2):
            fitting = [item.index for item in model if item.term <= term]
            found = max([log.start.index, *fitting])
            assert log.conflict_search(log.last_index + 3, term)[0] == found


TestLog = LogMachine.TestCase
TestLog.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)


def test_reading_outside_the_log() -> None:
    disk = MemoryLog(SnapshotMeta(LogPosition(5, 2, 9), CONFIGURATION), [entry(6, 2, b"x", 9)])
    log = Log(disk)
    assert (log.commit, log.commit_offset, log.term(5), log.last_index) == (5, 9, 2, 6)
    with pytest.raises(Compacted):
        log.term(4)
    with pytest.raises(IndexError):
        log.term(7)
    with pytest.raises(AssertionError, match="committed"):
        log.truncate(5)
    with pytest.raises(AssertionError, match="commit 7"):
        log.commit_to(7)


replica_ids = st.builds(ReplicaId, st.integers(0, 2**32 - 1), st.binary(max_size=16))
members = st.lists(replica_ids, max_size=4).map(tuple)


@given(members, members, members)
def test_configuration_round_trip(
    a: tuple[ReplicaId, ...], b: tuple[ReplicaId, ...], c: tuple[ReplicaId, ...]
) -> None:
    configuration = Configuration(a, b, c)
    assert decode_configuration(encode_configuration(configuration)) == configuration


@given(st.binary(max_size=60))
def test_configuration_bytes_are_read_or_refused(payload: bytes) -> None:
    try:
        configuration = decode_configuration(payload)
    except ValueError:
        return
    assert encode_configuration(configuration) == payload


def test_membership_follows_the_log() -> None:
    first, second, third = (Configuration((rid(name),)) for name in "ABC")
    membership = Membership(first, [(4, second)])
    assert membership.active == second
    membership.append(7, third)
    membership.truncate(7)
    assert membership.active == second
    membership.append(9, third)
    membership.compact(4, second)
    membership.truncate(8)
    assert membership.active == second
    membership.truncate(1)
    assert membership.active == second, "what a snapshot holds is not cut"


def test_members_are_listed_once() -> None:
    a, b, c, d = (rid(name) for name in "ABCD")
    assert members_of(Configuration((a, b), (b, c), (d, a))) == (a, b, c, d)
