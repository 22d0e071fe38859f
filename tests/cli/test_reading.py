"""What `quorate produce` makes of lines, and what `quorate consume` makes of records."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from cli.exits import CommandFailed, ExitCode
from cli.reading import Outgoing, Text, json_records, text_records
from cli.rendering import formatter, json_lines
from tests.cli.conftest import Runner
from tests.cli.mock_cluster import MockCluster


class Shown:
    """A record as the client library hands it out."""

    def __init__(self, key: bytes | None, value: bytes | None, headers: Any = None) -> None:
        self._parts = key, value, headers

    def key(self) -> bytes | None:
        return self._parts[0]

    def value(self) -> bytes | None:
        return self._parts[1]

    def headers(self) -> Any:
        return self._parts[2]

    def topic(self) -> str:
        return "t"

    def partition(self) -> int:
        return 3

    def offset(self) -> int:
        return 9

    def timestamp(self) -> tuple[int, int]:
        return 1, 1_700_000_000_000


def text(data: bytes, **how: Any) -> list[Outgoing]:
    return list(text_records(io.BytesIO(data), Text(**how)))


def test_lines_of_text() -> None:
    assert text(b"a\r\nb:c\n\nd") == [Outgoing(None, v) for v in (b"a", b"b:c", b"", b"d")]
    assert text(b"k:v:w\nx\n", separator=b":") == [Outgoing(b"k", b"v:w"), Outgoing(None, b"x")]
    encoded = text(b"6b:dmFsdWU=\n", separator=b":", key_encoding="hex", value_encoding="base64")
    assert encoded == [Outgoing(b"k", b"value")]
    assert text(b"k:NIL\nNIL:v\n", separator=b":", null=b"NIL") == [
        Outgoing(b"k", None),
        Outgoing(None, b"v"),
    ]


@pytest.mark.parametrize("encoding", ["hex", "base64"])
def test_a_line_that_is_not_encoded_is_named(encoding: str) -> None:
    with pytest.raises(CommandFailed, match="line 2 of the input: not a"):
        text(b"abcd\n!!\n", value_encoding=encoding)


def test_lines_of_json() -> None:
    lines = [
        {"key": "k", "value": {"hex": "00ff"}, "headers": [["a", "1"], ["a", None]]},
        {"value": {"base64": "/w=="}, "headers": {"h": "v"}, "partition": 2, "timestamp_ms": 5},
        {"key": "dead", "value": None, "topic": "old", "offset": 7},
    ]
    data = "\n".join(map(json.dumps, lines)).encode() + b"\n\n"
    assert list(json_records(io.BytesIO(data))) == [
        Outgoing(b"k", b"\x00\xff", [("a", b"1"), ("a", None)]),
        Outgoing(None, b"\xff", [("h", b"v")], 5, 2),
        Outgoing(b"dead", None),
    ]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("[1]", "an object|a JSON object"),
        ("{", "line 1"),
        ('{"valeu": "x"}', "'valeu' is not known"),
        ('{"value": 1}', "value: text"),
        ('{"key": {"hex": "zz"}}', "line 1"),
        ('{"headers": [["a"]]}', "headers"),
        ('{"partition": -1}', "partition"),
        ('{"timestamp_ms": true}', "timestamp_ms"),
        ("[" * 100_000, "line 1"),
    ],
)
def test_a_line_of_json_that_is_no_record_is_named(line: str, said: str) -> None:
    with pytest.raises(CommandFailed, match=said) as failure:
        list(json_records(io.BytesIO(line.encode())))
    assert failure.value.exit_code == ExitCode.USAGE


def test_what_is_consumed_as_json_can_be_produced_again() -> None:
    record: Any = Shown(b"\xff", b"v", [("h", b"1"), ("n", None)])
    for encoding in ("text", "hex", "base64"):
        line = json_lines(encoding, encoding)(record)
        assert list(json_records(io.BytesIO(line))) == [
            Outgoing(b"\xff", b"v", [("h", b"1"), ("n", None)], 1_700_000_000_000, 3)
        ]


def test_templates_with_headers_sizes_and_encodings() -> None:
    record: Any = Shown(b"\x00k", b"v\xff", [("a", b"1"), ("b", None)])
    assert formatter(r"%h|%K|%S|%k", "hex", "base64")(record) == b"a=1,b=|2|2|006b"
    assert formatter("%s", "hex", "base64")(record) == b"dv8="
    assert formatter("%k%h")(Shown(None, None)) == b""  # type: ignore[arg-type]


def test_a_topic_is_copied_with_all_that_its_records_have(
    quorate: Runner, mock: MockCluster
) -> None:
    mock.create("source")
    at = ("-b", mock.bootstrap)
    line = b'{"key":"k","value":{"hex":"ff"},"headers":[["a","1"]],"partition":2,"timestamp_ms":77}'
    sent = quorate("produce", "source", *at, "--input", "json", "-H", "all=yes", stdin=line)
    assert sent.code == 0, sent.err
    shown = quorate("consume", "source", *at, "-e", "-o", "json").out
    found = json.loads(shown)
    assert (found["partition"], found["timestamp_ms"], found["key"]) == (2, 77, "k")
    assert found["headers"] == [["all", "yes"], ["a", "1"]]
    mock.create("target")
    assert quorate("produce", "target", *at, "--input", "json", stdin=shown.encode()).code == 0
    copied = json.loads(quorate("consume", "target", *at, "-e", "-o", "json").out)
    assert copied == {**found, "topic": "target"}


def test_what_came_before_a_bad_line_is_sent_and_counted(
    quorate: Runner, mock: MockCluster
) -> None:
    mock.create("partial")
    result = quorate(
        *("produce", "partial", "-b", mock.bootstrap, "--input", "json", "-o", "json"),
        stdin=b'{"value":"a"}\nnonsense\n{"value":"b"}\n',
    )
    assert result.code == ExitCode.USAGE
    assert "line 2" in result.err
    assert json.loads(result.out)["acknowledged"] == 1
    assert quorate("consume", "partial", "-b", mock.bootstrap, "-e").out == "a\n"


def test_options_that_contradict_each_other(quorate: Runner, mock: MockCluster) -> None:
    at = ("-b", mock.bootstrap)
    assert quorate("produce", "t", *at, "--input", "json", "-K", ":").code == ExitCode.USAGE
    assert quorate("consume", "t", *at, "--group", "g", "-p", "1").code == ExitCode.USAGE
    assert quorate("consume", "t", *at, "--group", "g", "--offset", "7").code == ExitCode.USAGE
