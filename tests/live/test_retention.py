"""Old records go: by size, by age, by request; and a broker that missed it catches up."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.clients import Record
from tests.live.clients.confluent_client import ConfluentClient, read_to_end
from tests.live.cluster import Cluster, running
from tests.live.raw import wait_for_leaders
from tests.live.waiting import wait_for

pytestmark = pytest.mark.live

SEGMENT_BYTES = 100_000
VALUE_BYTES = 1000
PATIENCE_S = 60.0


@pytest.fixture
def eager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """Three brokers that look for old segments all the time."""
    monkeypatch.setenv("QUORATE_LOG_RETENTION_CHECK_INTERVAL_MS", "100")
    with running(tmp_path / "cluster") as fresh:
        yield fresh


def numbered(first: int, end: int, timestamp_ms: int | None = None) -> list[Record]:
    return [
        Record((b"%d " % number).ljust(VALUE_BYTES, b"."), timestamp_ms=timestamp_ms)
        for number in range(first, end)
    ]


def produce(cluster: Cluster, topic: str, first: int, end: int, **more: int) -> None:
    """Records whose values say their offsets, a few in each batch."""
    client = ConfluentClient(cluster.bootstrap)
    for start in range(first, end, 500):
        stop = min(start + 500, end)
        assert client.produce(topic, numbered(start, stop, **more)) == list(range(start, stop))


def check_content(cluster: Cluster, topic: str, first: int, end: int) -> None:
    """Exactly the records from `first` up to `end` are there."""
    (content,) = read_to_end(cluster.bootstrap, topic, 1)
    assert [each.offset for each in content] == list(range(first, end))
    assert [each.value for each in content] == [each.value for each in numbered(first, end)]


def segment_bytes(cluster: Cluster, broker: int, topic: str) -> int:
    """What the segment files of the topic's only partition hold on a broker's disk."""
    found = list(cluster.root.glob(f"data/broker-{broker}/data/partitions/*-{topic}-0"))
    assert len(found) == 1
    return sum(path.stat().st_size for path in found[0].rglob("*.log"))


def create(cluster: Cluster, topic: str, **config: str) -> int:
    """A topic with one partition and small segments; who leads it."""
    client = ConfluentClient(cluster.bootstrap)
    client.create_topic(topic, 1, segment_bytes=str(SEGMENT_BYTES), **config)
    return wait_for_leaders(cluster, topic)[0]


def test_a_partition_keeps_to_its_size(eager: Cluster) -> None:
    create(eager, "small", retention_bytes="300000")
    produce(eager, "small", 0, 2000)
    for broker in (1, 2, 3):
        wait_for(
            lambda broker=broker: segment_bytes(eager, broker, "small") < 600_000,  # type: ignore[misc]
            PATIENCE_S,
            f"broker {broker} to delete segments",
        )
    first = ConfluentClient(eager.bootstrap).earliest("small")
    assert 1000 < first <= 2000 - 300_000 // (2 * VALUE_BYTES)
    produce(eager, "small", 2000, 2100)
    client = ConfluentClient(eager.bootstrap)
    assert client.latest("small") == 2100
    first = client.earliest("small")
    check_content(eager, "small", first, 2100)


def test_what_is_too_old_goes(eager: Cluster) -> None:
    now_ms = int(time.time() * 1000)
    create(eager, "old", retention_ms="3600000")
    produce(eager, "old", 0, 1000, timestamp_ms=now_ms - 2 * 3_600_000)
    produce(eager, "old", 1000, 1500, timestamp_ms=now_ms)
    client = ConfluentClient(eager.bootstrap)
    wait_for(lambda: client.earliest("old") > 800, PATIENCE_S, "old segments to go")
    first = client.earliest("old")
    assert first <= 1000, "records that are young enough are gone"
    check_content(eager, "old", first, 1500)


def test_a_broker_that_missed_deletions_catches_up_and_serves(cluster: Cluster) -> None:
    """Its log ends before the others' begin: only a snapshot helps."""
    client = ConfluentClient(cluster.bootstrap)
    late = create(cluster, "all")
    create(cluster, "half")
    for topic in ("all", "half"):
        produce(cluster, topic, 0, 300)
    cluster.kill(late)
    for topic, before in (("all", 3000), ("half", 1500)):
        wait_for_leaders(cluster, topic)
        produce(cluster, topic, 300, 3000)
        assert client.delete_records(topic, before) == before
    cluster.start(late)
    cluster.wait_ready()

    first, second = sorted({1, 2, 3} - {late})
    cluster.kill(first)
    for topic in ("all", "half"):
        wait_for_leaders(cluster, topic)
        # Acknowledged by the late broker and one other, so that the late one has it all.
        produce(cluster, topic, 3000, 3200)
    cluster.kill(second)
    cluster.start(first)
    cluster.wait_ready()
    for topic, before in (("all", 3000), ("half", 1500)):
        assert wait_for_leaders(cluster, topic) == [late], "nobody else has all records"
        check_content(cluster, topic, before, 3200)
        produce(cluster, topic, 3200, 3300)

    cluster.kill_all()
    for broker in (1, 2, 3):
        cluster.start(broker)
    cluster.wait_ready()
    for topic, before in (("all", 3000), ("half", 1500)):
        wait_for_leaders(cluster, topic)
        check_content(cluster, topic, before, 3300)
