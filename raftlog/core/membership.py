"""Which configuration is in force.

A configuration is active as soon as its entry is appended, committed or not, and an entry
that is cut off takes its configuration with it (Raft paper, section 6; dissertation, 4.1).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from raftlog.errors import CorruptLog, PeerFault
from raftlog.types import Configuration, ReplicaId

MAX_MEMBERS = 255
"""Per list of a configuration; the encoding's bound."""

_VERSION = 1
_MEMBER = struct.Struct(">IB")


class Membership:
    """The configurations of one log, from its snapshot's on, newest last."""

    __slots__ = ("_history", "active")

    def __init__(self, base: Configuration, later: Sequence[tuple[int, Configuration]]) -> None:
        self._history: list[tuple[int, Configuration]] = [(0, base), *later]
        self.active = self._history[-1][1]

    def append(self, index: int, configuration: Configuration) -> None:
        """The entry at `index` holds `configuration`, which is now in force."""
        self._history.append((index, configuration))
        self.active = configuration

    @property
    def index(self) -> int:
        """Index of the entry that holds the active configuration; 0: the snapshot or the birth."""
        return self._history[-1][0]

    @property
    def previous(self) -> Configuration:
        """The one before the active one, as far as the log still tells; else the active one."""
        return self._history[max(0, len(self._history) - 2)][1]

    def at(self, index: int) -> Configuration:
        """The configuration in force at `index`, which is not below the snapshot."""
        for first, configuration in reversed(self._history):
            if first <= index:
                return configuration
        return self._history[0][1]

    def truncate(self, first: int) -> None:
        """The log was cut at `first`: fall back to the configuration before it."""
        while len(self._history) > 1 and self._history[-1][0] >= first:
            self._history.pop()
        self.active = self._history[-1][1]

    def compact(self, index: int, configuration: Configuration) -> None:
        """The log up to `index` became a snapshot that holds `configuration`."""
        later = [item for item in self._history[1:] if item[0] > index]
        self._history = [(0, configuration), *later]
        self.active = self._history[-1][1]


def voters_of(configuration: Configuration) -> tuple[ReplicaId, ...]:
    """Everyone whose vote counts, once each, in a fixed order."""
    if not configuration.outgoing:
        return configuration.voters
    return tuple(dict.fromkeys(configuration.voters + configuration.outgoing))


def members_of(configuration: Configuration) -> tuple[ReplicaId, ...]:
    """Everyone the leader replicates to, itself included, once each, in a fixed order."""
    return tuple(dict.fromkeys(voters_of(configuration) + configuration.learners))


def encode_configuration(configuration: Configuration) -> bytes:
    """The payload of a CONFIG entry: version, then voters, outgoing and learners."""
    parts = [bytes((_VERSION,))]
    for members in configuration:
        if len(members) > MAX_MEMBERS:
            raise ValueError(f"a configuration lists at most {MAX_MEMBERS} replicas")
        parts.append(bytes((len(members),)))
        for member in members:
            parts.append(_MEMBER.pack(member.node, len(member.directory)) + member.directory)
    return b"".join(parts)


def decode_configuration(payload: bytes) -> Configuration:
    """The configuration in a CONFIG entry's payload; ValueError when it holds none."""
    if payload[:1] != bytes((_VERSION,)):
        raise ValueError("not a configuration of a known version")
    try:
        at = 1
        lists: list[tuple[ReplicaId, ...]] = []
        for _ in range(3):
            members, at = _decode_members(payload, at)
            lists.append(members)
    except (struct.error, IndexError):
        raise ValueError("a configuration ends too early") from None
    if at != len(payload):
        raise ValueError(f"{len(payload) - at} bytes follow a configuration")
    return Configuration(*lists)


def _decode_members(payload: bytes, at: int) -> tuple[tuple[ReplicaId, ...], int]:
    count = payload[at]
    at += 1
    members = []
    for _ in range(count):
        node, length = _MEMBER.unpack_from(payload, at)
        at += _MEMBER.size
        if at + length > len(payload):
            raise IndexError(at)
        members.append(ReplicaId(node, payload[at : at + length]))
        at += length
    return tuple(members), at


def configuration_from_peer(index: int, payload: bytes) -> Configuration:
    """Like `decode_configuration`, for an entry that a leader sent: PeerFault."""
    try:
        return decode_configuration(payload)
    except ValueError as error:
        raise PeerFault(f"CONFIG entry {index} cannot be read: {error}") from None


def configuration_from_disk(index: int, payload: bytes) -> Configuration:
    """Like `decode_configuration`, for an entry of this machine's log: CorruptLog."""
    try:
        return decode_configuration(payload)
    except ValueError as error:
        raise CorruptLog(f"CONFIG entry {index} cannot be read: {error}") from None
