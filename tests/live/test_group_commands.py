"""`quorate group`, and `produce` and `consume` beside it, against real brokers.

Most commands run in the test's process, which is what they cost least in; those that have to be
there at the same time, or are interrupted, are processes.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cli.exits import ExitCode
from tests.cli.conftest import Result, Runner
from tests.live.cluster import ROOT, Cluster
from tests.live.waiting import wait_for

pytestmark = pytest.mark.live

PATIENCE_S = 30.0
PARTITIONS = 3
EACH = 10
"""Records of each partition."""


class Here:
    """Commands in this process, pointed at the cluster."""

    def __init__(self, runner: Runner, cluster: Cluster) -> None:
        self._runner = runner
        self.bootstrap = cluster.bootstrap

    def __call__(self, *arguments: str, stdin: bytes = b"") -> Result:
        return self._runner(*arguments, "-b", self.bootstrap, stdin=stdin)

    def succeeds(self, *arguments: str, stdin: bytes = b"") -> str:
        """Standard output of a command that must end with 0."""
        result = self(*arguments, stdin=stdin)
        assert result.code == ExitCode.OK, f"quorate {' '.join(arguments)}: {result}"
        return result.out

    def json(self, *arguments: str) -> Any:
        """What a command that must end with 0 prints as JSON."""
        return json.loads(self.succeeds(*arguments, "-o", "json"))

    def group(self, name: str) -> Any:
        """One group's description."""
        (found,) = self.json("group", "describe", name)
        return found

    def offsets(self, name: str) -> dict[int, int]:
        """A group's committed offsets by partition; none of a group that is gone, too.

        One without offsets and members may be forgotten at any time.
        """
        found = json.loads(self("group", "describe", name, "-o", "json").out)
        return {row["partition"]: row["offset"] for each in found for row in each["offsets"]}

    def groups(self) -> dict[str, str]:
        """State by name."""
        return {row["group"]: row["state"] for row in self.json("group", "list")}

    def fill(self, topic: str) -> set[str]:
        """A new topic with EACH values in every partition; returns them."""
        self.succeeds("topic", "create", topic, "-p", str(PARTITIONS), "-r", "3")
        rows = [
            {"partition": number % PARTITIONS, "value": str(number), "timestamp_ms": 1000 + number}
            for number in range(PARTITIONS * EACH)
        ]
        self.succeeds("produce", topic, "--input", "json", stdin=lines(rows))
        return {str(row["value"]) for row in rows}


