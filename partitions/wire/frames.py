"""Frames to messages and back: the functions the rest of the broker and its tests call.

Codecs are compiled the first time an API and version is used (one to a few milliseconds) and
kept; a version nobody speaks costs nothing.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, NamedTuple

from partitions.wire.decoding import compile_decoder
from partitions.wire.encoding import compile_encoder
from partitions.wire.errors import MalformedFrame, UnsupportedApi
from partitions.wire.messages import message_classes
from partitions.wire.schema import Schema, load_index, load_schema
from raftlog.types import Buffer

HEADER_BYTES_MIN = 8
"""Every request begins with API key, version (int16 each) and correlation id (int32)."""

_HEAD = struct.Struct(">hhi").unpack_from
_CORRELATION = struct.Struct(">i").unpack_from
_INDEX = load_index()
_NAMES = {api.name for api in _INDEX.values()}

_Codec = Callable[..., Any]
_request_decoders: dict[tuple[int, int], _Codec] = {}
_response_encoders: dict[tuple[int, int], _Codec] = {}
_others: dict[tuple[str, str, int], _Codec] = {}


class RequestHeader(NamedTuple):
    """Request header v1 and v2 (its tagged fields carry nothing today)."""

    api_key: int
    api_version: int
    correlation_id: int
    client_id: str | None


def api_versions(api_key: int) -> tuple[int, int]:
    """First and last version with a schema. Raises KeyError for an unknown key."""
    api = _INDEX[api_key]
    return api.first, api.last


def supports(api_key: int, version: int) -> bool:
    """Is there a schema for this API and version?"""
    api = _INDEX.get(api_key)
    return api is not None and api.first <= version <= api.last


def messages(api_key: int) -> SimpleNamespace:
    """The classes of an API by name, for example `messages(3).MetadataResponseBroker`."""
    return message_classes(_INDEX[api_key].name)


def peek_header(frame: Buffer) -> tuple[int, int, int]:
    """(API key, version, correlation id) of a request frame; raises MalformedFrame."""
    if len(frame) < HEADER_BYTES_MIN:
        raise MalformedFrame(f"a request of {len(frame)} bytes has no header")
    key, version, correlation_id = _HEAD(frame)
    return key, version, correlation_id


def decode_request(frame: Buffer) -> tuple[RequestHeader, Any]:
    """Decode a whole request frame, without its size prefix.

    `records` values are memoryviews of the frame. Raises MalformedFrame, or UnsupportedApi
    when the header names no schema.
    """
    key, version, correlation_id = peek_header(frame)
    decode = _request_decoders.get((key, version))
    if decode is None:
        if not supports(key, version):
            raise UnsupportedApi(key, version, correlation_id)
        decode = _request_decoders[key, version] = _decoder(_schema(key), version, "request")
    client_id, body = _decoded(decode, frame, key, version)
    return RequestHeader(key, version, correlation_id, client_id), body


def encode_response(api_key: int, version: int, correlation_id: int, body: Any) -> list[Buffer]:
    """Encode a response with its size prefix.

    `records` values may be one buffer or a list of buffers; large ones are returned as they
    are, not copied. Raises KeyError for an unknown API, ValueError for an unknown version.
    """
    encode = _response_encoders.get((api_key, version))
    if encode is None:
        schema = _schema(api_key)
        encode = _encoder(schema, version, "response")
        _response_encoders[api_key, version] = encode
    buffers: list[Buffer] = encode(correlation_id, body)
    return buffers


def encode_request(
    api_key: int, version: int, correlation_id: int, client_id: str | None, body: Any
) -> list[Buffer]:
    """Encode a request with its size prefix (what a client sends)."""
    encode = _cached("request", _encoder, _schema(api_key), version)
    buffers: list[Buffer] = encode(correlation_id, client_id, body)
    return buffers


def decode_response(api_key: int, version: int, frame: Buffer) -> tuple[int, Any]:
    """Decode a response frame without its size prefix: (correlation id, body)."""
    if len(frame) < 4:
        raise MalformedFrame(f"a response of {len(frame)} bytes has no correlation id")
    decode = _cached("response", _decoder, _schema(api_key), version)
    _, body = _decoded(decode, frame, api_key, version)
    correlation_id: int = _CORRELATION(frame)[0]
    return correlation_id, body


def data_messages(name: str) -> SimpleNamespace:
    """The classes of a data schema, for example `consumer_protocol_subscription`."""
    return message_classes(_data_schema(name).name)


def encode_data(name: str, version: int, body: Any) -> bytes:
    """Encode a data schema's struct; any version number before it is the caller's to write."""
    encode = _cached("data", _encoder, _data_schema(name), version)
    return b"".join(encode(body))


def decode_data(name: str, version: int, buffer: Buffer) -> Any:
    """Decode a data schema's struct that fills `buffer`; raises MalformedFrame."""
    decode = _cached("data", _decoder, _data_schema(name), version)
    return _decoded(decode, buffer, name, version)[1]


def _decoded(decode: _Codec, frame: Buffer, schema: int | str, version: int) -> Any:
    """Run a compiled decoder; whatever the bytes make it raise becomes MalformedFrame."""
    try:
        return decode(frame)
    except MalformedFrame as error:
        reason = str(error)
    except (struct.error, IndexError):
        reason = "the frame ends too early"
    except UnicodeDecodeError as error:
        reason = f"a string is not UTF-8: {error.reason} at byte {error.start} of it"
    name = schema if isinstance(schema, str) else _INDEX[schema].name
    raise MalformedFrame(f"{name} v{version}: {reason}")


def _schema(api_key: int) -> Schema:
    return load_schema(_INDEX[api_key].name)


def _data_schema(name: str) -> Schema:
    if name in _NAMES:
        raise KeyError(f"{name} is an API, not a data schema")
    return load_schema(name)


def _cached(
    prefix: str, make: Callable[[Schema, int, str], _Codec], schema: Schema, version: int
) -> _Codec:
    key = (f"{make.__name__} {prefix}", schema.name, version)
    codec = _others.get(key)
    if codec is None:
        codec = _others[key] = make(schema, version, prefix)
    return codec


def _check_version(schema: Schema, version: int) -> None:
    if not schema.first <= version <= schema.last:
        raise ValueError(f"{schema.name} has versions {schema.first}-{schema.last}, not {version}")


def _decoder(schema: Schema, version: int, prefix: str) -> _Codec:
    _check_version(schema, version)
    struct_name = schema.response if prefix == "response" else schema.request
    return compile_decoder(schema, message_classes(schema.name), version, struct_name, prefix)


def _encoder(schema: Schema, version: int, prefix: str) -> _Codec:
    _check_version(schema, version)
    struct_name = schema.response if prefix == "response" else schema.request
    return compile_encoder(schema, version, struct_name, prefix)
