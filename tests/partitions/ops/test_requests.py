"""What sessions count of their requests."""

from __future__ import annotations

from partitions import wire
from partitions.errors import ErrorCode
from partitions.ops.requests import RequestCounters, api_name
from partitions.wire import ApiKey
from tests.partitions.api.client import Client
from tests.partitions.api.fakes import FakeServices


def test_names_are_those_of_kafkas_metrics() -> None:
    assert api_name(ApiKey.LIST_OFFSETS) == "ListOffsets"
    assert api_name(ApiKey.PRODUCE) == "Produce"


def test_a_request_is_counted_with_its_bytes_errors_and_time() -> None:
    services = FakeServices()
    counters = RequestCounters()
    client = Client(services, counters=counters)
    types = wire.messages(ApiKey.METADATA)
    wanted = types.MetadataRequest(
        topics=[types.MetadataRequestTopic(name="nowhere")], allow_auto_topic_creation=False
    )
    for _ in range(2):  # the second answer comes from the cache, and tells the error again
        client.ask(ApiKey.METADATA, 9, wanted)
    assert list(counters.statistics()) == ["Metadata"]
    seen = counters.statistics()["Metadata"]
    assert seen.requests == 2
    assert seen.errors == {ErrorCode.UNKNOWN_TOPIC_OR_PARTITION: 2}
    assert seen.latency_us.statistics().number == 2
    assert seen.bytes_in == client.session.statistics().received_bytes - 2 * 4
    assert seen.bytes_out == client.session.statistics().sent_bytes > 0
