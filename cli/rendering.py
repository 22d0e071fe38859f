"""Records as bytes for stdout: by a template, or as lines of JSON."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from cli.exits import CommandFailed, ExitCode

if TYPE_CHECKING:
    from confluent_kafka import Message

Printer = Callable[["Message"], bytes]
Encoder = Callable[[bytes], bytes]

DEFAULT_FORMAT = r"%s\n"
ENCODINGS = ("text", "hex", "base64")
_ENCODERS: dict[str, Encoder] = {
    "text": bytes,
    "hex": binascii.hexlify,
    "base64": base64.b64encode,
}
_KNOWN = (
    "%t topic, %p partition, %o offset, %k key, %s value, %h headers, %T timestamp (ms), "
    "%K and %S bytes of key and value"
)
FORMAT_HELP = f"{_KNOWN}, \\n \\t."
_TOKEN = re.compile(r"%.?|\\[ntr0\\]", re.DOTALL)
_ESCAPES = {"\\n": b"\n", "\\t": b"\t", "\\r": b"\r", "\\0": b"\0", "\\\\": b"\\", "%%": b"%"}


def formatter(template: str, key: str = "text", value: str = "text") -> Printer:
    """Compile a --format template (kcat's letters) into a function of a record.

    CommandFailed for letters that mean nothing.
    """
    fields = _fields(_ENCODERS[key], _ENCODERS[value])
    parts: list[bytes | Printer] = []
    position = 0
    for match in _TOKEN.finditer(template):
        parts.append(template[position : match.start()].encode())
        part = fields.get(match.group()) or _ESCAPES.get(match.group())
        if part is None:
            raise CommandFailed(
                f"--format: {match.group()} is not known; {_KNOWN} and %% for a % are",
                ExitCode.USAGE,
            )
        parts.append(part)
        position = match.end()
    parts.append(template[position:].encode())

    def render(message: Message) -> bytes:
        return b"".join(part if isinstance(part, bytes) else part(message) for part in parts)

    return render


def _fields(key: Encoder, value: Encoder) -> dict[str, Printer]:
    return {
        "%t": lambda message: (message.topic() or "").encode(),
        "%p": lambda message: b"%d" % (message.partition() or 0),
        "%o": lambda message: b"%d" % (message.offset() or 0),
        "%k": lambda message: key(_bytes(message.key())),
        "%s": lambda message: value(_bytes(message.value())),
        "%K": lambda message: b"%d" % len(_bytes(message.key())),
        "%S": lambda message: b"%d" % len(_bytes(message.value())),
        "%h": _headers,
        "%T": lambda message: b"%d" % message.timestamp()[1],
    }


def _headers(message: Message) -> bytes:
    """`name=value`, separated by commas."""
    parts = ((header[0].encode(), _bytes(header[1])) for header in message.headers() or ())
    return b",".join(b"%b=%b" % part for part in parts)


def _bytes(data: bytes | str | None) -> bytes:
    return data.encode() if isinstance(data, str) else data or b""


def json_lines(key: str = "text", value: str = "text") -> Printer:
    """Records as lines of JSON, which `quorate produce --input json` takes again.

    With the encoding `text`, bytes that are not UTF-8 become {"base64": ...}; with another, all
    bytes become {"hex": ...} or {"base64": ...}.
    """

    def render(message: Message) -> bytes:
        record = {
            "topic": message.topic(),
            "partition": message.partition(),
            "offset": message.offset(),
            "timestamp_ms": message.timestamp()[1],
            "key": _json(message.key(), key),
            "value": _json(message.value(), value),
            "headers": [[each[0], _json(each[1], "text")] for each in message.headers() or ()],
        }
        return json.dumps(record, ensure_ascii=False).encode() + b"\n"

    return render


def _json(data: bytes | str | None, encoding: str) -> str | dict[str, str] | None:
    if data is None:
        return None
    raw = _bytes(data)
    if encoding == "text":
        try:
            return raw.decode()
        except UnicodeDecodeError:
            encoding = "base64"
    return {encoding: _ENCODERS[encoding](raw).decode()}
