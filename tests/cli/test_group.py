"""`quorate group`, against an AdminClient with groups of the test's."""

from __future__ import annotations

import json
from typing import Any

import pytest
from confluent_kafka import ConsumerGroupState, KafkaError

from cli import clients
from cli.connection import Silence
from cli.context import Address
from cli.exits import CommandFailed, ExitCode
from cli.groups import Committed
from cli.resets import Duration, Goal, Moment, Move, move
from partitions.errors import ErrorCode
from tests.cli.conftest import Runner
from tests.cli.fake_groups import FakeAdmin, member

EMPTY, STABLE = ConsumerGroupState.EMPTY, ConsumerGroupState.STABLE


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeAdmin:
    fake = FakeAdmin()
    monkeypatch.setattr(clients, "admin", lambda target: fake)
    fake.groups = {"idle": (EMPTY, []), "busy": (STABLE, [member("c1", ("t", 0), ("t", 1))])}
    fake.commits = {"idle": {("t", 0): 40, ("t", 1): 5}, "busy": {("t", 0): 90}}
    return fake


def test_groups_are_listed_by_name_and_state(quorate: Runner, fake: FakeAdmin) -> None:
    listed = json.loads(quorate("group", "list", "-o", "json").out)
    assert [(row["group"], row["state"]) for row in listed] == [
        ("busy", "Stable"),
        ("idle", "Empty"),
    ]
    assert quorate("group", "list", "--state", "empty").out.split() == [
        "GROUP", "STATE", "TYPE", "idle", "Empty", "Classic",
    ]  # fmt: skip


def test_a_broker_whose_groups_are_missing_is_said(quorate: Runner, fake: FakeAdmin) -> None:
    fake.silent_brokers = 1
    result = quorate("group", "list")
    assert result.code == ExitCode.FAILED
    assert "idle" in result.out
    assert "groups are missing: Local: Broker transport failure" in result.err


