"""Byte identity with kio for every API, version and direction."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from kio.schema.index import api_key_map, schema_name_map

from partitions import wire
from partitions.wire import generate
from tests.partitions.wire import oracle

_INSTANCES = 3


def test_data_files_equal_a_fresh_generation() -> None:
    directory = Path(generate.__file__).parent / "schemas"
    found = {path.stem: path.read_text() for path in directory.glob("*.json")}
    assert found == generate.generate(), "run: python -m partitions.wire.generate"


def test_api_keys_are_those_of_the_schemas() -> None:
    named = {key.value: key.name.lower() for key in wire.ApiKey}
    assert named == dict(api_key_map)


@pytest.mark.parametrize("key", sorted(api_key_map))
def test_frames_are_kio_s_bytes_both_ways(key: int) -> None:
    random = Random(key)
    name = api_key_map[key]
    for version in sorted(schema_name_map[name]):
        for side in ("request", "response"):
            for _ in range(_INSTANCES):
                _check(key, name, version, side, random)


def _check(key: int, name: str, version: int, side: str, random: Random) -> None:
    value = oracle.random_instance(generate.entity(name, version, side), random)
    correlation = random.randrange(-(1 << 31), 1 << 31)
    client_id = random.choice((None, "", "rdkafka", "ü" * 100))
    expected = oracle.kio_frame(key, version, side, value, correlation, client_id)
    message = oracle.to_message(value, name, side)
    if side == "request":
        buffers = wire.encode_request(key, version, correlation, client_id, message)
        header, decoded = wire.decode_request(expected[4:])
        assert header == (key, version, correlation, client_id)
    else:
        buffers = wire.encode_response(key, version, correlation, message)
        echoed, decoded = wire.decode_response(key, version, memoryview(expected)[4:])
        assert echoed == correlation
    assert b"".join(buffers) == expected, (name, version, side, message)
    assert decoded == message, (name, version, side)


@pytest.mark.parametrize("name", sorted({name for name, _, _ in oracle.data_payloads()}))
def test_data_schemas_are_kio_s_bytes_both_ways(name: str) -> None:
    random = Random(name)
    for version in sorted(schema_name_map[name]):
        for _ in range(_INSTANCES):
            value = oracle.random_instance(generate.entity(name, version, "data"), random)
            message = oracle.to_message(value, name, "data")
            expected = oracle.kio_bytes(value)
            assert wire.encode_data(name, version, message) == expected
            assert wire.decode_data(name, version, expected) == message
