"""Committed offsets in topics that are deleted, and perhaps made again."""

from __future__ import annotations

from metadata.image import ImageDelta
from partitions import wire
from partitions.coordinators.groups import broker
from tests.partitions.api.client import Client
from tests.partitions.api.fakes import FakeServices
from tests.partitions.api.groupkit import (
    ask,
    commit_request,
    coordinating,
    fetched,
    go_on,
    offset_record,
)


def read_topics(services: FakeServices) -> list[str]:
    """In which group `g` has offsets."""
    answer = ask(services, 9, 5, wire.messages(9).OffsetFetchRequest(group_id="g", topics=None))
    return [topic.name for topic in answer.topics]


def delete_topic(services: FakeServices, name: str) -> None:
    gone = (services.topics[name],)
    delta = ImageDelta(services.image().position, False, (), (), gone, (), ())
    services.groups.image_changed(delta)
    go_on(services)


def test_offsets_in_a_deleted_topic_go() -> None:
    services, _ = coordinating(offset_record("g", 0, 5), offset_record("g", 1, 6, topic="kept"))
    services.add_topic("kept")
    services.catching_up.pop()(True)
    delete_topic(services, "t")
    assert read_topics(services) == ["kept"]


def test_offsets_in_a_topic_that_was_deleted_without_a_coordinator_go() -> None:
    """But not before the image is known to have heard of all topics that there are."""
    records = [offset_record("g", n, 5, topic=topic) for n in range(3) for topic in ("t", "gone")]
    services, _ = coordinating(*records)
    services.add_topic("t", 3)
    assert read_topics(services) == ["gone", "t"]
    services.catching_up.pop()(False)
    go_on(services)
    assert read_topics(services) == ["gone", "t"]
    assert not services.catching_up
    services.reactor.advance(broker.CATCH_UP_AGAIN_US)
    services.catching_up.pop()(True)
    go_on(services)
    assert read_topics(services) == ["t"]
    services.reactor.advance(600_000_000)
    assert not services.catching_up, "once is enough"


def test_a_deletion_that_is_heard_of_late_takes_no_offsets_in_a_new_topic_of_the_name() -> None:
    """The former coordinator's image was ahead of this one's."""
    services, _ = coordinating(offset_record("g", 0, 5))
    delete_topic(services, "t")
    services.catching_up.pop()(True)
    go_on(services)
    assert read_topics(services) == ["t"]


def test_offsets_in_a_topic_that_was_made_again_without_a_coordinator_go() -> None:
    """Its id tells it from the former one; of a record without an id only the name is known."""
    former, present = b"f" * 16, b"t".ljust(16, b"\0")
    ids = (former, present, b"")
    records = [offset_record("g", n, 5, topic_id=topic_id) for n, topic_id in enumerate(ids)]
    services, _ = coordinating(*records)
    assert services.topics["t"].topic_id == present
    services.add_topic("t", 3)
    services.catching_up.pop()(True)
    go_on(services)
    assert fetched(services, "g") == {1: 5, 2: 5}


def test_a_commit_on_its_way_outlives_the_former_topic_of_the_name() -> None:
    services, _ = coordinating(*[offset_record("g", n, 5, topic_id=b"f" * 16) for n in (0, 1)])
    client = Client(services)
    client.send(8, 8, commit_request("g", (1, 6)))
    services.catching_up.pop()(True)
    go_on(services)
    assert fetched(services, "g") == {1: 6}


def test_a_deleted_topic_takes_the_offsets_of_its_id_however_early_it_is_heard_of() -> None:
    ids = (b"f" * 16, b"t".ljust(16, b"\0"))
    records = [offset_record("g", n, 5, topic_id=topic_id) for n, topic_id in enumerate(ids)]
    services, _ = coordinating(*records)
    delete_topic(services, "t")
    assert fetched(services, "g") == {0: 5}, "which is for the controller's position to say"


def test_commits_say_which_topic_of_the_name() -> None:
    services, _ = coordinating()
    ask(services, 8, 8, commit_request("g", (0, 5)))
    (offset,) = services.groups.find("g").offsets("g").values()
    assert offset.topic_id == services.topics["t"].topic_id


def test_the_end_of_a_coordinator_ends_its_interest_in_topics() -> None:
    services, replica = coordinating(offset_record("g", 0, 5, topic="gone"))
    services.catching_up[0](False)
    replica.lose()
    services.groups.leadership(replica)
    services.catching_up.pop()(True)
    services.reactor.advance(broker.CATCH_UP_AGAIN_US)
    assert not services.catching_up
    go_on(services)
    assert len(replica.batches) == 1