def test_a_broker_whose_groups_are_missing_is_named(
    quorate: Runner, fake: FakeAdmin, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.silent_brokers = 1
    places = {2: Address("a", 1), 3: Address("b", 2)}
    silence = Silence("connection refused", connected=False)
    answers: dict[Address, Any] = {places[2]: ["idle"], places[3]: silence}
    monkeypatch.setattr("cli.commands.cluster.first_answer", lambda target, work: places)
    monkeypatch.setattr("cli.grouplists.attempt", lambda address, *_: answers[address])
    err = quorate("group", "list").err
    assert err == "quorate: a broker's groups are missing: broker 3 at b:2: connection refused\n"
    answers[places[3]] = []
    assert "groups are missing: Local:" in quorate("group", "list").err, "it is back already"


def test_a_group_with_its_lag_and_owners(quorate: Runner, fake: FakeAdmin) -> None:
    (found,) = json.loads(quorate("group", "describe", "busy", "-o", "json").out)
    assert (found["state"], found["coordinator"], found["lag"]) == ("Stable", 2, 10)
    assert [(r["partition"], r["offset"], r["end"], r["lag"]) for r in found["offsets"]] == [
        (0, 90, 100, 10),
        (1, None, 50, None),
    ]
    assert {row["member"] for row in found["offsets"]} == {"c1-id"}
    assert found["members"][0]["assignment"] == {"t": [0, 1]}
    assert "t:0,1" in quorate("group", "describe", "busy", "--members").out


def test_partitions_that_are_gone_have_no_lag_and_silent_leaders_are_a_failure(
    quorate: Runner, fake: FakeAdmin
) -> None:
    fake.commits["idle"]["old", 0] = 3
    result = quorate("group", "describe", "idle", "-o", "json")
    (found,) = json.loads(result.out)
    assert (result.code, found["lag"], found["failures"]) == (0, 60 + 45, [])
    fake.refused["t", 0] = KafkaError.NOT_LEADER_FOR_PARTITION
    result = quorate("group", "describe", "idle")
    assert result.code == ExitCode.FAILED
    assert "offsets of t 0" in result.err


def test_a_group_that_does_not_exist(quorate: Runner, fake: FakeAdmin) -> None:
    result = quorate("group", "describe", "nobody")
    assert result.code == ExitCode.FAILED
    assert "no such group: nobody" in result.err
    result = quorate("group", "describe", "nobody", "idle", "-o", "json")
    assert result.code == ExitCode.FAILED
    assert [each["group"] for each in json.loads(result.out)] == ["idle"]


@pytest.mark.parametrize(
    ("goal", "expected"),
    [
        (["--to-earliest"], {0: 10, 1: 0}),
        (["--to-latest"], {0: 100, 1: 50}),
        (["--to-current"], {0: 40, 1: 5}),
        (["--to-offset", "70"], {0: 70, 1: 50}),
        (["--shift-by", "-20"], {0: 20, 1: 0}),
        (["--to-datetime", "2026-11-28T00:00:00+01:00"], {0: 33, 1: 50}),
    ],
)
def test_offsets_are_moved(
    quorate: Runner, fake: FakeAdmin, goal: list[str], expected: dict[int, int]
) -> None:
    fake.at_time = {("t", 0): 33, ("t", 1): -1}
    command = ("group", "reset-offsets", "idle", "--all-topics", *goal)
    shown = quorate(*command, "-o", "json")
    assert {row["partition"]: row["new"] for row in json.loads(shown.out)} == expected
    assert not fake.altered
    assert "nothing was changed" in shown.err
    assert quorate(*command, "--execute").code == 0
    assert {number: offset for (_, number), offset in fake.altered.items()} == expected
    assert fake.asked_ms in (set(), {1795820400000})


def test_only_named_partitions_are_moved(quorate: Runner, fake: FakeAdmin) -> None:
    reset = ("group", "reset-offsets", "idle", "--to-latest", "--execute")
    assert quorate(*reset, "--topic", "t:1").code == 0
    assert fake.altered == {("t", 1): 50}
    assert quorate(*reset, "--topic", "t:7").code == ExitCode.USAGE
    assert quorate(*reset, "--topic", "t:x").code == ExitCode.USAGE
    assert "no such topic: u" in quorate(*reset, "--topic", "u").err
    assert fake.altered == {("t", 1): 50}


def test_a_group_that_a_reset_makes_is_said_to_be_new(quorate: Runner, fake: FakeAdmin) -> None:
    reset = ("group", "reset-offsets", "nobody", "--topic", "t", "--to-latest", "-o", "json")
    shown = quorate(*reset)
    assert "group 'nobody' does not exist: it would be new" in shown.err
    assert all(row["new_group"] for row in json.loads(shown.out))
    assert "group 'nobody' did not exist: it is new now" in quorate(*reset, "--execute").err
    known = quorate("group", "reset-offsets", "idle", "--topic", "t", "--to-latest", "-o", "json")
    assert "new" not in known.err
    assert not any(row["new_group"] for row in json.loads(known.out))


def test_a_group_with_members_is_left_alone(quorate: Runner, fake: FakeAdmin) -> None:
    result = quorate("group", "reset-offsets", "busy", "--topic", "t", "--to-latest", "--execute")
    assert result.code == ExitCode.FAILED
    assert "Stable, with 1 member" in result.err
    assert not fake.altered


@pytest.mark.parametrize(
    "arguments",
    [
        ["--topic", "t"],
        ["--to-latest"],
        ["--topic", "t", "--to-latest", "--to-earliest"],
        ["--topic", "t", "--all-topics", "--to-latest"],
        ["--topic", "t", "--by-duration", "1h"],
        ["--topic", "t", "--to-datetime", "yesterday"],
    ],
)
def test_what_makes_no_sense_is_refused(
    quorate: Runner, fake: FakeAdmin, arguments: list[str]
) -> None:
    assert quorate("group", "reset-offsets", "idle", *arguments).code == ExitCode.USAGE


def test_refused_commits_and_leaders_that_are_away(quorate: Runner, fake: FakeAdmin) -> None:
    reset = ("group", "reset-offsets", "idle", "--all-topics", "--to-latest", "--execute")
    fake.refused_commits["t", 0] = KafkaError.UNKNOWN_TOPIC_OR_PART
    result = quorate(*reset)
    assert result.code == ExitCode.FAILED
    assert "1 of 2 failed" in result.err
    assert "[UNKNOWN_TOPIC_OR_PARTITION]" in result.out
    fake.altered.clear()
    fake.refused["t", 1] = KafkaError.NOT_LEADER_FOR_PARTITION
    assert quorate(*reset).code == ExitCode.FAILED
    assert not fake.altered


def test_an_end_that_librdkafka_does_not_know_is_no_offset(
    quorate: Runner, fake: FakeAdmin
) -> None:
    """Where a leader does not answer it gives -1001, and no error."""
    fake.logs["t", 0] = (-1001, -1001)
    described = quorate("group", "describe", "idle", "-o", "json")
    assert described.code == ExitCode.FAILED
    assert "t 0: its leader does not answer" in described.err
    (found,) = json.loads(described.out)
    assert [row["end"] for row in found["offsets"]] == [None, 50]
    assert found["lag"] is None, "a part of it is not known"
    reset = quorate("group", "reset-offsets", "idle", "--all-topics", "--to-latest", "--execute")
    assert reset.code == ExitCode.TIMED_OUT
    assert not fake.altered


def test_offsets_of_a_topic_are_shown_where_leaders_answer(
    quorate: Runner, fake: FakeAdmin, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{"topic": "t", "partition": n, "leader": 1} for n in (0, 1)]
    monkeypatch.setattr("cli.commands.topic.partition_rows", lambda *_: rows)
    fake.refused["t", 0] = KafkaError.NOT_LEADER_FOR_PARTITION
    result = quorate("topic", "describe", "t", "--offsets", "-o", "json")
    assert result.code == ExitCode.FAILED
    assert "[NOT_LEADER_OR_FOLLOWER]" in result.err
    assert [(row["first_offset"], row["next_offset"]) for row in json.loads(result.out)] == [
        (None, None),
        (0, 50),
    ]


def test_a_shift_needs_something_to_shift() -> None:
    with pytest.raises(CommandFailed, match="nothing is committed"):
        move(Goal("shift", 1), ("t", 0), None, (0, 9), -1)
    assert move(Goal("current"), ("t", 0), None, (0, 9), -1).new == 9
    assert move(Goal("offset", 3), ("t", 0), 5, (4, 9), -1) == Move(
        5, 4, "3 is below the first offset"
    )
    assert Committed(5, None).offset == 5


def test_times_and_durations() -> None:
    moment: Any = Moment().convert
    assert moment("1970-01-02T00:00:00", None, None) == 86_400_000
    assert moment("1970-01-01T01:00:00.250+01:00", None, None) == 250
    duration: Any = Duration().convert
    assert duration("P1DT2H3M4.5S", None, None) == 93_784_500
    assert duration("PT30M", None, None) == 1_800_000


def test_groups_are_deleted_one_by_one(quorate: Runner, fake: FakeAdmin) -> None:
    result = quorate("group", "delete", "idle", "busy", "nobody", "-o", "json")
    assert result.code == ExitCode.FAILED
    assert [row["outcome"] for row in json.loads(result.out)] == ["deleted", "failed", "failed"]
    assert fake.deleted == ["idle"]
    assert quorate("group", "delete", "nobody", "--if-exists").code == 0


def test_a_group_that_cannot_be_deleted_says_what_to_do(quorate: Runner, fake: FakeAdmin) -> None:
    result = quorate("group", "delete", "busy")
    assert "stop its consumers first" in result.err
    assert "session.timeout.ms" in result.err, "one may have stopped them, and they count still"
    assert "stop its consumers first" not in result.out, "once is enough"
    assert "stop its consumers first" in quorate("group", "delete", "busy", "nobody").out
    assert "`quorate group list`" in quorate("group", "delete", "nobody").err


def test_offsets_of_a_whole_topic_are_deleted_where_there_are_some(
    quorate: Runner, fake: FakeAdmin, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    codes = {("t", 0): ErrorCode.NONE, ("t", 1): ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC}

    def delete(address: Any, group: str, places: Any, limit_s: float) -> Any:
        asked.append((group, list(places)))
        return {place: codes[place] for place in places}

    monkeypatch.setattr("cli.commands.cluster.first_answer", lambda target, work: None)
    monkeypatch.setattr("cli.offsetdeletion.delete", delete)
    command = ("group", "delete-offsets", "idle")
    assert quorate(*command, "--topic", "t:0").code == 0
    result = quorate(*command, "--topic", "t")
    assert result.code == ExitCode.FAILED
    assert "stop the consumers" in result.err
    assert asked == [("idle", [("t", 0)]), ("idle", [("t", 0), ("t", 1)])]
    assert "committed nothing for u" in quorate(*command, "--topic", "u").err