@pytest.fixture
def here(
    shared_cluster: Cluster, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Here:
    """The command line in this process; a cluster of its own, since retention would in time take
    away what these tests write with timestamps of long ago."""
    return Here(Runner(capfd, monkeypatch), shared_cluster)


def lines(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


@contextmanager
def consuming(here: Here, group: str, topic: str, sink: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A member as a process of its own, what it prints in `sink`."""
    arguments = ["consume", topic, "--group", group, "-b", here.bootstrap]
    # A member hears of others when it sends a heartbeat.
    arguments += ["-X", "heartbeat.interval.ms=100"]
    with sink.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "cli.main", *arguments],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.DEVNULL,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


# --- records


def test_json_records_come_back_as_they_were_sent(here: Here) -> None:
    here.succeeds("topic", "create", "odd", "-p", "2", "-r", "3")
    rows: list[dict[str, Any]] = [
        {"key": "k", "value": "täxt", "headers": [["a", "1"], ["a", "2"], ["none", None]]},
        {"key": {"base64": "/wA="}, "value": {"base64": "gIE="}, "headers": []},
        {"key": None, "value": "", "headers": [["bytes", {"base64": "/w=="}]]},
        {"key": "tombstone", "value": None, "headers": []},
    ]
    for number, row in enumerate(rows):
        row |= {"partition": number % 2, "timestamp_ms": 1_700_000_000_000 + number}
    sent = json.loads(
        here.succeeds("produce", "odd", "--input", "json", "-o", "json", stdin=lines(rows))
    )
    assert (sent["sent"], sent["acknowledged"], sent["failed"]) == (4, 4, 0)
    found = here.succeeds("consume", "odd", "--until-end", "-o", "json")
    read = sorted(map(json.loads, found.splitlines()), key=lambda row: row["timestamp_ms"])
    assert [{key: row[key] for key in rows[0]} for row in read] == rows
    assert [(row["topic"], row["offset"]) for row in read] == [("odd", n // 2) for n in range(4)]

    here.succeeds("topic", "create", "copy", "-p", "2", "-r", "3")
    here.succeeds("produce", "copy", "--input", "json", stdin=found.encode())
    again = here.succeeds("consume", "copy", "--until-end", "-o", "json")
    assert sorted(again.replace('"copy"', '"odd"').splitlines()) == sorted(found.splitlines())


def test_headers_keys_and_encodings_of_text_records(here: Here) -> None:
    here.succeeds("topic", "create", "texts", "-p", "1", "-r", "3")
    common = ("-H", "source=test", "-H", "source=again", "-K", ":", "--null", "-")
    here.succeeds("produce", "texts", *common, stdin=b"a:1\nno key\nb:-\r\n")
    encoded = ("--key-encoding", "hex", "--value-encoding", "base64", "-K", ":")
    here.succeeds("produce", "texts", *encoded, stdin=b"00ff:aGk=\n")
    shown = here.succeeds("consume", "texts", "-e", "--format", "%p %o %k=%s(%S) %h\\n")
    headers = "source=test,source=again"
    assert shown.splitlines()[:3] == [f"0 0 a=1(1) {headers}", f"0 1 =no key(6) {headers}",
                                      f"0 2 b=(0) {headers}"]  # fmt: skip
    hexed = here.succeeds("consume", "texts", "--offset", "3", "-c", "1", "--key-encoding", "hex",
                          "--format", "%k=%s\\n")  # fmt: skip
    assert hexed == "00ff=hi\n"


def test_records_before_a_line_that_is_none_are_sent_and_counted(here: Here) -> None:
    here.succeeds("topic", "create", "torn", "-p", "1", "-r", "3")
    stdin = lines([{"value": "1"}, {"value": "2"}]) + b'{"valeu": "3"}\n{"value": "4"}\n'
    result = here("produce", "torn", "--input", "json", "-o", "json", stdin=stdin)
    assert result.code == ExitCode.USAGE
    assert "line 3" in result.err
    assert "valeu" in result.err
    assert json.loads(result.out)["acknowledged"] == 2
    assert here.succeeds("consume", "torn", "-e").split() == ["1", "2"]


# --- groups


def test_a_group_from_its_first_record_to_its_end(here: Here) -> None:
    written = here.fill("group-orders")
    consume = ("consume", "group-orders", "--group", "billing")
    here.succeeds(*consume, "--count", "3", "--no-commit")
    assert here.offsets("billing") == {}
    some = here.succeeds(*consume, "--count", "7").split()
    assert here.groups()["billing"] == "Empty"
    about = here.group("billing")
    assert (about["state"], about["members"], about["failures"]) == ("Empty", [], [])
    assert sum(row["offset"] or 0 for row in about["offsets"]) == 7
    rest = here.succeeds(*consume, "--until-end").split()
    assert len(some + rest) == len(written), "nothing twice"
    assert {*some, *rest} == written
    assert here.group("billing")["lag"] == 0
    assert here.succeeds(*consume, "--until-end") == ""
    listed = here.succeeds("group", "list", "--state", "empty").splitlines()
    assert any(line.split() == ["billing", "Empty", "Classic"] for line in listed)

    here.succeeds("group", "delete-offsets", "billing", "--topic", "group-orders:0")
    assert here.offsets("billing") == {1: EACH, 2: EACH}
    begins = here.succeeds(*consume, "--until-end").split()
    assert begins == [str(number) for number in range(0, PARTITIONS * EACH, PARTITIONS)]
    here.succeeds("group", "delete-offsets", "billing", "--topic", "group-orders")
    assert here.offsets("billing") == {}
    here.succeeds(*consume, "--count", "1")
    here.succeeds("group", "delete", "billing")
    assert "billing" not in here.groups()
    gone = here("group", "describe", "billing")
    assert (gone.code, "no such group: billing" in gone.err) == (ExitCode.FAILED, True)
    assert here("group", "delete", "billing").code == ExitCode.FAILED
    here.succeeds("group", "delete", "billing", "--if-exists")
    nothing = here("group", "delete-offsets", "billing", "--topic", "group-orders")
    assert nothing.code == ExitCode.FAILED
    assert "committed nothing" in nothing.err


@pytest.fixture
def moved(here: Here) -> Here:
    """The topic `moved`, of which group `mover` has read everything."""
    if "mover" not in here.groups():
        here.fill("moved")
        here.succeeds("consume", "moved", "--group", "mover", "--until-end")
    here.succeeds("group", "reset-offsets", "mover", "--topic", "moved", "--to-latest", "--execute")
    return here


@pytest.mark.parametrize(
    ("goal", "expected"),
    [
        (("--to-earliest",), {0: 0, 1: 0, 2: 0}),
        (("--to-current",), {0: 10, 1: 10, 2: 10}),
        (("--to-offset", "4"), {0: 4, 1: 4, 2: 4}),
        (("--to-offset", "400"), {0: 10, 1: 10, 2: 10}),
        (("--shift-by", "-3"), {0: 7, 1: 7, 2: 7}),
        # partition p holds the timestamps 1000 + p, 1003 + p, ...
        (("--to-datetime", "1970-01-01T00:00:01.007"), {0: 3, 1: 2, 2: 2}),
        (("--by-duration", "PT1H"), {0: 10, 1: 10, 2: 10}),
    ],
)
def test_offsets_are_moved_when_it_is_said_twice(
    moved: Here, goal: tuple[str, ...], expected: dict[int, int]
) -> None:
    reset = ("group", "reset-offsets", "mover", "--all-topics", *goal)
    rows = moved.json(*reset)
    assert {row["partition"]: row["new"] for row in rows} == expected
    assert {row["old"] for row in rows} == {EACH}
    assert set(moved.offsets("mover").values()) == {EACH}, "shown only"
    moved.succeeds(*reset, "--execute")
    assert moved.offsets("mover") == expected


def test_consumers_go_on_where_a_group_was_moved_to(moved: Here) -> None:
    moved.succeeds("group", "reset-offsets", "mover", "--all-topics", "--shift-by", "-2",
                   "--execute")  # fmt: skip
    read = moved.succeeds("consume", "moved", "--group", "mover", "-e", "--format", "%p:%o ")
    assert sorted(read.split()) == ["0:8", "0:9", "1:8", "1:9", "2:8", "2:9"]


def test_members_are_shown_and_protect_their_group(here: Here, tmp_path: Path) -> None:
    written = here.fill("live")

    def is_stable(members: int, lag: int) -> bool:
        about = here.group("team") if "team" in here.groups() else {"state": None, "members": []}
        stable = (about["state"], len(about["members"])) == ("Stable", members)
        return stable and about["lag"] == lag

    with consuming(here, "team", "live", tmp_path / "one") as one:
        wait_for(lambda: is_stable(1, 0), PATIENCE_S, "a member that has committed everything")
        with consuming(here, "team", "live", tmp_path / "two") as two:
            wait_for(lambda: is_stable(2, 0), PATIENCE_S, "two members")
            members = here.group("team")["members"]
            shares = [member["assignment"]["live"] for member in members]
            assert sorted(number for share in shares for number in share) == [0, 1, 2]
            assert "live:" in here.succeeds("group", "describe", "team", "--members")
            _is_protected(here)
            one.send_signal(signal.SIGINT)
            assert one.wait(PATIENCE_S) == ExitCode.INTERRUPTED
            wait_for(lambda: is_stable(1, 0), PATIENCE_S, "the other to have all partitions")
            two.send_signal(signal.SIGTERM)
            assert two.wait(PATIENCE_S) == ExitCode.TERMINATED, "as timeout(1) and systemd do it"
    assert here.groups()["team"] == "Empty"
    printed = [line for name in ("one", "two") for line in (tmp_path / name).read_text().split()]
    assert sorted(printed) == sorted(written), "each record once: all moves were in order"
    here.succeeds("group", "delete", "team")


def _is_protected(here: Here) -> None:
    reset = here("group", "reset-offsets", "team", "--topic", "live", "--to-earliest", "--execute")
    assert reset.code == ExitCode.FAILED
    assert "2 members" in reset.err
    deleted = here("group", "delete", "team", "-o", "json")
    assert deleted.code == ExitCode.FAILED
    assert "NON_EMPTY_GROUP" in json.loads(deleted.out)[0]["error"]
    offsets = here("group", "delete-offsets", "team", "--topic", "live:0", "-o", "json")
    assert offsets.code == ExitCode.FAILED
    assert json.loads(offsets.out)[0]["error"] == "GROUP_SUBSCRIBED_TO_TOPIC"
    assert here.offsets("team") == {0: EACH, 1: EACH, 2: EACH}
