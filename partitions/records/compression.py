"""Compressing and bounded decompressing of a batch's records.

Compressed data is hostile: every decompression states the most bytes it may yield, and memory
grows with what really comes out, not with what a length field claims. The libraries are
imported when a codec is first used: a broker that only stores and forwards needs none.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from enum import IntEnum

from partitions.errors import ErrorCode, KafkaError
from raftlog.types import Buffer

DECOMPRESSED_BYTES_MAX = 64 * 1024 * 1024
"""What a batch may expand to unless the caller sets another limit."""

_GZIP_WINDOW_BITS = 31
_GZIP_MEMBERS_MAX = 16
_FIRST_GUESS_RATIO = 8
_GUESS_BYTES_MIN = 16 * 1024
_SNAPPY_RATIO_MAX = 32
"""A snappy copy element of three bytes yields at most 64 (format description, section 2.2)."""

_XERIAL_MAGIC = b"\x82SNAPPY\x00"
_XERIAL_HEAD = struct.Struct(">8sii")
_XERIAL_BLOCK_BYTES = 32 * 1024
_INT32 = struct.Struct(">i")


class Codec(IntEnum):
    """Attribute bits 0-2 of a batch."""

    NONE = 0
    GZIP = 1
    SNAPPY = 2
    LZ4 = 3
    ZSTD = 4


LAST_CODEC = Codec.ZSTD.value


def compress(codec: Codec, data: Buffer) -> Buffer:
    """Compress `data` in the framing that Kafka's Java client uses."""
    return _COMPRESSORS[codec](data)


def decompress(codec: int, data: Buffer, max_bytes: int = DECOMPRESSED_BYTES_MAX) -> Buffer:
    """Expand `data` to at most `max_bytes`.

    Raises KafkaError: CORRUPT_MESSAGE when it is not valid, MESSAGE_TOO_LARGE when it would
    yield more, UNSUPPORTED_COMPRESSION_TYPE for an unknown codec.
    """
    if codec not in _DECOMPRESSORS:
        raise KafkaError(
            ErrorCode.UNSUPPORTED_COMPRESSION_TYPE, f"compression codec {codec} is unknown"
        )
    return _DECOMPRESSORS[codec](data, max_bytes)


def _corrupt(codec: str, reason: object) -> KafkaError:
    return KafkaError(ErrorCode.CORRUPT_MESSAGE, f"{codec} data of the batch is invalid: {reason}")


def _too_large(codec: str, max_bytes: int) -> KafkaError:
    return KafkaError(
        ErrorCode.MESSAGE_TOO_LARGE, f"{codec} data of the batch expands beyond {max_bytes} bytes"
    )


def _identity(data: Buffer) -> Buffer:
    return data


def _bounded_identity(data: Buffer, max_bytes: int) -> Buffer:
    if len(data) > max_bytes:
        raise _too_large("uncompressed", max_bytes)
    return data


def _gzip_compress(data: Buffer) -> Buffer:
    compressor = zlib.compressobj(wbits=_GZIP_WINDOW_BITS)
    return compressor.compress(data) + compressor.flush()


def _gzip_decompress(data: Buffer, max_bytes: int) -> Buffer:
    """One or a few gzip members (RFC 1952, section 2.2); each costs a copy of what follows it."""
    out = bytearray()
    rest: Buffer = data
    for _ in range(_GZIP_MEMBERS_MAX):
        member = zlib.decompressobj(wbits=_GZIP_WINDOW_BITS)
        try:
            out += member.decompress(rest, max_bytes - len(out) + 1)
        except zlib.error as error:
            raise _corrupt("gzip", error) from None
        if len(out) > max_bytes:
            raise _too_large("gzip", max_bytes)
        if not member.eof:
            raise _corrupt("gzip", "it ends too early")
        rest = member.unused_data
        if not rest:
            return out
    raise _corrupt("gzip", f"more than {_GZIP_MEMBERS_MAX} members")


