"""Front door: headers, defaults, zero copy, and what a broker process loads."""

from __future__ import annotations

import subprocess
import sys

import pytest

from partitions import wire
from partitions.wire import ApiKey

PRODUCE = wire.messages(ApiKey.PRODUCE)
FETCH = wire.messages(ApiKey.FETCH)
METADATA = wire.messages(ApiKey.METADATA)
API_VERSIONS = wire.messages(ApiKey.API_VERSIONS)


def produce_request(records: bytes, version: int = 9) -> bytes:
    partition = PRODUCE.PartitionProduceData(index=3, records=records)
    topic = PRODUCE.TopicProduceData(name="t", partition_data=[partition])
    body = PRODUCE.ProduceRequest(acks=-1, timeout=500, topic_data=[topic])
    return b"".join(wire.encode_request(ApiKey.PRODUCE, version, 7, "client", body))


def test_size_prefix_counts_what_follows_it() -> None:
    frame = produce_request(bytes(10))
    assert int.from_bytes(frame[:4], "big") == len(frame) - 4


def test_decoded_records_are_a_view_of_the_frame() -> None:
    frame = bytearray(produce_request(b"\x01" * 9000)[4:])
    _, body = wire.decode_request(frame)
    records = body.topic_data[0].partition_data[0].records
    assert isinstance(records, memoryview)
    assert records.obj is frame
    records[0] = 9
    assert frame.count(9) >= 1
    assert records == b"\x09" + b"\x01" * 8999


@pytest.mark.parametrize("version", [11, 16])
def test_large_records_are_not_copied_when_encoded(version: int) -> None:
    pieces = [b"a" * 6000, memoryview(b"b" * 70)]
    response = _fetch_response([pieces, b"c" * 5000, b"small", None])
    buffers = wire.encode_response(ApiKey.FETCH, version, 1, response)
    assert any(buffer is pieces[0] for buffer in buffers)
    assert any(buffer is pieces[1] for buffer in buffers)
    assert len(buffers) == 6, "head, two pieces, head, 5000 bytes, tail"
    _, decoded = wire.decode_response(ApiKey.FETCH, version, b"".join(buffers)[4:])
    records = [p.records for p in decoded.responses[0].partitions]
    assert records == [b"a" * 6000 + b"b" * 70, b"c" * 5000, b"small", None]


def _fetch_response(records: list[object]) -> object:
    partitions = [
        FETCH.PartitionData(partition_index=i, high_watermark=5, records=value)
        for i, value in enumerate(records)
    ]
    topic = FETCH.FetchableTopicResponse(topic="t", partitions=partitions)
    return FETCH.FetchResponse(responses=[topic])


def test_an_empty_list_of_record_buffers_is_empty_not_null() -> None:
    buffers = wire.encode_response(ApiKey.FETCH, 16, 1, _fetch_response([[]]))
    _, decoded = wire.decode_response(ApiKey.FETCH, 16, b"".join(buffers)[4:])
    assert decoded.responses[0].partitions[0].records == b""


@pytest.mark.parametrize("version", range(5))
def test_api_versions_response_header_is_never_flexible(version: int) -> None:
    body = API_VERSIONS.ApiVersionsResponse(error_code=35)
    frame = b"".join(wire.encode_response(ApiKey.API_VERSIONS, version, 7, body))
    assert frame[4:8] == (7).to_bytes(4, "big")
    assert frame[8:10] == (35).to_bytes(2, "big"), "the error code follows at once"


def test_flexible_request_header_keeps_the_short_client_id() -> None:
    frame = b"".join(wire.encode_request(ApiKey.METADATA, 12, 1, "ab", METADATA.MetadataRequest()))
    assert frame[12:17] == b"\x00\x02ab\x00", "int16 length, then an empty tag section"


def test_null_client_id() -> None:
    frame = b"".join(wire.encode_request(ApiKey.METADATA, 1, 1, None, METADATA.MetadataRequest()))
    header, _ = wire.decode_request(frame[4:])
    assert header == wire.RequestHeader(3, 1, 1, None)


def test_fields_a_version_lacks_are_omitted_and_decode_to_defaults() -> None:
    broker = METADATA.MetadataResponseBroker(node_id=1, host="h", port=9, rack="r1")
    body = METADATA.MetadataResponse(brokers=[broker], cluster_id="c", controller_id=4)
    frame = b"".join(wire.encode_response(ApiKey.METADATA, 0, 1, body))
    _, decoded = wire.decode_response(ApiKey.METADATA, 0, frame[4:])
    assert decoded.brokers[0].rack is None
    assert decoded.cluster_id is None
    assert decoded.controller_id == -1
    assert decoded.brokers[0].host == "h"


