"""Client commands against mock brokers: arguments in, records and exit codes out."""

from __future__ import annotations

import base64
import json
import socket
from collections.abc import Mapping
from typing import Any

import pytest
from confluent_kafka import KafkaError

from cli.clients import told
from cli.commands import topic
from cli.commands.produce import Tally, send_all
from cli.context import Target
from cli.exits import CommandFailed, ExitCode
from cli.places import Place, Positions
from cli.reading import Outgoing
from partitions.errors import ErrorCode
from tests.cli.conftest import Runner
from tests.cli.mock_cluster import BROKERS, PARTITIONS, MockCluster

LOOKS = (("topic", "list"), ("cluster", "status"))


LIBRDKAFKAS_OWN = {-1, 0, 2, 3, 4, 6, 10, 11, 17}
"""Codes whose names there are not Kafka's."""


def lines(text: str) -> list[str]:
    return text.splitlines()


def test_status_describes_brokers_and_partitions(quorate: Runner, mock: MockCluster) -> None:
    mock.fill("status", 0, [b"x"])
    result = quorate("cluster", "status", "-b", mock.bootstrap, "-o", "json")
    assert result.code == ExitCode.OK
    status = json.loads(result.out)
    assert sorted(broker["address"] for broker in status["brokers"]) == sorted(
        mock.bootstrap.split(",")
    )
    assert status["healthy"] is True
    assert sum(broker["leads"] for broker in status["brokers"]) == status["partitions"]
    assert sum(broker["replicas"] for broker in status["brokers"]) == BROKERS * status["partitions"]


def test_status_as_text_names_every_broker(quorate: Runner, mock: MockCluster) -> None:
    result = quorate("cluster", "status", "-b", mock.bootstrap)
    assert result.code == ExitCode.OK
    for address in mock.bootstrap.split(","):
        assert address in result.out


def test_topics_are_listed_and_described(quorate: Runner, mock: MockCluster) -> None:
    mock.fill("listed", 0, [b"x"])
    listed = json.loads(quorate("topic", "list", "-b", mock.bootstrap, "-o", "json").out)
    expected = {"name": "listed", "partitions": PARTITIONS, "replication_factor": BROKERS}
    assert expected in listed
    described = quorate("topic", "describe", "listed", "-b", mock.bootstrap, "-o", "json")
    rows = json.loads(described.out)
    assert [row["partition"] for row in rows] == list(range(PARTITIONS))
    assert all(row["leader"] in row["replicas"] for row in rows)


def test_describing_a_missing_topic_names_it(quorate: Runner, mock: MockCluster) -> None:
    result = quorate("topic", "describe", "no-such", "-b", mock.bootstrap)
    assert result.code == ExitCode.FAILED
    assert "no-such" in result.err


@pytest.mark.parametrize("acks", ["all", "1", "0"])
def test_lines_produced_are_consumed_in_order(
    quorate: Runner, mock: MockCluster, acks: str
) -> None:
    topic = f"order-{acks}"
    mock.create(topic)
    sent = [str(number) for number in range(5000)]
    produced = quorate(
        *("produce", topic, "-b", mock.bootstrap, "-p", "1", "--acks", acks, "-o", "json"),
        stdin="\n".join(sent).encode(),
    )
    assert produced.code == ExitCode.OK
    outcome = json.loads(produced.out)
    assert (outcome["sent"], outcome["acknowledged"], outcome["failed"]) == (5000, 5000, 0)
    consumed = quorate("consume", topic, "-b", mock.bootstrap, "--until-end")
    assert consumed.code == ExitCode.OK
    assert lines(consumed.out) == sent
    assert consumed.err == "5000 records\n"


def test_keys_are_split_off_at_the_first_separator(quorate: Runner, mock: MockCluster) -> None:
    mock.create("keys")
    quorate(
        *("produce", "keys", "-b", mock.bootstrap, "-p", "0", "-K", "::"),
        stdin=b"a::b::c\r\nplain\n\n",
    )
    consumed = quorate(
        *("consume", "keys", "-b", mock.bootstrap, "-e", "-f", r"%t %p %o [%k] [%s] 100%%\n")
    )
    assert lines(consumed.out) == [
        "keys 0 0 [a] [b::c] 100%",
        "keys 0 1 [] [plain] 100%",
        "keys 0 2 [] [] 100%",
    ]


