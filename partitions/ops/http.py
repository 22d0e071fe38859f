"""As much of HTTP/1.1 as a GET without a body needs, from clients that are not trusted.

A request is its head: the request line and the headers up to an empty line, HEAD_BYTES_MAX in
all. Every response closes the connection. Whatever is not such a request is refused with a
status that says why; nothing that a client sends is echoed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

HEAD_BYTES_MAX = 8192
LINE_BYTES_MAX = 2048
"""Of the request line."""
HEADERS_MAX = 64

REASONS = MappingProxyType(
    {
        200: "OK",
        400: "Bad Request",
        404: "Not Found",
        405: "Method Not Allowed",
        414: "URI Too Long",
        431: "Request Header Fields Too Large",
        500: "Internal Server Error",
        503: "Service Unavailable",
        505: "HTTP Version Not Supported",
    }
)
PLAIN = "text/plain; charset=utf-8"
JSON = "application/json"

_END = b"\r\n\r\n"
_LINE = re.compile(rb"([!-~]+) ([!-~]+) HTTP/([0-9])\.([0-9])")
_HEADER = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):([\t -~\x80-\xff]*)")
"""No two parts of it can match the same bytes: a hostile header is refused in linear time."""


class Request(NamedTuple):
    """A GET."""

    path: str
    """Without the query."""
    accept: str
    """The Accept header, "" when there is none; in lower case."""


class Refused(Exception):
    """Not a request that is answered; `status` says why."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


def head_length(data: bytes | bytearray) -> int:
    """Bytes of the request's head at the start of `data`; 0 when it is not whole yet.

    Raises Refused when it cannot become one within the bounds.
    """
    end = data.find(_END, 0, HEAD_BYTES_MAX)
    line_end = data.find(b"\r\n", 0, LINE_BYTES_MAX + 2)
    if line_end < 0 and len(data) >= LINE_BYTES_MAX + 2:
        raise Refused(414, f"the request line has more than {LINE_BYTES_MAX} bytes")
    if end < 0 and len(data) >= HEAD_BYTES_MAX:
        raise Refused(431, f"the request has more than {HEAD_BYTES_MAX} bytes before its end")
    return end + len(_END) if end >= 0 else 0


def parse(head: bytes) -> Request:
    """A whole head, its empty line included. Raises Refused."""
    line, *headers = head.removesuffix(_END).split(b"\r\n")
    match = _LINE.fullmatch(line)
    if match is None:
        raise Refused(400, "the first line is not that of an HTTP request")
    method, target, major, minor = match.groups()
    if major != b"1":
        raise Refused(505, "HTTP/1.1 is spoken here")
    if method != b"GET":
        raise Refused(405, "only GET is answered here")
    if not target.startswith(b"/"):
        raise Refused(400, "the target is no path")
    fields = _headers(headers)
    if minor != b"0" and "host" not in fields:
        raise Refused(400, "there is no Host header")
    if fields.get("content-length", "0") != "0" or "transfer-encoding" in fields:
        raise Refused(400, "a GET has no body here")
    return Request(target.split(b"?", 1)[0].decode("ascii"), fields.get("accept", "").lower())


def _headers(lines: list[bytes]) -> dict[str, str]:
    if len(lines) > HEADERS_MAX:
        raise Refused(431, f"there are more than {HEADERS_MAX} headers")
    fields: dict[str, str] = {}
    for line in lines:
        match = _HEADER.fullmatch(line)
        if match is None:
            raise Refused(400, "a header is malformed")
        name, value = match[1].decode("ascii").lower(), match[2].strip(b" \t").decode("latin-1")
        if name in fields and name in ("host", "content-length"):
            raise Refused(400, f"there are two {name} headers")
        fields[name] = f"{fields[name]}, {value}" if name in fields else value
    return fields


def response_head(
    status: int, content_type: str, length: int, more: Mapping[str, str] = MappingProxyType({})
) -> bytes:
    """The head of a response whose body has `length` bytes."""
    fields = {
        "Content-Type": content_type,
        "Content-Length": str(length),
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "Connection": "close",
        **more,
    }
    lines = [f"HTTP/1.1 {status} {REASONS[status]}", *(f"{k}: {v}" for k, v in fields.items())]
    return "\r\n".join([*lines, "", ""]).encode("ascii")
