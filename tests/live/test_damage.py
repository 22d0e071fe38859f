"""Bytes of a partition's file change on a leader's disk, under real clients."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.live.clients import Record
from tests.live.clients.confluent_client import ConfluentClient, read_to_end
from tests.live.cluster import running
from tests.live.raw import wait_for_leaders

pytestmark = pytest.mark.live

TOPIC = "damaged"
RECORDS = 2_000


def test_consumers_read_everything_from_another_broker(tmp_path: Path) -> None:
    with running(tmp_path / "cluster") as cluster:
        client = ConfluentClient(cluster.bootstrap)
        client.create_topic(TOPIC, 1, segment_bytes="100000")
        (leader,) = wait_for_leaders(cluster, TOPIC)
        values = [(b"%d " % number).ljust(500, b".") for number in range(RECORDS)]
        for start in range(0, RECORDS, 100):
            client.produce(TOPIC, [Record(value) for value in values[start : start + 100]])
        (folder,) = cluster.root.glob(f"data/broker-{leader}/data/partitions/*-{TOPIC}-0")
        segment = sorted(folder.glob("*.log"))[1]
        with segment.open("r+b") as file:
            file.seek(5_000)
            byte = file.read(1)[0]
            file.seek(5_000)
            file.write(bytes([byte ^ 1]))
        (content,) = read_to_end(cluster.bootstrap, TOPIC, 1)
        assert [each.value for each in content] == values
        assert wait_for_leaders(cluster, TOPIC) != [leader]
        client.produce(TOPIC, [Record(b"more")])
        log = cluster.brokers[leader].log.read_text()
        assert log.count("partition offline on this broker") == 1
        assert str(segment.name) in log
        cluster.kill(leader)
        cluster.start(leader)
        cluster.wait_ready()
        assert wait_for_leaders(cluster, TOPIC) != [leader]
        (content,) = read_to_end(cluster.bootstrap, TOPIC, 1)
        assert len(content) == RECORDS + 1