def test_json_lines_carry_bytes_that_are_not_text(quorate: Runner, mock: MockCluster) -> None:
    mock.fill("bytes", 2, ["grüße".encode(), b"\xff\x00"])
    consumed = quorate("consume", "bytes", "-b", mock.bootstrap, "-e", "-o", "json")
    first, second = map(json.loads, lines(consumed.out))
    assert (first["key"], first["value"]) == ("key", "grüße")
    assert (first["partition"], first["offset"], second["offset"]) == (2, 0, 1)
    assert second["value"] == {"base64": base64.b64encode(b"\xff\x00").decode()}


def test_consume_begins_and_stops_where_it_is_told(quorate: Runner, mock: MockCluster) -> None:
    mock.fill("window", 0, [b"a", b"b", b"c", b"d"])
    mock.fill("window", 1, [b"other"])
    consume = ("consume", "window", "-b", mock.bootstrap, "-p", "0")
    assert lines(quorate(*consume, "--offset", "1", "--count", "2").out) == ["b", "c"]
    assert lines(quorate(*consume, "--offset", "3", "-e").out) == ["d"]
    assert quorate(*consume, "--offset", "latest", "-e").out == ""
    everything = quorate("consume", "window", "-b", mock.bootstrap, "-e")
    assert sorted(lines(everything.out)) == ["a", "b", "c", "d", "other"]


def test_an_offset_that_does_not_exist_is_an_error(quorate: Runner, mock: MockCluster) -> None:
    mock.fill("short", 0, [b"a"])
    result = quorate(
        *("consume", "short", "-b", mock.bootstrap, "-p", "0", "--offset", "9", "-c", "1")
    )
    assert result.code == ExitCode.FAILED
    assert "short partition 0" in result.err
    assert "`quorate topic describe short --offsets`" in result.err


def test_what_ends_before_the_offset_is_said(quorate: Runner, mock: MockCluster) -> None:
    mock.fill("shorter", 0, [b"a", b"b"])
    mock.fill("shorter", 1, [b"a"])
    consume = ("consume", "shorter", "-b", mock.bootstrap, "-p", "0", "-p", "1", "-e", "--offset")
    result = quorate(*consume, "9")
    assert (result.code, result.out) == (ExitCode.OK, "")
    assert "partitions 0, 1 end before offset 9" in result.err
    result = quorate(*consume, "2")
    assert (result.code, result.out) == (ExitCode.OK, "")
    assert "partition 1 ends before offset 2" in result.err, "2 is where the next one comes"
    assert "before" not in quorate(*consume, "1").err


def test_a_missing_topic_or_partition_is_named(quorate: Runner, mock: MockCluster) -> None:
    mock.create("present")
    missing = quorate("produce", "absent", "-b", mock.bootstrap, stdin=b"x\n")
    assert (missing.code, "absent" in missing.err) == (ExitCode.FAILED, True)
    missing = quorate("consume", "absent", "-b", mock.bootstrap, "-e")
    assert (missing.code, "absent" in missing.err) == (ExitCode.FAILED, True)
    missing = quorate("consume", "present", "-b", mock.bootstrap, "-p", "77", "-e")
    assert (missing.code, "no partition 77" in missing.err) == (ExitCode.USAGE, True)
    missing = quorate("produce", "present", "-b", mock.bootstrap, "-p", "77", stdin=b"x\n")
    assert (missing.code, "no partition 77" in missing.err) == (ExitCode.USAGE, True)


def test_every_delivery_error_is_counted(quorate: Runner, mock: MockCluster) -> None:
    """Records that are too large fail one by one."""
    mock.create("partly")
    result = quorate(
        *("produce", "partly", "-b", mock.bootstrap, "-X", "message.max.bytes=1000", "-o", "json"),
        stdin=b"\n".join([b"x" * 2000] * 3),
    )
    assert result.code == ExitCode.FAILED
    assert json.loads(result.out)["failed"] == 3
    assert "3 failed" in result.err
    assert "size too large" in result.err


