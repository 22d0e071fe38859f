"""What callers must not do, and settings that make no sense."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from partitions.coordinators.groups import ClassicGroup, GroupSettings, JoinAsk, to_client
from partitions.errors import ErrorCode

ASK = JoinAsk("", "a", None, "c", "/h", 10_000, 10_000, "consumer", (("range", b""),), None, False)


@pytest.mark.parametrize(
    "setting, named",
    [
        ({"min_session_timeout_ms": 0}, "group.min.session.timeout.ms"),
        ({"max_session_timeout_ms": 5_999}, "group.max.session.timeout.ms"),
        ({"initial_rebalance_delay_ms": -1}, "group.initial.rebalance.delay.ms"),
        ({"max_size": 0}, "group.max.size"),
        ({"new_member_join_timeout_ms": 0}, "new_member_join_timeout_ms"),
        ({"pending_members_max": 0}, "pending_members_max"),
    ],
)
def test_a_setting_out_of_bounds_is_named(setting: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        GroupSettings(**setting)


def test_a_ticket_is_of_one_request() -> None:
    group = ClassicGroup("g", GroupSettings())
    group.join(0, "t", ASK)
    with pytest.raises(ValueError, match="in use"):
        group.join(0, "t", replace(ASK, new_member_id="b"))


def test_a_new_member_id_is_of_one_member() -> None:
    group = ClassicGroup("g", GroupSettings())
    group.join(0, "t", ASK)
    with pytest.raises(ValueError, match="taken"):
        group.join(0, "u", ASK)


def test_an_unknown_ticket_or_token_is_ignored() -> None:
    group = ClassicGroup("g", GroupSettings())
    group.forget(0, "t")
    group.persisted(0, 7, ErrorCode.NONE)
    assert group.effects() == []
    assert group.idle
    assert group.deadline is None


def test_a_group_is_gone_when_its_tombstone_is_committed() -> None:
    group = ClassicGroup("g", GroupSettings())
    group.delete()
    assert not group.gone
    group.persisted(0, 1, ErrorCode.NOT_ENOUGH_REPLICAS)
    assert group.idle
    group.delete()
    group.persisted(0, 2, ErrorCode.NONE)
    assert group.gone


def test_what_a_refused_append_is_to_members() -> None:
    assert to_client(ErrorCode.NOT_ENOUGH_REPLICAS) is ErrorCode.COORDINATOR_NOT_AVAILABLE
    assert to_client(ErrorCode.NOT_LEADER_OR_FOLLOWER) is ErrorCode.NOT_COORDINATOR
    assert to_client(ErrorCode.MESSAGE_TOO_LARGE) is ErrorCode.UNKNOWN_SERVER_ERROR
    assert to_client(ErrorCode.NOT_COORDINATOR) is ErrorCode.NOT_COORDINATOR
