"""Going on after a majority is lost for good: what an operator forces on one stopped broker.

Nothing here runs in a broker. `quorate cluster recover` opens the data directory of a broker that
does not run, looks at the groups it holds copies of, and for those that are named makes this copy
the only voter (`raftlog.disk.forcing`). Records that the lost copies acknowledged and this one
never got are gone then; that is why every step is the operator's, and shown first.

Rules:

- A look changes nothing: it runs the real recovery over `raftlog.disk.overlay`.
- Only what is named is forced, and only where this copy is intact and not the only voter already.
- The properties go first: they make this directory refuse the replicas that are left for lost. A
  crash after that leaves a broker that waits, and the command is repeated. Then all groups are
  forced in one synced round of the write-ahead log.
- Everything that is forced is written to `recovery.log` in the directory, before and after.
- A report (`report`, JSON) travels between brokers by the operator's hand: before, to compare
  copies, and afterwards to bring the other survivors along (`follow`).

Start reading at `copies` (the look), then `forcing`, `following` and `comparing`.
"""

from __future__ import annotations

from partitions.recover.audit import LOG_NAME, keep_report
from partitions.recover.comparing import Comparison, compare
from partitions.recover.copies import Copy, Directory, examine, opened
from partitions.recover.following import Following, follow, plan_follow
from partitions.recover.forcing import Forced, force, plan
from partitions.recover.report import Report, decode_report, encode_report

__all__ = [
    "LOG_NAME",
    "Comparison",
    "Copy",
    "Directory",
    "Following",
    "Forced",
    "Report",
    "compare",
    "decode_report",
    "encode_report",
    "examine",
    "follow",
    "force",
    "keep_report",
    "opened",
    "plan",
    "plan_follow",
]
