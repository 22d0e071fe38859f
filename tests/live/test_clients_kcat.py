"""kcat: librdkafka of another year, driven as a shell script would."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any

import pytest

from tests.live.clients.confluent_client import ConfluentClient
from tests.live.cluster import Cluster
from tests.live.raw import wait_for_leaders

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(shutil.which("kcat") is None, reason="kcat is not installed"),
]

PATIENCE_S = 60.0


class Kcat:
    """The program, on one topic with one partition."""

    def __init__(self, cluster: Cluster, topic: str) -> None:
        ConfluentClient(cluster.bootstrap).create_topic(topic)
        wait_for_leaders(cluster, topic)
        self._bootstrap = cluster.bootstrap
        self._topic = topic

    def run(self, *arguments: str, stdin: str = "") -> str:
        """Output of a run that ends well."""
        done = subprocess.run(
            ["kcat", "-b", self._bootstrap, *arguments],
            input=stdin.encode(),
            capture_output=True,
            timeout=PATIENCE_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    def produce(self, lines: list[str], *arguments: str) -> None:
        """One record for each line."""
        self.run("-P", "-t", self._topic, "-p", "0", *arguments, stdin="\n".join(lines))

    def consume(self, *arguments: str) -> list[dict[str, Any]]:
        """What there is, as kcat's JSON."""
        output = self.run("-C", "-t", self._topic, "-p", "0", "-e", "-q", "-J", *arguments)
        return [json.loads(line) for line in output.splitlines()]


@pytest.mark.parametrize("compression", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_lines_come_back(common_cluster: Cluster, compression: str) -> None:
    kcat = Kcat(common_cluster, f"kcat-{compression}")
    lines = [f"line {number}" * 5 for number in range(500)]
    kcat.produce(lines, "-z", compression)
    read = kcat.consume()
    assert [each["payload"] for each in read] == lines
    assert [each["offset"] for each in read] == list(range(500))


def test_keys_headers_and_tombstones(common_cluster: Cluster) -> None:
    kcat = Kcat(common_cluster, "kcat-keys")
    kcat.produce(["a=1", "b=2", "a="], "-K", "=", "-Z", "-H", "origin=test", "-H", "n=1")
    read = kcat.consume()
    assert [(each["key"], each["payload"]) for each in read] == [
        ("a", "1"),
        ("b", "2"),
        ("a", None),
    ]
    assert all(each["headers"] == ["origin", "test", "n", "1"] for each in read)


def test_offsets_and_times(common_cluster: Cluster) -> None:
    kcat = Kcat(common_cluster, "kcat-offsets")
    kcat.produce([str(number) for number in range(20)])
    read = kcat.consume()
    assert [each["payload"] for each in kcat.consume("-o", "15")] == ["15", "16", "17", "18", "19"]
    assert [each["payload"] for each in kcat.consume("-o", "-3")] == ["17", "18", "19"]
    assert kcat.consume("-o", f"s@{read[0]['ts']}") == read
    queried = kcat.run("-Q", "-t", f"kcat-offsets:0:{read[0]['ts']}")
    assert "offset 0" in queried


def test_listing_the_cluster(common_cluster: Cluster) -> None:
    kcat = Kcat(common_cluster, "kcat-listed")
    listed = json.loads(kcat.run("-L", "-J"))
    assert sorted(each["id"] for each in listed["brokers"]) == [1, 2, 3]
    (topic,) = [each for each in listed["topics"] if each["topic"] == "kcat-listed"]
    assert [len(part["replicas"]) for part in topic["partitions"]] == [3]
