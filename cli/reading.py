"""What lines of input say: records as text, or as JSON."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Iterator
from typing import IO, Any, NamedTuple

from cli.exits import CommandFailed, ExitCode

LINE_BYTES_MAX = 64 * 1024 * 1024
"""A longer line is refused rather than read into memory."""
NOW = 0
"""What librdkafka takes for a timestamp that was not given."""
_IGNORED = frozenset(("topic", "offset"))
"""Of lines that `quorate consume --output json` wrote."""
_KNOWN = frozenset(("key", "value", "headers", "timestamp_ms", "partition"))

Headers = list[tuple[str, bytes | None]]


class Outgoing(NamedTuple):
    """One record to send."""

    key: bytes | None
    value: bytes | None
    headers: Headers | None = None
    timestamp_ms: int = NOW
    partition: int = -1
    """-1: by the key."""


class Text(NamedTuple):
    """How lines of text are read."""

    separator: bytes | None = None
    """Between key and value; a line without it has no key."""
    key_encoding: str = "text"
    value_encoding: str = "text"
    null: bytes | None = None
    """A key or a value that is this is none at all."""


def text_records(source: IO[bytes], how: Text) -> Iterator[Outgoing]:
    """A record per line, without its line end. CommandFailed for a line that is not one."""
    separator, key_encoding, value_encoding, null = how
    decode_key, decode_value = _DECODERS[key_encoding], _DECODERS[value_encoding]
    for number, line in enumerate(lines(source), 1):
        key: bytes | None = None
        value: bytes | None = line
        if separator is not None and separator in line:
            key, _, value = line.partition(separator)
        try:
            yield Outgoing(
                None if key is None or key == null else decode_key(key),
                None if value is None or value == null else decode_value(value),
            )
        except (ValueError, binascii.Error) as error:
            encodings = f"{key_encoding} key or {value_encoding} value"
            raise _refused(number, f"not a {encodings}: {error}") from error


def json_records(source: IO[bytes]) -> Iterator[Outgoing]:
    """A record per line, each a JSON object; CommandFailed for a line that is not one."""
    for number, line in enumerate(lines(source), 1):
        if not line.strip():
            continue
        try:
            yield _record(json.loads(line))
        except (ValueError, RecursionError) as error:
            raise _refused(number, str(error)) from error


def lines(source: IO[bytes]) -> Iterator[bytes]:
    """Without their ends."""
    while line := source.readline(LINE_BYTES_MAX + 1):
        if len(line) > LINE_BYTES_MAX:
            raise CommandFailed(f"a line is longer than {LINE_BYTES_MAX} bytes", ExitCode.USAGE)
        yield line.removesuffix(b"\n").removesuffix(b"\r")


def _refused(number: int, why: str) -> CommandFailed:
    return CommandFailed(f"line {number} of the input: {why}", ExitCode.USAGE)


def _record(found: Any) -> Outgoing:
    """ValueError for anything that is not the description of a record."""
    if not isinstance(found, dict):
        raise ValueError("a JSON object is expected")
    unknown = found.keys() - _KNOWN - _IGNORED
    if unknown:
        raise ValueError(f"{sorted(unknown)[0]!r} is not known; {', '.join(sorted(_KNOWN))} are")
    return Outgoing(
        _bytes(found.get("key"), "key"),
        _bytes(found.get("value"), "value"),
        _headers(found.get("headers")),
        _number(found, "timestamp_ms", NOW, 2**63 - 1),
        _number(found, "partition", -1, 2**31 - 1),
    )


def _bytes(found: Any, name: str) -> bytes | None:
    """Text, {"hex": text}, {"base64": text}, or null."""
    if found is None:
        return None
    if isinstance(found, str):
        return found.encode()
    if isinstance(found, dict) and len(found) == 1:
        (encoding, text) = next(iter(found.items()))
        if encoding in _DECODERS and isinstance(text, str):
            return _DECODERS[encoding](text.encode())
    raise ValueError(f'{name}: text, {{"hex": "..."}}, {{"base64": "..."}} or null is expected')


def _headers(found: Any) -> Headers | None:
    """A list of [name, value], or an object; names may repeat in a list."""
    if found is None:
        return None
    pairs = list(found.items()) if isinstance(found, dict) else found
    shaped = isinstance(pairs, list) and all(
        isinstance(pair, list | tuple) and len(pair) == 2 and isinstance(pair[0], str)
        for pair in pairs
    )
    if not shaped:
        raise ValueError("headers: a list of [name, value] or an object is expected")
    return [(name, _bytes(value, f"header {name!r}")) for name, value in pairs]


def _number(found: dict[str, Any], name: str, default: int, most: int) -> int:
    number = found.get(name)
    if number is None:
        return default
    if type(number) is not int or not 0 <= number <= most:
        raise ValueError(f"{name}: a whole number from 0 to {most} is expected")
    return number


def _base64(data: bytes) -> bytes:
    return base64.b64decode(data, validate=True)


_DECODERS: dict[str, Callable[[bytes], bytes]] = {
    "text": bytes,
    "hex": binascii.unhexlify,
    "base64": _base64,
}
