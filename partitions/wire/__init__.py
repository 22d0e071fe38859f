"""The Kafka wire protocol: bytes to messages and back. Sans-I/O.

The schemas of every API and version are data files (`schemas/`, written by `generate` from
kio's classes). `messages` makes one class per struct for all versions; `decoding` and
`encoding` compile, the first time an API and version is met, one flat function each way;
`frames` is the front door.

Rules: what comes in is hostile. Whatever is wrong with a frame is a MalformedFrame and
nothing else; every length is checked against the bytes that remain before anything is
allocated for it, and a request may hold `REQUEST_ELEMENTS_MAX` array elements in all;
trailing bytes are refused, unknown tags skipped. What goes out comes from our own handlers, so
a value that does not fit is a bug and raises struct.error, TypeError or ValueError.

Values: field names are snake_case without the unit (`throttle_time`, `max_wait`: int32
milliseconds), times are int milliseconds, error codes int, uuids 16 raw bytes (zero for
none), `records` a memoryview into the frame: copy what must outlive the request. Arrays
default to `()`. Absent tagged structs are None.

A struct's name that means two things in one API is prefixed: `RequestPartitionData`,
`ResponsePartitionData`. Start reading at `frames.decode_request`.
"""

from __future__ import annotations

from partitions.wire.apikeys import ApiKey
from partitions.wire.decoding import REQUEST_ELEMENTS_MAX
from partitions.wire.errorcodes import error_finder
from partitions.wire.errors import MalformedFrame, UnsupportedApi
from partitions.wire.frames import (
    RequestHeader,
    api_versions,
    data_messages,
    decode_data,
    decode_request,
    decode_response,
    encode_data,
    encode_request,
    encode_response,
    messages,
    peek_header,
    supports,
)
from partitions.wire.messages import Message

__all__ = [
    "ApiKey",
    "REQUEST_ELEMENTS_MAX",
    "MalformedFrame",
    "Message",
    "RequestHeader",
    "UnsupportedApi",
    "api_versions",
    "data_messages",
    "decode_data",
    "decode_request",
    "decode_response",
    "encode_data",
    "encode_request",
    "encode_response",
    "error_finder",
    "messages",
    "peek_header",
    "supports",
]
