"""Coalesced heartbeats: one small frame per peer and interval speaks for every steady group.

A leader whose follower matches its log and knows its commit index *covers* the group for that
follower: it adds (group, term) to the list of the next peer heartbeat, and from then on each
heartbeat vouches for all listed groups by their count and a digest. The follower keeps the
same list and stops its election timers for the groups in it; when the peer's heartbeats stop,
or when a group has moved on to another term or leader, the group is uncovered and times itself
again. Whatever is in doubt is uncovered: covering saves work and never decides anything.

Lists live as long as one connection. An answer names the groups the follower does not (or no
longer) hold, and says whether count and digest agree; on a mismatch the leader starts over
with a heartbeat marked `fresh`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import NamedTuple

from raftlog.errors import PeerFault
from raftlog.types import Buffer

ADDITIONS_MAX = 2_000
"""Groups added by one heartbeat; the rest wait for the next."""

_HEAD = struct.Struct("<QBIQHH")
_PAIR = struct.Struct("<QQ")
_GROUP = struct.Struct("<Q")
_REPLY = struct.Struct("<QBH")
_MASK = 2**64 - 1
OFFLINE_MAX = 8_192
"""Groups that one frame names as offline; more take several frames."""


def _mix(group: int, term: int) -> int:
    """A 64-bit fingerprint of (group, term); digests are xors of these (splitmix64's finisher)."""
    x = (group * 0x9E3779B97F4A7C15 + term * 0xC2B2AE3D27D4EB4F) & _MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & _MASK
    return x ^ (x >> 31)


class CoveredSet:
    """(group -> term) with its digest kept up to date."""

    __slots__ = ("digest", "terms")

    def __init__(self) -> None:
        self.terms: dict[int, int] = {}
        self.digest = 0

    def add(self, group: int, term: int) -> None:
        """Put `group` in at `term`, replacing an earlier term."""
        self.discard(group)
        self.terms[group] = term
        self.digest ^= _mix(group, term)

    def discard(self, group: int) -> bool:
        """Take `group` out; False if it was not in."""
        term = self.terms.pop(group, None)
        if term is None:
            return False
        self.digest ^= _mix(group, term)
        return True

    def clear(self) -> list[int]:
        """Empty the set and return what was in it."""
        groups = list(self.terms)
        self.terms.clear()
        self.digest = 0
        return groups


class PeerHeartbeat(NamedTuple):
    """What the sender vouches for: the set after `added` and `removed` were applied."""

    sequence: int
    fresh: bool
    """The follower forgets what it held before applying `added`."""
    count: int  # type: ignore[assignment]  # takes the name of tuple.count
    digest: int
    added: list[tuple[int, int]]
    """(group, term)"""
    removed: list[int]


def encode_heartbeat(beat: PeerHeartbeat) -> bytes:
    """A heartbeat's body."""
    sequence, fresh, count, digest, added, removed = beat
    parts = [_HEAD.pack(sequence, fresh, count, digest, len(added), len(removed))]
    parts.extend(_PAIR.pack(group, term) for group, term in added)
    parts.extend(map(_GROUP.pack, removed))
    return b"".join(parts)


def decode_heartbeat(body: Buffer) -> PeerHeartbeat:
    """The opposite of `encode_heartbeat`; PeerFault if the lengths do not add up."""
    if len(body) < _HEAD.size:
        raise PeerFault("peer heartbeat is shorter than its header")
    sequence, fresh, count, digest, n_added, n_removed = _HEAD.unpack_from(body)
    middle = _HEAD.size + n_added * _PAIR.size
    if len(body) != middle + n_removed * _GROUP.size:
        raise PeerFault("peer heartbeat's lists do not fill its frame")
    view = memoryview(body)
    added = list(_PAIR.iter_unpack(view[_HEAD.size : middle]))
    removed = [group for (group,) in _GROUP.iter_unpack(view[middle:])]
    return PeerHeartbeat(sequence, bool(fresh), count, digest, added, removed)


def encode_reply(sequence: int, agrees: bool, refused: Iterable[int]) -> bytes:
    """The answer: whether the sets agree, and the groups the follower does not hold."""
    groups = list(refused)
    return _REPLY.pack(sequence, agrees, len(groups)) + b"".join(map(_GROUP.pack, groups))


def decode_reply(body: Buffer) -> tuple[int, bool, list[int]]:
    """The opposite of `encode_reply`."""
    if len(body) < _REPLY.size:
        raise PeerFault("peer heartbeat reply is shorter than its header")
    sequence, agrees, n_refused = _REPLY.unpack_from(body)
    if len(body) != _REPLY.size + n_refused * _GROUP.size:
        raise PeerFault("peer heartbeat reply's list does not fill its frame")
    view = memoryview(body)[_REPLY.size :]
    return sequence, bool(agrees), [group for (group,) in _GROUP.iter_unpack(view)]


def encode_offline(groups: Iterable[int]) -> list[bytes]:
    """Frame bodies, at least one: all groups the sender has out of service."""
    ids = sorted(groups)
    chunks = [ids[at : at + OFFLINE_MAX] for at in range(0, len(ids), OFFLINE_MAX)] or [[]]
    return [
        bytes([number == 0]) + b"".join(map(_GROUP.pack, chunk))
        for number, chunk in enumerate(chunks)
    ]


def decode_offline(body: Buffer) -> tuple[bool, list[int]]:
    """(does it begin a new list, groups); PeerFault for anything else."""
    if len(body) % _GROUP.size != 1 or len(body) > 1 + OFFLINE_MAX * _GROUP.size:
        raise PeerFault("a list of offline groups does not fill its frame")
    return bool(body[0]), [group for (group,) in _GROUP.iter_unpack(memoryview(body)[1:])]
