"""Frames that a hostile or broken client may send, by seed: requests of every API that is served,
as they should be or spoiled, and bytes that are nothing at all."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from partitions import wire
from partitions.api import APIS, Api
from partitions.wire.schema import FIXED, Field
from tests.partitions.api.requests import batch
from tests.partitions.wire.bodies import Path, request_body

LENGTHS = (0, -1, 1, 7, 0x7FFF, 0x10000, 0x7FFFFFFF, -0x80000000)
BATCH = batch(3)
_BITS = {"b": 8, "h": 16, "i": 32, "q": 64}
_TEXTS = ("", "t", "fuzz", "\0", "ü" * 9, "n" * 300, "/etc", "..", "a b", "1", "2")


class Hostile:
    """An endless source of frames; the same seed gives the same ones."""

    def __init__(self, seed: int, topics: tuple[str, ...] = ("fuzz",), ids: tuple[bytes, ...] = ()):
        """`topics`, `ids`: names and ids of topics that exist."""
        self._random = Random(seed)
        self._topics = topics
        self._ids = ids or (bytes(16),)
        self._kinds: list[tuple[str, Callable[[], bytes]]] = [
            ("valid", self._valid),
            ("odd", self._odd),
            ("bits", self._bits),
            ("cut", self._cut),
            ("lengths", self._lengths),
            ("version", self._version),
            ("size", self._size),
            ("noise", self._noise),
            ("tail", self._tail),
        ]

    def frames(self, count: int) -> Iterator[tuple[str, bytes]]:
        """(kind, bytes to send) so many times."""
        for _ in range(count):
            kind, make = self._random.choice(self._kinds)
            yield kind, make()

    # --- kinds

    def _valid(self) -> bytes:
        """A request that means something."""
        return self._request(self._random.choice(APIS), self._sensible)

    def _odd(self) -> bytes:
        """One whose bytes are right and whose values may be anything."""
        return self._request(self._random.choice(APIS), self._anything)

    def _bits(self) -> bytes:
        """Some bits of a request are turned, those of its size left alone."""
        frame = bytearray(self._any())
        for _ in range(self._random.choice((1, 1, 2, 8))):
            at = self._random.randrange(4, len(frame))
            frame[at] ^= 1 << self._random.randrange(8)
        return bytes(frame)

    def _cut(self) -> bytes:
        """A request that ends too early, with the size that it has or the one that it should."""
        frame = self._any()
        kept = frame[: self._random.randrange(4, len(frame))]
        return kept if self._random.random() < 0.3 else _framed(kept[4:])

    def _lengths(self) -> bytes:
        """A length, or what may be one, says something else."""
        frame = bytearray(self._any())
        code = self._random.choice("hiq")
        at = self._random.randrange(8, max(9, len(frame) - 8))
        value = struct.pack(">q", self._random.choice(LENGTHS))[-struct.calcsize(code) :]
        if self._random.random() < 0.4:  # of a compact one
            value = b"\xff\xff\xff\xff" + self._random.choice((b"\x07", b"\x0f", b"\x7f", b"\xff"))
        frame[at : at + len(value)] = value
        return _framed(bytes(frame[4:]))

    def _version(self) -> bytes:
        """An API or a version that is not served."""
        frame = bytearray(self._any())
        key, version = struct.unpack_from(">hh", frame, 4)
        if self._random.random() < 0.5:
            version = self._random.choice((-1, version + 1, version - 1, 99, 0x7FFF))
        else:
            key = self._random.choice(
                (-1, key ^ 0x40, 999, self._random.randrange(-0x8000, 0x8000))
            )
        struct.pack_into(">hh", frame, 4, key, version)
        return bytes(frame)

    def _size(self) -> bytes:
        """The size prefix lies."""
        frame = self._any()
        size = self._random.choice((*LENGTHS, len(frame) - 5, len(frame) - 3, 99 << 20, 1 << 20))
        return struct.pack(">i", size) + frame[4:]

    def _noise(self) -> bytes:
        """Random bytes, framed or not."""
        noise = self._random.randbytes(self._random.choice((1, 4, 30, 3000)))
        return noise if self._random.random() < 0.5 else _framed(noise)

    def _tail(self) -> bytes:
        """Something follows the request inside its frame."""
        return _framed(self._any()[4:] + self._random.randbytes(self._random.choice((1, 3, 40))))

    # --- requests

    def _any(self) -> bytes:
        return self._valid() if self._random.random() < 0.5 else self._odd()

    def _request(self, api: Api, value: Callable[[Field, str], Any]) -> bytes:
        version = self._random.randint(api.first, api.last)
        client_id = self._random.choice(("fuzz", "", None, "x" * 200))
        body = request_body(int(api.key), version, value, self._count)
        buffers = wire.encode_request(
            api.key, version, self._random.randrange(1 << 31), client_id, body
        )
        return b"".join(buffers)

    def _count(self, path: Path) -> int:
        few = len(path) > 2
        return self._random.choice((0, 1, 1, 1, 2) if few else (0, 1, 1, 1, 2, 3, 30))

    def _sensible(self, field: Field, kind: str) -> Any:
        random = self._random
        if kind == "string":
            return random.choice(self._topics)
        if kind == "uuid":
            return random.choice(self._ids)
        if kind == "int8" and field.name == "resource_type":
            return random.choice((2, 4))
        if kind in ("records", "bytes"):
            return self._records()
        if field.name in ("timeout", "max_wait"):
            return random.choice((0, 1, 20))
        if field.name in ("replica_id", "session_id", "current_leader_epoch", "session_epoch"):
            return -1
        if field.name == "num_partitions" or field.name == "count":
            return random.choice((-1, 1, 2))
        return self._anything(field, kind) if kind == "bool" else random.choice((0, 1, -1, 2))

    def _anything(self, field: Field, kind: str) -> Any:
        random = self._random
        if kind == "string":
            return random.choice((*_TEXTS, *self._topics))
        if kind == "uuid":
            return random.choice((*self._ids, bytes(16), random.randbytes(16)))
        if kind in ("records", "bytes"):
            return self._records()
        if kind == "bool":
            return random.random() < 0.5
        if kind == "float64":
            return random.choice((0.0, -1.5, float("inf"), float("nan")))
        if kind == "uint16":
            return random.randrange(1 << 16)
        half = 1 << (_BITS[FIXED[kind]] - 1)
        if field.name in ("timeout", "max_wait") and random.random() < 0.9:
            return 5  # else a connection does nothing but wait
        return random.choice((0, -1, 1, 2, 100, -half, half - 1, random.randrange(-half, half)))

    def _records(self) -> bytes:
        random = self._random
        data = bytearray(BATCH)
        spoil = random.random()
        if spoil < 0.5:
            return bytes(data)
        if spoil < 0.8:
            data[random.randrange(len(data))] ^= 1 << random.randrange(8)
            return bytes(data)
        return random.randbytes(random.choice((0, 1, 60, 61, 200)))


def _framed(content: bytes) -> bytes:
    return struct.pack(">i", len(content)) + content
