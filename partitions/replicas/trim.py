"""The one CONTROL entry of a partition's log: the log start moves up to an offset.

Retention and DeleteRecords both propose it; every replica applies it when it is committed.
"""

from __future__ import annotations

from struct import Struct

from raftlog.errors import CorruptLog

_TRIM = Struct(">BBQ")
_VERSION, _KIND = 1, 1


def encode_trim(log_start_offset: int) -> bytes:
    """The entry's payload."""
    return _TRIM.pack(_VERSION, _KIND, log_start_offset)


def decode_trim(payload: bytes) -> int:
    """The new log start offset; CorruptLog for anything `encode_trim` did not write."""
    if len(payload) != _TRIM.size or payload[:2] != bytes((_VERSION, _KIND)):
        raise CorruptLog(
            "the log has a control entry this release does not know: upgrade this broker"
        )
    return int(_TRIM.unpack(payload)[2])