class Unanswered:
    """A producer whose records all run out of time."""

    def produce(self, *record: Any, on_delivery: Any, **more: Any) -> None:
        on_delivery(KafkaError(KafkaError._MSG_TIMED_OUT), None)

    def flush(self, timeout: float) -> int:
        return 0

    def __len__(self) -> int:
        return 0


def test_records_that_were_not_answered_in_time_name_where_to_look() -> None:
    client: Any = Unanswered()
    with pytest.raises(CommandFailed, match=r"1 of 1 .*; see `quorate cluster status`"):
        send_all(client, "t", -1, [], [Outgoing(None, b"x")], Tally(), 1.0, "table")


def test_contradicting_options_are_a_usage_error(quorate: Runner, mock: MockCluster) -> None:
    result = quorate("produce", "t", "-b", mock.bootstrap, "--idempotent", "--acks", "1")
    assert result.code == ExitCode.USAGE


def test_a_client_setting_that_does_not_exist_is_a_usage_error(
    quorate: Runner, mock: MockCluster
) -> None:
    for command in (("topic", "list"), ("produce", "t"), ("consume", "t", "-e")):
        result = quorate(*command, "-b", mock.bootstrap, "-X", "no.such=1")
        assert result.code == ExitCode.USAGE
        assert "no.such" in result.err


def test_an_admin_request_without_answer_times_out(quorate: Runner, mock: MockCluster) -> None:
    """The mock brokers have no controller that creates topics."""
    result = quorate("topic", "create", "t", "-b", mock.bootstrap, "--timeout", "0.2")
    assert result.code == ExitCode.TIMED_OUT
    assert "creating topic 't'" in result.err
    assert "it may still happen" in result.err


@pytest.mark.parametrize(
    "command", [("topic", "list"), ("consume", "t", "-e"), ("produce", "t"), ("cluster", "status")]
)
def test_a_listener_that_never_answers_is_a_time_out(
    quorate: Runner, command: tuple[str, ...]
) -> None:
    """The first broker of several does so, alone; a peer listener always."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        result = quorate(*command, "-b", address, "--timeout", "0.3")
    assert result.code == ExitCode.TIMED_OUT
    assert "connected, but no broker answers" in result.err
    assert address in result.err
    assert "waits for a majority" in result.err
    assert "may still happen" not in result.err


def test_one_word_for_a_refused_connection(quorate: Runner) -> None:
    errors = {quorate(*command, "-b", "127.0.0.1:1").err for command in LOOKS}
    assert len(errors) == 1
    assert "(connection refused)" in errors.pop()


def test_errors_have_kafkas_names() -> None:
    """What is shown is found in docs/apis.md; librdkafka shortens some."""
    for code in map(ErrorCode, LIBRDKAFKAS_OWN):
        assert KafkaError(code).name() != code.name
        assert told(KafkaError(code)).endswith(f"[{code.name}]")
    assert told(KafkaError(KafkaError._TRANSPORT)).endswith("[_TRANSPORT]")


def test_a_leader_that_does_not_answer_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each question to it lasts as long as --timeout."""
    asked: list[set[Place]] = []
    silent = ("t", 1)

    def answers(client: Any, specs: Mapping[Place, Any], target: Target) -> Positions:
        asked.append(set(specs))
        failures = {silent: CommandFailed("t 1: silent")} if silent in specs else {}
        return Positions({place: 5 for place in specs if place != silent}, set(), failures)

    monkeypatch.setattr(topic, "positions", answers)
    rows = [{"topic": "t", "partition": number} for number in (0, 1)]
    anyone: Any = None
    assert topic._add_offsets(anyone, rows, anyone) == ["t 1: silent"]
    assert asked == [{("t", 0), silent}, {("t", 0)}]
    assert [(row["first_offset"], row["next_offset"]) for row in rows] == [(5, 5), (None, None)]
