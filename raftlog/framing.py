"""Cutting a byte stream into the frames of the peer wire; what is inside them is codec's.

A frame is a u32 length, big-endian, and that many bytes. The length is checked before a byte
of the frame is kept, so that a peer cannot make this node reserve what it will never send.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import Final

from raftlog.errors import PeerFault
from raftlog.types import Buffer

PREFIX: Final = Struct(">I")
PREFIX_BYTES: Final = 4
HEADER_BYTES: Final = 2
"""Version and type: the shortest frame there can be."""
MAX_FRAME_BYTES: Final = 256 * 1024 * 1024
"""Default bound on one frame; a transport should set a lower one from its largest append."""


def frame_bytes(prefix: Buffer, offset: int = 0, *, max_frame_bytes: int = MAX_FRAME_BYTES) -> int:
    """How many bytes follow the 4-byte prefix at `offset`; PeerFault when not allowed."""
    length: int = PREFIX.unpack_from(prefix, offset)[0]
    if not HEADER_BYTES <= length <= max_frame_bytes:
        raise PeerFault(f"frame of {length} bytes; allowed are {HEADER_BYTES}..{max_frame_bytes}")
    return length


class FrameSplitter:
    """Holds at most one incomplete frame of a stream. Of no more use after a PeerFault."""

    __slots__ = ("_max_frame_bytes", "_rest", "_wanted")

    def __init__(self, max_frame_bytes: int = MAX_FRAME_BYTES) -> None:
        self._max_frame_bytes = max_frame_bytes
        self._rest = bytearray()
        self._wanted = PREFIX_BYTES

    def feed(self, data: Buffer) -> Iterator[memoryview]:
        """The frames that `data` completes, without prefix.

        The iterator must be run to its end before the next call.
        """
        self._rest += data
        if len(self._rest) < self._wanted:
            return iter(())
        source, self._rest = bytes(self._rest), bytearray()
        return self._split(memoryview(source))

    @property
    def buffered(self) -> int:
        """Bytes held of an incomplete frame."""
        return len(self._rest)

    def _split(self, view: memoryview) -> Iterator[memoryview]:
        start, end = 0, len(view)
        self._wanted = PREFIX_BYTES
        while end - start >= PREFIX_BYTES:
            length = frame_bytes(view, start, max_frame_bytes=self._max_frame_bytes)
            after = start + PREFIX_BYTES + length
            if after > end:
                self._wanted = PREFIX_BYTES + length
                break
            yield view[start + PREFIX_BYTES : after]
            start = after
        self._rest += view[start:]
