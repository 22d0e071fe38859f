"""The one write that Raft does not allow: a replica makes itself the only voter of its group.

For a group whose majority is gone for good. The log that is here gets one more entry, a
configuration with this replica alone, in a term of its own, with that term and a vote for itself
in the same round. The ordinary start then does the rest: it is elected by itself, in the next
term, and commits everything it holds. What others had beyond that is lost; what only it had
becomes committed, acknowledged or not.
"""

from __future__ import annotations

from typing import Final

from raftlog.core.membership import encode_configuration
from raftlog.disk.wal import Wal
from raftlog.errors import Misconfigured
from raftlog.types import (
    MAX_TERM,
    Configuration,
    Entry,
    EntryKind,
    HardState,
    LogPosition,
    ReplicaId,
)

TERM_JUMP: Final = 1 << 22
"""Terms that are left out. The lost voters may have held elections of which this copy never heard;
an entry of theirs and one made here must not share index and term, and a leader epoch that their
clients saw must not be given a second time. An election costs an election timeout and a working
majority, so four million of them take weeks of nothing else, while this copy is cut off. Of the
2**31 terms that there are (leader epochs are int32) it leaves room for 511 recoveries."""


def forced_term(term: int, last_term: int) -> int:
    """The term of the forced entry; Misconfigured when too few are left."""
    forced = max(term, last_term) + TERM_JUMP
    if forced + TERM_JUMP > MAX_TERM:
        raise Misconfigured(
            f"term {max(term, last_term)} leaves no room for a forced recovery: {MAX_TERM} is the "
            "last one there is"
        )
    return forced


def stage_sole_voter(
    wal: Wal, group: int, me: ReplicaId, hard_state: HardState, last: LogPosition
) -> HardState:
    """Stage the entry after `last` and the hard state; the caller writes and syncs the round.

    `last` is where the group's log ends, as recovered. Returns the hard state. Misconfigured as
    for `forced_term`; ValueError when the write-ahead log ends elsewhere.
    """
    term = forced_term(hard_state.term, last.term)
    payload = encode_configuration(Configuration((me,)))
    entry = Entry(last.index + 1, term, EntryKind.CONFIG, last.offset, 0, payload)
    forced = HardState(term, me)
    wal.stage_entries(group, [entry])
    wal.stage_hard_state(group, forced)
    return forced
