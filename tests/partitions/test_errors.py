"""The error codes are the protocol's."""

from __future__ import annotations

from kio.schema.errors import ErrorCode as KioErrorCode

from partitions.errors import ErrorCode, KafkaError


def test_codes_and_retriability_are_kafka_s() -> None:
    ours = {code.name.lower(): (code.value, code.retriable) for code in ErrorCode}
    theirs = {code.name: (int(code), code.retriable) for code in KioErrorCode}
    assert ours == theirs


def test_kafka_error_carries_code_and_text() -> None:
    error = KafkaError(ErrorCode.CORRUPT_MESSAGE, "crc is wrong")
    assert error.code is ErrorCode.CORRUPT_MESSAGE
    assert error.message == "crc is wrong" == str(error)