def _snappy_compress(data: Buffer) -> Buffer:
    """The framing of xerial's snappy-java: a header, then blocks with their length."""
    import cramjam

    out = bytearray(_XERIAL_HEAD.pack(_XERIAL_MAGIC, 1, 1))
    view = memoryview(data)
    for start in range(0, len(view), _XERIAL_BLOCK_BYTES):
        block = bytes(cramjam.snappy.compress_raw(view[start : start + _XERIAL_BLOCK_BYTES]))
        out += _INT32.pack(len(block))
        out += block
    return out


def _snappy_decompress(data: Buffer, max_bytes: int) -> Buffer:
    """xerial's framing, or one raw block as librdkafka writes it."""
    view = memoryview(data)
    if bytes(view[: len(_XERIAL_MAGIC)]) != _XERIAL_MAGIC:
        return _snappy_block(view, max_bytes)
    out = bytearray()
    position = _XERIAL_HEAD.size
    if position > len(view):
        raise _corrupt("snappy", "its header is cut off")
    while position < len(view):
        start = position + _INT32.size
        if start > len(view):
            raise _corrupt("snappy", "a block's length is cut off")
        (size,) = _INT32.unpack_from(view, position)
        position = start + size
        if size < 0 or position > len(view):
            raise _corrupt("snappy", f"a block of {size} bytes does not fit")
        out += _snappy_block(view[start:position], max_bytes - len(out))
    return out


def _snappy_block(block: memoryview, max_bytes: int) -> bytes:
    import cramjam

    try:
        size = cramjam.snappy.decompress_raw_len(block)
        if size > max_bytes:
            raise _too_large("snappy", max_bytes)
        if size > _SNAPPY_RATIO_MAX * len(block):
            raise _corrupt("snappy", f"{len(block)} bytes cannot expand to {size}")
        return bytes(cramjam.snappy.decompress_raw(block))
    except cramjam.DecompressionError as error:
        raise _corrupt("snappy", error) from None


def _lz4_compress(data: Buffer) -> Buffer:
    import lz4.frame

    compressed: bytes = lz4.frame.compress(
        data, block_size=lz4.frame.BLOCKSIZE_MAX64KB, store_size=False
    )
    return compressed


def _lz4_decompress(data: Buffer, max_bytes: int) -> Buffer:
    """Exactly one LZ4 frame."""
    import lz4.frame

    frame = lz4.frame.LZ4FrameDecompressor()
    try:
        out: bytes = frame.decompress(data, max_length=max_bytes + 1)
    except RuntimeError as error:
        raise _corrupt("lz4", error) from None
    if len(out) > max_bytes:
        raise _too_large("lz4", max_bytes)
    if not frame.eof:
        raise _corrupt("lz4", "it ends too early")
    if frame.unused_data:
        raise _corrupt("lz4", f"{len(frame.unused_data)} bytes follow the frame")
    return out


def _zstd_compress(data: Buffer) -> Buffer:
    import cramjam

    return bytes(cramjam.zstd.compress(data))


def _zstd_decompress(data: Buffer, max_bytes: int) -> Buffer:
    """The size a frame claims is not believed: the output buffer doubles until it suffices."""
    import cramjam

    size = min(max(len(data) * _FIRST_GUESS_RATIO, _GUESS_BYTES_MIN), max_bytes)
    while True:
        out = bytearray(size)
        try:
            used = cramjam.zstd.decompress_into(data, out)
        except cramjam.DecompressionError as error:
            if "failed to write whole buffer" not in str(error):
                raise _corrupt("zstd", error) from None
            if size == max_bytes:
                raise _too_large("zstd", max_bytes) from None
            size = min(size * 4, max_bytes)
            continue
        del out[used:]
        return out


_COMPRESSORS: dict[int, Callable[[Buffer], Buffer]] = {
    Codec.NONE: _identity,
    Codec.GZIP: _gzip_compress,
    Codec.SNAPPY: _snappy_compress,
    Codec.LZ4: _lz4_compress,
    Codec.ZSTD: _zstd_compress,
}
_DECOMPRESSORS: dict[int, Callable[[Buffer, int], Buffer]] = {
    Codec.NONE: _bounded_identity,
    Codec.GZIP: _gzip_decompress,
    Codec.SNAPPY: _snappy_decompress,
    Codec.LZ4: _lz4_decompress,
    Codec.ZSTD: _zstd_decompress,
}
