"""Errors of raftlog. The type says whose fault it was; the text says what to do."""

from __future__ import annotations

from raftlog.types import ReplicaId


class RaftError(Exception):
    """Base of everything raftlog raises on purpose."""


class NotLeader(RaftError):
    """The caller asked a replica that does not lead (or does not lead *yet*: no-op uncommitted)."""

    def __init__(self, text: str, leader: ReplicaId | None = None) -> None:
        """`leader`: whom to ask, as far as known; this replica itself: it does not serve yet."""
        super().__init__(text)
        self.leader = leader


class OutcomeUnknown(RaftError):
    """Leadership was lost, or this node stopped, before the command was known to be committed.

    The next leader may commit it or not: repeat it only if applying it twice does no harm.
    """


class Overloaded(RaftError):
    """A bound was reached (uncommitted bytes, queue): the caller may try again later."""


class ChangeRefused(RaftError):
    """The membership cannot change now; the text says what has to happen first."""


class Compacted(RaftError):
    """The entry asked for lies at or below the snapshot."""


class CorruptLog(RaftError):
    """Bytes on this machine's disk are not what was made durable: this replica must not vote."""


class GroupOffline(RaftError):
    """This replica of one group is out of service: it neither votes nor acknowledges nor leads.

    The process and its other groups go on. The text says what was wrong with it.
    """


class DiskFailed(RaftError):
    """A write or sync failed. Fatal: the process ends, it never retries a failed fsync."""


class PeerFault(RaftError):
    """Another node sent something that breaks the protocol; its connection is closed."""


class Misconfigured(RaftError):
    """The operator's files or settings contradict each other."""