def test_null_and_empty_topics_of_metadata_differ() -> None:
    cases: tuple[list[object] | None, ...] = (None, [])
    for topics in cases:
        body = METADATA.MetadataRequest(topics=topics)
        frame = b"".join(wire.encode_request(ApiKey.METADATA, 9, 1, "c", body))
        assert wire.decode_request(frame[4:])[1].topics == topics


def test_messages_compare_by_value_and_refuse_unknown_fields() -> None:
    assert METADATA.MetadataRequest() == METADATA.MetadataRequest(topics=[])
    assert METADATA.MetadataRequest() != METADATA.MetadataRequest(topics=None)
    changes: dict[str, object] = {"node_id": 9, "host": "other", "port": 1, "rack": "r"}
    for name, value in changes.items():
        broker = METADATA.MetadataResponseBroker(**{name: value})
        assert broker != METADATA.MetadataResponseBroker()
        assert broker == METADATA.MetadataResponseBroker(**{name: value})
    assert METADATA.MetadataResponseBroker() != METADATA.MetadataRequest()
    with pytest.raises(TypeError):
        METADATA.MetadataRequest(topic=[])
    with pytest.raises(AttributeError):
        METADATA.MetadataRequest().topic = []


def test_absent_tagged_structs_are_none_and_defaults_are_not_written() -> None:
    plain = FETCH.PartitionData()
    spelled = FETCH.PartitionData(current_leader=FETCH.LeaderIdAndEpoch())
    assert _encoded_partition(plain) == _encoded_partition(spelled)
    named = FETCH.PartitionData(current_leader=FETCH.LeaderIdAndEpoch(leader_id=2))
    _, decoded = wire.decode_response(ApiKey.FETCH, 12, _encoded_partition(named))
    partition = decoded.responses[0].partitions[0]
    assert partition.current_leader.leader_id == 2
    assert partition.diverging_epoch is None


def _encoded_partition(partition: object) -> bytes:
    topic = FETCH.FetchableTopicResponse(topic="t", partitions=[partition])
    body = FETCH.FetchResponse(responses=[topic])
    return b"".join(wire.encode_response(ApiKey.FETCH, 12, 1, body))[4:]


def test_versions_of_the_schemas() -> None:
    assert wire.api_versions(ApiKey.PRODUCE) == (3, 13)
    assert wire.supports(ApiKey.PRODUCE, 3)
    assert not wire.supports(ApiKey.PRODUCE, 2)
    assert not wire.supports(ApiKey.PRODUCE, 14)
    assert not wire.supports(999, 0)
    with pytest.raises(ValueError, match="produce has versions 3-13"):
        wire.encode_response(ApiKey.PRODUCE, 14, 1, PRODUCE.ProduceResponse())


def test_names_with_two_meanings_are_prefixed() -> None:
    names = vars(wire.messages(ApiKey.VOTE))
    assert {"RequestPartitionData", "ResponsePartitionData"} <= set(names)
    assert "PartitionData" not in names


def test_values_that_do_not_fit_are_the_caller_s_bug() -> None:
    with pytest.raises(TypeError):
        wire.encode_response(ApiKey.METADATA, 1, 1, METADATA.MetadataResponse(topics=None))


@pytest.mark.parametrize("size", [0, 15, 17])
def test_uuids_have_sixteen_bytes(size: int) -> None:
    topic = METADATA.MetadataResponseTopic(name="t", topic_id=bytes(size))
    body = METADATA.MetadataResponse(topics=[topic])
    with pytest.raises(ValueError, match="uuid"):
        wire.encode_response(ApiKey.METADATA, 12, 1, body)
    wire.encode_response(ApiKey.METADATA, 9, 1, body)


def test_consumer_protocol_is_there_for_those_who_look_inside_groups() -> None:
    classes = wire.data_messages("consumer_protocol_subscription")
    body = classes.ConsumerProtocolSubscription(topics=["a", "b"], user_data=b"\x01")
    data = wire.encode_data("consumer_protocol_subscription", 0, body)
    assert wire.decode_data("consumer_protocol_subscription", 0, data) == body


def test_a_process_that_uses_the_codec_does_not_import_kio() -> None:
    program = (
        "import sys; from partitions import wire; m = wire.messages(18)\n"
        "wire.encode_response(18, 3, 1, m.ApiVersionsResponse())\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=True, text=True
    )
    assert "kio" not in run.stdout
    assert "trio" not in run.stdout
    assert "partitions" in run.stdout
