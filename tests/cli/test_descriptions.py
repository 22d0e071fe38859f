"""`cluster quorum` and `log dirs`: what is made of brokers' answers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cli.connection import Silence, Unavailable
from cli.context import Address
from cli.exits import ExitCode
from cli.logdirs import row, without_copies
from cli.quorum import describe, summarize
from partitions import wire
from partitions.errors import ErrorCode
from tests.cli.conftest import Runner

Q, D = wire.messages(wire.ApiKey.DESCRIBE_QUORUM), wire.messages(wire.ApiKey.DESCRIBE_LOG_DIRS)
AT = Address("host", 9001)


def member(node: int, end: int, heard: int, caught_up: int) -> Any:
    return Q.ReplicaState(
        replica_id=node,
        replica_directory_id=bytes([node]) * 16,
        log_end_offset=end,
        last_fetch_timestamp=heard,
        last_caught_up_timestamp=caught_up,
    )


def partition(**fields: Any) -> Any:
    voters = [member(1, 90, 50_000, 50_000), member(2, 80, 49_000, -1), member(3, -1, -1, -1)]
    values = {
        "error_code": 0,
        "leader_id": 1,
        "leader_epoch": 7,
        "high_watermark": 89,
        "current_voters": voters,
        "observers": [member(4, 90, 49_990, 49_990)],
    }
    return Q.ResponsePartitionData(partition_index=0, **{**values, **fields})


def column(document: dict[str, Any], name: str) -> list[Any]:
    return [each[name] for each in document["members"]]


def test_the_quorum_as_one_document() -> None:
    found = summarize(partition(), {1: "a:1", 2: "b:2"})
    assert (found["leader"], found["epoch"], found["high_watermark"]) == (1, 7, 89)
    assert column(found, "id") == [1, 2, 3, 4]
    assert column(found, "role") == ["leader", "voter", "voter", "observer"]
    assert column(found, "log_end") == [90, 80, None, 90]
    assert column(found, "lag") == [0, 10, None, 0]
    assert column(found, "heard_ms_ago") == [0, 1000, None, 10]
    assert column(found, "caught_up_ms_ago") == [0, None, None, 10]
    assert column(found, "address") == ["a:1", "b:2", None, None]
    json.dumps(found)


def test_a_leader_that_is_not_among_the_voters_gives_no_lag() -> None:
    found = summarize(partition(leader_id=9), {})
    assert column(found, "lag") == [None] * 4
    assert "leader" not in column(found, "role")


class Answering:
    """A connection whose broker says the same always."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def call(self, key: wire.ApiKey, version: int, question: Any) -> Any:
        return self.answer


@pytest.mark.parametrize(
    ("whole", "part", "expected"),
    [
        (ErrorCode.NOT_CONTROLLER, ErrorCode.NOT_CONTROLLER, "no quorum.*NOT_CONTROLLER"),
        (ErrorCode.NONE, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, "UNKNOWN_TOPIC_OR_PARTITION"),
    ],
)
def test_a_broker_that_cannot_describe_the_quorum(
    whole: ErrorCode, part: ErrorCode, expected: str
) -> None:
    topic = Q.ResponseTopicData(topic_name="x", partitions=[partition(error_code=part.value)])
    answer = Q.DescribeQuorumResponse(
        error_code=whole.value, error_message="no quorum", topics=[topic], nodes=[]
    )
    with pytest.raises(Unavailable, match=expected):
        describe(Answering(answer))  # type: ignore[arg-type]


def log_dirs(code: int = 0, dir_code: int = 0) -> Any:
    def part(number: int, size: int, lag: int) -> Any:
        return D.DescribeLogDirsPartition(
            partition_index=number, partition_size=size, offset_lag=lag
        )

    topics = [
        D.DescribeLogDirsTopic(name="a", partitions=[part(0, 10, 0), part(1, 20, -1)]),
        D.DescribeLogDirsTopic(name="b", partitions=[part(0, 40, 0)]),
    ]
    result = D.DescribeLogDirsResult(
        error_code=dir_code, log_dir="/d", topics=topics, total_bytes=1000, usable_bytes=-1
    )
    return D.DescribeLogDirsResponse(error_code=code, results=[] if code else [result])


def test_a_brokers_row() -> None:
    found = row(3, AT, log_dirs(), set())
    assert (found["id"], found["address"], found["directory"]) == (3, "host:9001", "/d")
    assert (found["replicas"], found["bytes"], found["offline"]) == (3, 70, 1)
    assert (found["total_bytes"], found["free_bytes"], found["reason"]) == (1000, None, None)
    assert [each["offline"] for each in found["partitions"]] == [False, True, False]
    narrow = row(3, AT, log_dirs(), {"b"})
    assert (narrow["replicas"], narrow["bytes"], narrow["offline"]) == (1, 40, 0)


def test_a_topic_that_no_broker_has_is_found_out_when_all_have_answered() -> None:
    rows = [row(3, AT, log_dirs(), {"b", "mistyped"})]
    assert without_copies(rows, ["b", "mistyped"]) == ["mistyped"]
    assert without_copies(rows, []) == []
    rows.append(row(4, AT, Silence("connection refused", connected=False), set()))
    assert without_copies(rows, ["mistyped"]) == [], "the silent one may have it"


def test_brokers_that_do_not_answer_or_not_well() -> None:
    silent = row(3, AT, Silence("connection refused", connected=False), set())
    assert silent["reason"] == "unreachable, connection refused"
    denied = row(3, AT, log_dirs(ErrorCode.CLUSTER_AUTHORIZATION_FAILED), set())
    assert denied["reason"] == "CLUSTER_AUTHORIZATION_FAILED"
    broken = row(3, AT, log_dirs(dir_code=ErrorCode.KAFKA_STORAGE_ERROR), set())
    assert (broken["reason"], broken["directory"]) == ("KAFKA_STORAGE_ERROR", "/d")
    assert silent.keys() == denied.keys() == broken.keys()


@pytest.mark.parametrize("command", [("cluster", "quorum"), ("log", "dirs")], ids=" ".join)
def test_settings_of_a_library_that_is_not_used_and_addresses_without_a_broker(
    quorate: Runner, command: tuple[str, ...]
) -> None:
    result = quorate(*command, "-X", "a=b")
    assert result.code == ExitCode.USAGE
    assert " ".join(command) in result.err
    result = quorate(*command, "-b", "127.0.0.1:1")
    assert result.code == ExitCode.UNREACHABLE
    assert "127.0.0.1:1" in result.err
